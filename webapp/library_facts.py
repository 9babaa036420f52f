"""Counts over the whole collection, read once and kept while nothing changes.

Reading all rows takes seconds where there are many (5 s for 50,000 in Milvus Lite), so nobody's
request should do it. Whether what is kept still holds is asked by what is quick to ask: the number
of pictures, the model, and the libraries' tokens, which every run that changes something renews.
"""

import contextlib
import threading
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milvus.entities import ImageRow, ModelRecord
from milvus.errors import CollectionMissing, StoreError, StoreUnavailable
from milvus.store import ImageStore

# Ids that are kept of each category, for a montage of it and the map of all.
SAMPLED = 2000
# Changes that leave count and tokens as they were are seen after this time.
MAX_AGE_S = 300.0
# How long a visitor waits for new counts before those at hand are shown.
PATIENCE_S = 1.0
# A page asks several things at once; what was checked this long ago needs no other look.
CHECKED_S = 1.0
# While a library grows, counting takes at most one part in this many of the time.
REST = 5
# Each token is a question of its own to the store.
TOKENS = 32
END_S = 2.0
# Milvus Lite looks at every row: some 50 ms a search from here on, and ever more.
FILE_HOLDS = 50_000
# What to do with more than that.
MOVE_TO_SERVER = "image-search copy --to http://localhost:19530"

Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True)
class Facts:
    """What is indexed."""

    images: int
    bytes: int
    """Of all files together."""
    oldest_ns: int | None
    """Earliest time that a file was modified; None where there is no picture."""
    newest_ns: int | None
    categories: dict[str, int]
    """Pictures by category, by name."""
    libraries: dict[str, int]
    """Pictures by library, by name."""
    model: ModelRecord
    samples: Mapping[str, NDArray[np.int64]]
    """The smallest ids of each category, at most ``SAMPLED``, in order. Ids are hashes, so these
    are a sample by chance that stays the same when other pictures come and go."""
    outgrown: bool
    """Whether there are more pictures than the store, a file, searches quickly."""
    version: int
    """Another number as soon as another picture is there; the same within this process only."""


def outgrown(is_lite: bool, images: int) -> bool:
    """Whether a server should hold so many pictures."""
    return is_lite and images > FILE_HOLDS


def read_facts(store: ImageStore, ended: Callable[[], bool] = lambda: False) -> Facts:
    """Read all rows. Raises StoreError, also when ``ended`` says that the answer is too late."""
    model = store.model()
    tally = _Tally()
    for row in store.rows():
        if ended():
            raise StoreUnavailable("the server is ending")
        tally.add(row)
    return tally.facts(model, store.is_lite)


class _Tally:
    """Facts in the making."""

    def __init__(self) -> None:
        self._categories: Counter[str] = Counter()
        self._libraries: Counter[str] = Counter()
        self._ids: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._bytes = 0
        self._oldest: int | None = None
        self._newest: int | None = None
        self._version = 0

    def add(self, row: ImageRow) -> None:
        self._categories[row.category] += 1
        self._libraries[row.library] += 1
        self._ids[row.category].append(row.m_id)
        self._bytes += row.size
        if self._oldest is None or row.mtime_ns < self._oldest:
            self._oldest = row.mtime_ns
        if self._newest is None or row.mtime_ns > self._newest:
            self._newest = row.mtime_ns
        # A sum, since rows come in no certain order.
        self._version += hash((row.m_id, row.path, row.category, row.content_hash))

    def facts(self, model: ModelRecord, is_lite: bool) -> Facts:
        return Facts(
            images=self._categories.total(),
            bytes=self._bytes,
            oldest_ns=self._oldest,
            newest_ns=self._newest,
            categories=dict(sorted(self._categories.items())),
            libraries=dict(sorted(self._libraries.items())),
            model=model,
            samples={
                name: np.sort(np.array(ids, dtype=np.int64))[:SAMPLED].copy()
                for name, ids in self._ids.items()
            },
            outgrown=outgrown(is_lite, self._categories.total()),
            version=hash((self._version, model)),
        )


@dataclass(frozen=True)
class _Kept:
    facts: Facts
    key: Key
    began: float
    ended: float


class LibraryFacts:
    """The facts of a store's collection. Safe to call from several threads, which share what one
    of them reads. Methods raise StoreError.
    """

    def __init__(self, store: ImageStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: _Kept | None = None
        self._checked = float("-inf")
        self._reading = threading.Lock()
        self._starting = threading.Lock()
        self._background: threading.Thread | None = None
        self._closed = threading.Event()

    def current(self) -> Facts:
        """The facts as they are now; waits for them where something has changed."""
        asked = self._clock()
        with self._reading:
            kept = self._kept
            # Read since the question came, on behalf of somebody who asked before.
            if kept is not None and kept.began >= asked:
                return kept.facts
            if kept is not None and self._holds(kept):
                return kept.facts
            return self._read()

    def recent(self, patience_s: float = PATIENCE_S) -> tuple[Facts, bool]:
        """Facts at hand, and whether newer ones are on their way.

        Only the first call waits until they are read, and later ones ``patience_s`` at most.
        """
        kept = self._kept
        if kept is None:
            return self.current(), False
        if self._clock() - self._checked < CHECKED_S:
            return kept.facts, False
        if self._holds(kept):
            self._checked = self._clock()
            return kept.facts, False
        if self._clock() - kept.ended >= REST * (kept.ended - kept.began):
            self._read_aside().join(patience_s)
        now = self._kept or kept
        return now.facts, now is kept

    def refresh(self) -> None:
        """Something has changed: read anew, without waiting for it."""
        self._checked = float("-inf")
        self._read_aside()

    def close(self) -> None:
        """End what is being read."""
        self._closed.set()
        if self._background is not None:
            self._background.join(END_S)

    def _read_aside(self) -> threading.Thread:
        with self._starting:
            if self._background is None or not self._background.is_alive():
                self._background = threading.Thread(
                    target=self._try_current, name="library facts", daemon=True
                )
                self._background.start()
            return self._background

    def _try_current(self) -> None:
        with contextlib.suppress(StoreError):  # whoever asks next is told
            self.current()

    def _read(self) -> Facts:
        began = self._clock()
        known = self._kept.facts.libraries if self._kept else {}
        key = self._key(known)
        facts = read_facts(self._store, self._closed.is_set)
        if facts.libraries.keys() != known.keys():
            # Whose tokens to ask for is known only now. A run that ended meanwhile has changed the
            # count, which was asked before.
            key = (*key[:2], *self._tokens(facts.libraries))
        self._kept = _Kept(facts, key, began, self._clock())
        return facts

    def _holds(self, kept: _Kept) -> bool:
        try:
            key = self._key(kept.facts.libraries)
        except CollectionMissing:
            self._kept = None
            raise
        return key == kept.key and self._clock() - kept.ended < MAX_AGE_S

    def _key(self, libraries: Iterable[str]) -> Key:
        """What tells of a change."""
        return (self._store.count(), self._store.model().model_id, *self._tokens(libraries))

    def _tokens(self, libraries: Iterable[str]) -> list[str | None]:
        return [self._store.token(name) for name in islice(libraries, TOKENS)]
