"""Reading: searches of a collection, its rows and embeddings, and how many there are."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from milvus import filters
from milvus.entities import Embedding, ImageRow, Match
from milvus.filters import ImageFilter
from milvus.index_in_use import IndexInUse
from milvus.loading import Loaded
from milvus.scanning import SCAN_BATCH, scan
from milvus.schema import EMBEDDING, FIXED_FIELDS, KEY, embedding_of, from_entity


class Reading:
    """What is read of a collection. Methods raise StoreError."""

    def __init__(self, loaded: Loaded, index: IndexInUse) -> None:
        self._loaded = loaded
        self._index = index
        # A row with its extras, which are in ``$meta``; Lite has no such name.
        self._whole_row = ["*"] if loaded.access.is_lite else [*FIXED_FIELDS, "$meta"]

    def search(
        self,
        embedding: Embedding,
        top_k: int,
        only: ImageFilter,
        *,
        with_embeddings: bool,
        effort: int | None,
    ) -> list[Match]:
        """The best images that the filter lets through."""
        expression = only.expression()
        access = self._loaded.access
        answers = self._loaded.call(
            lambda client: client.search(
                access.name,
                data=[np.ascontiguousarray(embedding, dtype=np.float32)],
                anns_field=EMBEDDING,
                limit=top_k,
                filter=expression,
                output_fields=[*self._whole_row, *([EMBEDDING] if with_embeddings else [])],
                search_params=self._index.search_params(
                    top_k, effort, is_filtered=bool(expression)
                ),
                timeout=access.timeout,
            )
        )
        return [
            Match(
                from_entity(hit.id, hit["entity"]),
                float(hit["distance"]),
                embedding_of(hit["entity"]) if with_embeddings else None,
            )
            for hit in answers[0]
        ]

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        """The images of these ids, with their extras."""
        return [from_entity(row[KEY], row) for row in self._get(ids, self._whole_row)]

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        """Stored embeddings by id."""
        return {row[KEY]: embedding_of(row) for row in self._get(ids, [EMBEDDING])}

    def held_ids(self, ids: Sequence[int]) -> set[int]:
        """Those of these ids that are there."""
        return {row[KEY] for row in self._get(ids, [KEY])}

    def at_paths(self, paths: Sequence[str]) -> list[ImageRow]:
        """The images whose files these are, with their extras."""
        found: list[ImageRow] = []
        for start in range(0, len(paths), SCAN_BATCH):
            expression = filters.one_of("path", paths[start : start + SCAN_BATCH])
            found += [from_entity(row[KEY], row) for row in self._scan(expression, self._whole_row)]
        return found

    def held_hashes(self, content_hashes: Collection[str]) -> set[str]:
        """Those of these content hashes that an image has."""
        # One step at a time a filter is the quicker way; for many steps, to read all hashes once.
        few = len(content_hashes) <= SCAN_BATCH
        expression = filters.one_of("content_hash", content_hashes) if few else ""
        wanted = set(content_hashes)
        found = self._scan(expression, ["content_hash"]) if wanted else ()
        return {row["content_hash"] for row in found} & wanted

    def rows(self, library: str | None) -> Iterator[ImageRow]:
        """All images, or a library's, without their extras."""
        expression = filters.equals("library", library) if library is not None else ""
        for row in self._scan(expression, [*FIXED_FIELDS]):
            yield from_entity(row[KEY], row)

    def entities(self, only: ImageFilter) -> Iterator[tuple[ImageRow, Embedding]]:
        """Images that the filter lets through, whole."""
        for row in self._scan(only.expression(), [*self._whole_row, EMBEDDING]):
            yield from_entity(row[KEY], row), embedding_of(row)

    def ids(self) -> Iterator[int]:
        """The ids of all images."""
        return (row[KEY] for row in self._scan("", [KEY]))

    def vectors(self) -> Iterator[tuple[int, Embedding]]:
        """Ids and embeddings of all images."""
        return ((row[KEY], embedding_of(row)) for row in self._scan("", [EMBEDDING]))

    def count(self) -> int:
        """Number of images; what was deleted a moment ago does not count."""
        access = self._loaded.access
        answer = self._loaded.call(
            lambda client: client.query(
                access.name,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=access.timeout,
            )
        )
        return int(answer[0]["count(*)"])

    def sealed_rows(self) -> int:
        """Rows in sealed segments, deleted ones included."""
        access = self._loaded.access
        found = access.call(
            lambda client: client.get_collection_stats(access.name, timeout=access.timeout)
        )
        return int(found["row_count"])

    def _scan(self, expression: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        return scan(self._loaded, expression, fields)

    def _get(self, ids: Sequence[int], fields: list[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        access = self._loaded.access
        found: list[dict[str, Any]] = self._loaded.call(
            lambda client: client.get(
                access.name,
                ids=list(ids),
                output_fields=fields,
                consistency_level="Strong",
                timeout=access.timeout,
            )
        )
        return found
