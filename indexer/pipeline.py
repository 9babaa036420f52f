"""The indexing pipeline: files → compare → decode and encode (``workers.py``) → write in a thread.

Decoding and encoding run ahead by a bounded number of pictures, and writing behind them by a
bounded number of batches, so that memory stays flat however large the library is.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from embeddings.encoder import Encoder
from indexer.errors import NothingFound
from indexer.mark import of_others
from indexer.prepare import Unreadable
from indexer.report import IndexReport
from indexer.snapshot import Snapshots
from indexer.source import FoundFile, Skipped, Source
from indexer.sync import (
    Change,
    LibraryState,
    Origin,
    known_of,
    origin_of,
    stored_rows,
    stored_token,
)
from indexer.thumbnailing import Thumbnailing
from indexer.workers import Encoded, LocalWorkers, Result, Workers
from indexer.writer import BatchWriter
from milvus.entities import Embedding, ImageRow
from milvus.errors import CollectionMissing, StoreError
from milvus.store import ImageStore


@dataclass(frozen=True)
class PipelineOptions:
    """Sizes of the pipeline's parts."""

    write_batch: int = 50
    """Entities in one write."""
    decode_threads: int = 2
    max_pixels: int = 200_000_000
    max_bytes: int = 300_000_000
    """Of a file."""
    keep_missing: bool = False
    """Whether pictures stay searchable whose file is gone."""


def index_library(
    source: Source,
    store: ImageStore,
    workers: Workers | Callable[[], Encoder],
    options: PipelineOptions,
    on_progress: Callable[[IndexReport], None] = lambda report: None,
    snapshots: Snapshots | None = None,
    thumbnails: Thumbnailing | None = None,
) -> IndexReport:
    """Make the store hold exactly the pictures of a library, and tell what was done.

    ``workers`` decode and encode; a function that loads an encoder stands for threads of this
    process. They begin when the first picture must be read, and must have prepared the
    collection. ``on_progress`` gets the report as it grows. ``snapshots`` makes a run over an
    unchanged library quick; ``thumbnails`` makes and deletes those of its pictures. Ctrl+C ends
    the run after the batch at hand; the report then says so. The store keeps the report, too.

    Raises NothingFound (and removes nothing), StoreError or EncoderError. Files that cannot be
    read raise nothing; they are in ``report.skipped``.
    """
    if not isinstance(workers, Workers):
        limits = options.max_pixels, options.max_bytes
        workers = LocalWorkers(workers, options.decode_threads, *limits)
    run = _Run(source, store, workers, options, on_progress, snapshots, thumbnails)
    run.work()
    return run.report


class _Run:
    """The state of one run."""

    def __init__(
        self,
        source: Source,
        store: ImageStore,
        workers: Workers,
        options: PipelineOptions,
        on_progress: Callable[[IndexReport], None],
        snapshots: Snapshots | None,
        thumbnails: Thumbnailing | None,
    ) -> None:
        self._start = time.monotonic()
        self.report = IndexReport()
        self._source = source
        self._store = store
        self._workers = workers
        self._options = options
        self._on_progress = on_progress
        self._library = source.library
        self._snapshots = snapshots
        self._thumbnails = thumbnails
        known = snapshots.load(self._library, stored_token(store, source)) if snapshots else None
        self._state = LibraryState(self._library, known, lambda: stored_rows(store, source))
        self._marked = False
        self._overwritten: dict[int, Origin] = {}

    def work(self) -> None:
        try:
            self._make_equal()
        except (NothingFound, StoreError):
            raise
        except Exception:
            self.report.interrupted = True
            self._conclude(None)
            raise

    def _make_equal(self) -> None:
        if self._thumbnails:
            self._thumbnails.begin()
        with BatchWriter(self._store, self._options.write_batch) as self._writer:
            try:
                self._index()
                self._remove_vanished()
            except KeyboardInterrupt:
                self.report.interrupted = True
        if self.report.found == 0 and not self.report.interrupted:
            raise NothingFound(f"{self._source.nothing}; nothing was changed")
        if self._marked:
            self._store.flush()
        if self._thumbnails and not self.report.interrupted:
            self._thumbnails.settle(self._store)
        self._conclude(None if self.report.interrupted else self._snapshot())

    def _index(self) -> None:
        """Chain the steps; the reading of folders and the counting are this thread's."""
        results = self._processed(self._to_read(), self._state.origins)
        again = [result.file for result in results if not self._deal_with(result)]
        # Pictures that swapped names, say: what was to be shared is gone by now.
        for result in self._processed(again, tuple):
            self._deal_with(result)

    def _processed(
        self, files: Iterable[FoundFile], origins: Callable[[], Collection[Origin]]
    ) -> Iterator[Result]:
        return self._workers.process(files, origins, self._thumbnails)

    def _to_read(self) -> Iterator[FoundFile]:
        """Files that are new or changed by their metadata."""
        for item in self._source.files():
            self.report.found += 1
            if isinstance(item, Skipped):
                self._state.see_skipped(item)
                self._skip(item)
            elif self._state.see(item) is Change.UNCHANGED:
                self._count(Change.UNCHANGED)
            else:
                # Threads are about to ask for both.
                self._state.rows()
                self._workers.begin()
                yield item

    def _deal_with(self, result: Result) -> bool:
        """False where a file must be encoded after all."""
        if isinstance(result, Unreadable):
            self._pass_over(result)
        elif result.embedding is not None:
            self._hand_on(result, result.embedding)
        else:
            return self._keep_embedding(result)
        return True

    def _pass_over(self, result: Unreadable) -> None:
        if result.vanished or result.is_damaged:
            self._state.forget(result.file)
            self._source.discard(result.file)
        self._skip(Skipped(result.file.name, result.reason))

    def _keep_embedding(self, result: Encoded) -> bool:
        """Write a file whose content is stored already, under its own path, unencoded, and with
        what others than a manifest noted of it.

        False where the row that held the content has another one by now (two pictures that
        swapped names), or was removed by another program.
        """
        origin = (result.content_hash, result.file.mark.mix)
        if origin not in self._state.origins():
            return False  # workers may take what is new for known, if seldom
        source = self._state.same_origin(result.file, origin)
        if self._overwritten.get(source.m_id, origin) != origin:
            return False
        found = self._store.embeddings([source.m_id])
        stored = self._store.get([source.m_id])
        if not (found and stored):
            return False
        change = self._state.change_of(result.file, source)
        whole = replace(result, width=source.width, height=source.height)
        row = self._row(whole, of_others(stored[0].extras))
        self._write([row], [found[source.m_id]])
        self._count(change)
        return True

    def _hand_on(self, result: Encoded, embedding: Embedding) -> None:
        change = self._state.see(result.file)
        self._write([self._row(result)], [embedding])
        self.report.encoded += 1
        self._count(change)

    def _write(self, rows: list[ImageRow], embeddings: list[Embedding]) -> None:
        self._mark()
        stored = self._state.rows()
        over = [row for row in rows if row.m_id in stored]
        self._loses(stored[r.m_id] for r in over if stored[r.m_id].content_hash != r.content_hash)
        self._writer.put(rows, embeddings)
        self._state.known.update({row.m_id: known_of(row) for row in rows})
        self._overwritten.update({row.m_id: origin_of(row) for row in over})

    def _mark(self) -> None:
        """Before the first change: what a snapshot says of this library is no longer so."""
        if not self._marked:
            self._marked = True
            self._store.set_token(self._library, "")

    def _row(self, result: Encoded, noted: Mapping[str, Any] | None = None) -> ImageRow:
        file = result.file
        return ImageRow(
            m_id=self._state.id_of(file),
            path=file.path,
            library=self._state.library,
            category=file.category,
            mtime_ns=file.mtime_ns,
            size=file.size,
            content_hash=result.content_hash,
            width=result.width,
            height=result.height,
            extras={**(noted or {}), **file.mark.among(file.extras)},
        )

    def _remove_vanished(self) -> None:
        # Written first: a moved picture's old row is the only holder of its embedding.
        self._writer.finish()
        if not self._state.saw_any:
            # An unmounted drive, not a library whose every picture was deleted.
            return
        gone = self._state.vanished()
        moved = self._state.moved_from()
        if self._options.keep_missing:
            gone = [key for key in gone if key in moved]
        if gone:
            self._mark()
            self._loses(self._state.rows()[key] for key in gone)
            self._store.delete(gone)
        for key in gone:
            self._state.known.pop(key, None)
        self.report.removed = len(set(gone) - moved)

    def _loses(self, rows: Iterable[ImageRow]) -> None:
        """Told before the store loses these rows."""
        if self._thumbnails:
            self._thumbnails.gone(row.content_hash for row in rows)

    def _snapshot(self) -> str | None:
        """The token of a new snapshot, where one is due."""
        if self._snapshots and (self._marked or not self._state.came_from_snapshot):
            return self._snapshots.save(self._library, self._state.known)
        return None

    def _conclude(self, token: str | None) -> None:
        """The last thing: one write for what was done and the snapshot's token."""
        self.report.seconds = time.monotonic() - self._start
        if self._thumbnails and self._thumbnails.problem:
            self.report.problems.append(self._thumbnails.problem)
        # A run that was cut short is noted if that can be; how it ended is what people are told.
        with contextlib.suppress(StoreError if self.report.interrupted else CollectionMissing):
            self.report.model_id = self._store.model().model_id
            self._store.note_run(self._library, self.report.as_last_run(), token)

    def _skip(self, skipped: Skipped) -> None:
        self.report.skipped.append(skipped)
        self._on_progress(self.report)

    def _count(self, change: Change) -> None:
        setattr(self.report, change, getattr(self.report, change) + 1)
        self._on_progress(self.report)
