"""What a worker on another machine does: the pipeline's own steps, for a batch of files."""

import platform
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Encoder
from indexer.source import FoundFile
from indexer.sync import Origin
from indexer.workers import LocalWorkers, Result


@dataclass(frozen=True)
class Ready:
    """What a worker says once its model is loaded."""

    model_id: str
    dim: int
    batch_size: int
    host: str


@dataclass(frozen=True)
class Processed:
    """What became of a batch of files."""

    results: list[Result]
    thumbnails: dict[str, bytes]
    """By content hash."""
    host: str


class _Thumbnails:
    """Keeps those of a batch."""

    def __init__(self) -> None:
        self.made: dict[str, bytes] = {}

    def is_wanted(self, content_hash: str) -> bool:
        return content_hash not in self.made

    def keep(self, content_hash: str, thumbnail: bytes) -> None:
        self.made[content_hash] = thumbnail


class RemoteWorker:
    """Decodes and encodes batches in a process of its own. Safe in threads."""

    def __init__(
        self, load: Callable[[], Encoder], threads: int, max_pixels: int, max_bytes: int
    ) -> None:
        self._load_encoder = load
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._workers = LocalWorkers(self._load, threads, max_pixels, max_bytes)

    def load(self) -> Ready:
        """Load the model. Raises EncoderError."""
        encoder = self._load()
        return Ready(encoder.model_id, encoder.dim, encoder.batch_size, platform.node())

    def process(
        self, files: Sequence[FoundFile], known: NDArray[np.uint64], makes_thumbnails: bool
    ) -> Processed:
        """Read files; decode and encode those whose origin is not among ``known``, which is what
        ``origin_keys`` made of them. Raises EncoderError."""
        thumbnails = _Thumbnails()
        results = self._workers.encoded(
            files,
            lambda origin: _is_among(known, origin),
            thumbnails if makes_thumbnails else None,
        )
        return Processed(list(results), thumbnails.made, platform.node())

    def _load(self) -> Encoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = self._load_encoder()
            return self._encoder


def origin_keys(origins: Collection[Origin]) -> NDArray[np.uint64]:
    """Origins as sorted numbers, 8 bytes each, so that those of millions of pictures travel to
    each machine in a moment. Two origins may share one: about never, and it is found out."""
    keys = np.fromiter((_key(origin) for origin in origins), np.uint64, len(origins))
    keys.sort()
    return keys


def _key(origin: Origin) -> int:
    return int.from_bytes(blake2b("\0".join(origin).encode(), digest_size=8).digest(), "big")


def _is_among(keys: NDArray[np.uint64], origin: Origin) -> bool:
    key = np.uint64(_key(origin))
    at = int(np.searchsorted(keys, key))
    return at < len(keys) and bool(keys[at] == key)
