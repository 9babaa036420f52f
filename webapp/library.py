"""What is indexed, to look at: facts, a montage of a category, a map of all."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embeddings.encoder import Embeddings
from milvus.entities import Embedding, ImageRow
from milvus.runs import LastRun
from milvus.store import ImageStore
from webapp.errors import ImageGone
from webapp.library_facts import SAMPLED, LibraryFacts
from webapp.montage import representatives
from webapp.projection import project, shares

# Pictures of a category that a montage is chosen from.
MONTAGE_OF = 500
MAX_MONTAGE = 36
MAP_OF = SAMPLED
# The least that a category has on the map, as far as it has them.
FEW = 5
KEPT_MONTAGES = 1000
# Embeddings that one question to the store asks for: two megabytes of 768 dimensions.
AT_ONCE = 500
NO_IDS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Montage:
    """Pictures that show what a category holds."""

    category: str
    count: int
    """Of all of its pictures."""
    pictures: tuple[ImageRow, ...]


@dataclass(frozen=True)
class Point:
    """A picture on the map."""

    row: ImageRow
    x: float
    """-1 to 1."""
    y: float


@dataclass(frozen=True)
class LibraryMap:
    """A sample of the collection in two dimensions."""

    points: tuple[Point, ...]
    of: int
    """Pictures in the collection."""
    explained: tuple[float, float]
    """Parts of the sample's variance that x and y show."""


class Library:
    """Views of a store's collection, made once for each state of it. Safe to call from several
    threads; methods raise StoreError.
    """

    def __init__(self, store: ImageStore) -> None:
        self.facts = LibraryFacts(store)
        self._store = store
        self._mapping = threading.Lock()
        self._map: tuple[int, LibraryMap] | None = None
        self._choosing = threading.Lock()
        self._montages: dict[tuple[int, str, int], Montage] = {}

    def last_runs(self) -> dict[str, LastRun]:
        """The last run over each library, as far as one is known."""
        return self._store.last_runs()

    def montage(self, category: str, count: int) -> Montage:
        """At most ``count`` pictures of a category. Raises ImageGone where it has none."""
        facts, _ = self.facts.recent()
        if category not in facts.samples:
            raise ImageGone(f"no picture has this category: {category or '(none)'}")
        key = (facts.version, category, count)
        with self._choosing:
            if key not in self._montages:
                self._montages = {
                    old: montage
                    for old, montage in self._montages.items()
                    if old[0] == facts.version and len(self._montages) < KEPT_MONTAGES
                }
                rows = self._chosen(facts.samples[category][:MONTAGE_OF].tolist(), count)
                self._montages[key] = Montage(category, facts.categories[category], rows)
            return self._montages[key]

    def map(self) -> LibraryMap:
        """At most ``MAP_OF`` pictures of all categories, by the first principal components."""
        facts, _ = self.facts.recent()
        with self._mapping:
            if self._map is None or self._map[0] != facts.version:
                sample = shares(facts.categories, MAP_OF, FEW)
                ids = [facts.samples[name][:number] for name, number in sample.items()]
                # In the order of their ids, which is by chance: no category is drawn over another.
                points, explained = self._mapped(sorted(np.concatenate([*ids, NO_IDS]).tolist()))
                self._map = (facts.version, LibraryMap(points, facts.images, explained))
            return self._map[1]

    def _chosen(self, ids: Sequence[int], count: int) -> tuple[ImageRow, ...]:
        found, embeddings = self._embeddings(ids)
        if not found:
            return ()
        chosen = [found[row] for row in representatives(embeddings, count)]
        rows = {row.m_id: row for row in self._store.get(chosen)}
        return tuple(rows[key] for key in chosen if key in rows)

    def _mapped(self, ids: Sequence[int]) -> tuple[tuple[Point, ...], tuple[float, float]]:
        rows: dict[int, ImageRow] = {}
        for start in range(0, len(ids), AT_ONCE):
            rows |= {row.m_id: row for row in self._store.get(ids[start : start + AT_ONCE])}
        found, embeddings = self._embeddings([key for key in ids if key in rows])
        if not found:
            return (), (0.0, 0.0)
        places, explained = project(embeddings)
        points = (
            Point(rows[key], float(x), float(y)) for key, (x, y) in zip(found, places, strict=True)
        )
        return tuple(points), explained

    def _embeddings(self, ids: Sequence[int]) -> tuple[list[int], Embeddings]:
        """Those of the ids that are still there, with their embeddings."""
        stored: dict[int, Embedding] = {}
        for start in range(0, len(ids), AT_ONCE):
            stored |= self._store.embeddings(ids[start : start + AT_ONCE])
        found = [key for key in ids if key in stored]
        if not found:
            return [], np.empty((0, 0), dtype=np.float32)
        return found, np.stack([stored[key] for key in found])
