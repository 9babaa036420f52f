"""Decoding and encoding: the step of the pipeline that this process does in threads, and that
others may do in its place."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from embeddings.encoder import Encoder
from indexer.ahead import map_ahead
from indexer.caption import mix
from indexer.prepare import Prepared, Thumbnailer, Unreadable, prepare
from indexer.source import FoundFile
from indexer.sync import Origin
from indexer.thumbnailing import Thumbnailing
from milvus.entities import Embedding

# Pictures that may wait decoded for the encoder: two of a GPU's batches, a few hundred
# kilobytes each.
DECODED_AHEAD = 256


@dataclass(frozen=True)
class Encoded:
    """A file that was read."""

    file: FoundFile
    content_hash: str
    embedding: Embedding | None
    """None where the content is known already and was not encoded."""
    width: int = 0
    """Pixels, upright."""
    height: int = 0


Result: TypeAlias = Encoded | Unreadable


@runtime_checkable
class Workers(Protocol):
    """Who decodes and encodes."""

    def begin(self) -> None:
        """Called before the first file of each run is read, and again and again: the model is
        loaded now, and the collection has been prepared for it."""

    def process(
        self,
        files: Iterable[FoundFile],
        origins: Callable[[], Collection[Origin]],
        thumbnails: Thumbnailing | None,
    ) -> Iterator[Result]:
        """Each file once, in any order; a bounded number of them is under way.

        What follows from one of ``origins``, which are asked for when there is a first file, is
        not encoded. Raises EncoderError.
        """

    def close(self) -> None:
        """Nothing more is to be done."""


class LocalWorkers:
    """Threads of this process: some decode, and as many encode as the encoder takes batches."""

    def __init__(
        self, load_encoder: Callable[[], Encoder], threads: int, max_pixels: int, max_bytes: int
    ) -> None:
        """``load_encoder`` must give the same one each time, and have prepared the collection."""
        self._load_encoder = load_encoder
        self._threads = threads
        self._limits = max_pixels, max_bytes

    def begin(self) -> None:
        """Load the encoder."""
        self._load_encoder()

    def process(
        self,
        files: Iterable[FoundFile],
        origins: Callable[[], Collection[Origin]],
        thumbnails: Thumbnailing | None,
    ) -> Iterator[Result]:
        """Each file, in order."""

        def is_known(origin: Origin) -> bool:
            return origin in origins()

        return self.encoded(files, is_known, thumbnails)

    def close(self) -> None:
        """Threads end by themselves."""

    def encoded(
        self,
        files: Iterable[FoundFile],
        is_known: Callable[[Origin], bool],
        thumbnails: Thumbnailer | None,
    ) -> Iterator[Result]:
        """Chain the two; the files are taken from ``files`` in the caller's thread."""

        def prepare_one(file: FoundFile) -> Prepared | Unreadable:
            return prepare(
                file,
                self._load_encoder().image_transform,
                lambda content_hash: is_known((content_hash, file.mark.mix)),
                *self._limits,
                thumbnails,
            )

        prepared = map_ahead(
            prepare_one,
            files,
            threads=self._threads,
            ahead=DECODED_AHEAD + self._threads,
            name="decode",
        )
        batches = self._batches(prepared)
        first = next(batches, None)
        if first is None:
            return
        # A GPU's next batch is queued before the result of this one is waited for. One more batch
        # waits, and the one before is handed on.
        threads = self._load_encoder().batches_at_once
        for batch in map_ahead(
            self._encode,
            itertools.chain([first], batches),
            threads=threads,
            ahead=threads + 1,
            name="encode",
        ):
            yield from batch

    def _batches(
        self, results: Iterable[Prepared | Unreadable]
    ) -> Iterator[list[Prepared | Unreadable]]:
        """As many pictures as the encoder takes at once, and what came between them."""
        batch: list[Prepared | Unreadable] = []
        pictures = 0
        for result in results:
            batch.append(result)
            pictures += isinstance(result, Prepared) and result.image is not None
            full = pictures and pictures >= self._load_encoder().batch_size
            if full or len(batch) >= DECODED_AHEAD:
                yield batch
                batch, pictures = [], 0
        if batch:
            yield batch

    def _encode(self, batch: list[Prepared | Unreadable]) -> list[Result]:
        pictures = [
            (result, result.image)
            for result in batch
            if isinstance(result, Prepared) and result.image is not None
        ]
        embeddings: Iterator[Embedding] = iter(())
        if pictures:
            encoder = self._load_encoder()
            images = encoder.encode_images([image for _, image in pictures])
            captions = [result.file.caption for result, _ in pictures]
            embeddings = iter(mix(images, captions, encoder.encode_texts))
        return [
            result
            if isinstance(result, Unreadable)
            else Encoded(
                result.file,
                result.content_hash,
                None if result.image is None else next(embeddings),
                result.width,
                result.height,
            )
            for result in batch
        ]
