"""SearchService: a query in, hits out. Plain Python; the page, the API and the terminal call it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from embeddings.encoder import Encoder
from milvus.entities import ImageRow, Match, ModelRecord
from milvus.errors import ModelMismatch
from milvus.store import ImageStore
from webapp.errors import ImageGone
from webapp.query import Hit, Query, SearchResult


@dataclass(frozen=True)
class LibraryStats:
    """What is indexed."""

    images: int
    categories: dict[str, int]
    """Pictures by category, by name."""
    libraries: dict[str, int]
    """Pictures by library, by name."""
    model: ModelRecord


class SearchService:
    """Answers queries from a store with the model that the store's collection records.

    Safe to call from several threads. ``load_encoder`` is called once for each model, when the
    first query comes or ``warm_up`` is called. Methods raise StoreError and EncoderError.
    """

    def __init__(self, store: ImageStore, load_encoder: Callable[[ModelRecord], Encoder]) -> None:
        self._store = store
        self._load_encoder = load_encoder
        self._encoders: dict[str, Encoder] = {}
        self._loading = threading.Lock()

    def search(self, query: Query) -> SearchResult:
        """The pictures that match a query best."""
        encoder = self._encoder()
        start = time.perf_counter()
        embedding = encoder.encode_texts([query.text])[0]
        matches = self._store.search(embedding, query.top_k, query.categories)
        took_ms = (time.perf_counter() - start) * 1000
        return SearchResult([_hit(match) for match in matches], took_ms)

    def image(self, image_id: int) -> ImageRow:
        """The stored row of a picture. Raises ImageGone for an unknown id."""
        rows = self._store.get([image_id])
        if not rows:
            raise ImageGone(f"no picture has the id {image_id}")
        return rows[0]

    def count(self) -> int:
        """Number of pictures that are searched."""
        return self._store.count()

    def stats(self) -> LibraryStats:
        """Counts over the whole collection; reads all of its rows."""
        categories: Counter[str] = Counter()
        libraries: Counter[str] = Counter()
        for row in self._store.rows():
            categories[row.category] += 1
            libraries[row.library] += 1
        return LibraryStats(
            images=categories.total(),
            categories=dict(sorted(categories.items())),
            libraries=dict(sorted(libraries.items())),
            model=self._store.model(),
        )

    def warm_up(self) -> None:
        """Load the model now, so that the first query does not wait for it."""
        self._encoder()

    def _encoder(self) -> Encoder:
        record = self._store.model()
        encoder = self._encoders.get(record.model_id)
        if encoder is None:
            with self._loading:
                encoder = self._encoders.get(record.model_id) or self._load(record)
        return encoder

    def _load(self, record: ModelRecord) -> Encoder:
        encoder = self._load_encoder(record)
        if encoder.model_id != record.model_id:
            raise ModelMismatch(
                f"the pictures were indexed with {record.model_id}, and {record.name} is now "
                f"{encoder.model_id}; restore its weights, or run image-search drop and index again"
            )
        self._encoders = {record.model_id: encoder}
        return encoder


def _hit(match: Match) -> Hit:
    row = match.row
    return Hit(
        id=row.m_id,
        path=row.path,
        category=row.category,
        score=match.score,
        width=row.width,
        height=row.height,
        caption=str(row.extras.get("caption", "")),
    )
