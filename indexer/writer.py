"""Write to the store in batches, in a thread, while the next pictures are being encoded."""

import queue
import threading
from collections.abc import Sequence
from types import TracebackType

from milvus.entities import Embedding, ImageRow
from milvus.store import ImageStore

# Batches that may wait for the store. More would only pile up where it is the slow part, and be
# lost work when the process is killed.
WAITING_BATCHES = 1

_Batch = list[tuple[ImageRow, Embedding]]


class BatchWriter:
    """Collects entities into batches of ``size`` and writes them in order, in one thread.

    A context manager: leaving it writes what is left. What the store raises in the thread is
    raised by the next call here.
    """

    def __init__(self, store: ImageStore, size: int) -> None:
        self._store = store
        self._size = size
        self._pending: _Batch = []
        self._queue: queue.Queue[_Batch | None] = queue.Queue(WAITING_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="write", daemon=True)

    def __enter__(self) -> "BatchWriter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        self._queue.put(None)
        self._thread.join()

    def put(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        """Hand over entities; waits where the store is behind."""
        self._pending += zip(rows, embeddings, strict=True)
        while len(self._pending) >= self._size:
            batch, self._pending = self._pending[: self._size], self._pending[self._size :]
            self._hand_over(batch)

    def finish(self) -> None:
        """Return when everything handed over so far is in the store."""
        if self._pending:
            batch, self._pending = self._pending, []
            self._hand_over(batch)
        self._queue.join()
        self._raise()

    def _hand_over(self, batch: _Batch) -> None:
        self._raise()
        self._queue.put(batch)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        while (batch := self._queue.get()) is not None:
            try:
                # After an error the queue is only emptied, so that nobody waits for ever.
                if self._error is None:
                    self._store.upsert([row for row, _ in batch], [vector for _, vector in batch])
            except BaseException as error:
                self._error = error
            finally:
                self._queue.task_done()
