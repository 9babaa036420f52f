"""MilvusCollection: the image store in a Milvus collection.

What it does is in files by subject: ``making.py`` and dropping, ``reading.py``, ``index_in_use.py``
and ``properties.py``; it is written here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pymilvus import MilvusClient

from milvus import making
from milvus.access import Access
from milvus.aliases import Aliases
from milvus.connection import Connection
from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.errors import ModelMismatch, StoreError
from milvus.filters import EVERYTHING, ImageFilter
from milvus.index_in_use import IndexInUse
from milvus.index_params import AnyIndex, choose_index
from milvus.index_state import IndexState, Tuned
from milvus.loading import Loaded
from milvus.properties import Properties, model_properties
from milvus.reading import Reading
from milvus.runs import LastRun
from milvus.schema import to_entity

# Images that one call deletes.
DELETE_BATCH = 1000


class MilvusCollection:
    """The ImageStore protocol over one collection, and what only a Milvus collection has."""

    def __init__(
        self, connection: Connection, name: str = "images", index_type: str = "IVF_FLAT"
    ) -> None:
        """``index_type`` is what a collection is made with; one that is there keeps its own."""
        self.name = name
        self.connection = connection
        self._access = Access(connection, name)
        self._index = IndexInUse(self._access, choose_index(index_type, connection.is_lite))
        self._properties = Properties(self._access, self._index.compare)
        self._loaded = Loaded(self._access, self._index.see)
        self._reading = Reading(self._loaded, self._index)

    def close(self) -> None:
        """Let go of the server or the file."""
        self.connection.close()

    def lock_file(self, folder: Path) -> Path:
        """The file that makes this collection's writers take turns (see ``milvus.lock``)."""
        return self.connection.lock_file(folder, self.name)

    @property
    def address(self) -> str:
        """The store's file or server, for messages."""
        return self.connection.place

    @property
    def place(self) -> str:
        """The collection and its store, for messages."""
        return self._access.place

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for two objects that are over one collection."""
        return (*self.connection.identity, self.name)

    @property
    def is_lite(self) -> bool:
        """Whether this is a local file."""
        return self.connection.is_lite

    def version(self) -> str:
        """What Milvus calls itself."""
        timeout = self._access.timeout
        return str(self._access.call(lambda client: client.get_server_version(timeout=timeout)))

    def exists(self) -> bool:
        """Whether anything was ever indexed."""
        return self._access.exists()

    def prepare(self, model: ModelRecord) -> None:
        """Make the collection, or check that it belongs to this model.

        Raises ModelMismatch with what to do.
        """
        if not self.exists():
            making.create(self._access, model, self.index)
            return
        recorded = self.model()
        if recorded.model_id != model.model_id or recorded.dim != model.dim:
            raise self.mismatch(recorded, f"{model.model_id} ({model.dim})")
        self.complete()
        if recorded != model:
            # The same weights under another name or in another place: searching needs the new one.
            self._access.set_properties(model_properties(model))

    def complete(self) -> None:
        """Make the index of a collection that was made without: a kill may come between the two.

        For writers, who take turns: another one may be rebuilding it.
        """
        self._index.complete()

    def mismatch(self, recorded: ModelRecord, asked: str) -> ModelMismatch:
        """The error for a model that is not the collection's, with what to do."""
        return ModelMismatch(
            f"{self.place} was indexed with {recorded.model_id} "
            f"({recorded.dim} dimensions), not {asked}; use --model {recorded.name}"
            + (f" --pretrained {recorded.pretrained}" if recorded.pretrained else "")
            + ", or another --milvus-collection, or image-search drop"
        )

    def drop_library(self, library: str) -> int:
        """Remove the entries of one library and what is noted of it; their number."""
        keys = [row.m_id for row in self.rows(library)]
        self._properties.forget(library)
        if keys:
            self.delete(keys)
            self.flush()
        return len(keys)

    def drop(self) -> None:
        """Remove the collection with all its images' entries; the files stay.

        By an alias, both go. Raises AliasInTheWay for a collection that other names stand for.
        """
        making.drop(self._access)

    def discard(self) -> None:
        """Remove a collection that was made a moment ago, so that no other name stands for it."""
        making.discard(self._access, self.name)

    def siblings(self) -> list["MilvusCollection"]:
        """The other collections of this program in the same store."""
        own = Aliases(self.connection).collection_of(self.name)
        timeout = self._access.timeout
        names = self._access.call(lambda client: client.list_collections(timeout=timeout))
        others = [MilvusCollection(self.connection, n) for n in names if n not in (own, self.name)]
        return [other for other in others if other._properties.model() is not None]

    def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        """Write images, replacing those with the same id."""
        entities = [to_entity(row, vector) for row, vector in zip(rows, embeddings, strict=True)]
        if entities:
            self._access.check_room()
            timeout = self._access.timeout
            self._access.call(lambda client: client.upsert(self.name, entities, timeout=timeout))

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images by id."""
        for start in range(0, len(ids), DELETE_BATCH):
            batch = list(ids[start : start + DELETE_BATCH])
            self._access.call(partial(self._delete, batch))

    def flush(self) -> None:
        """Seal what was written into indexed segments."""
        self._access.check_room()
        timeout = max(self._access.timeout, 60.0)
        with self._access.quietly():
            self._access.call(lambda client: client.flush(self.name, timeout=timeout))

    def reload(self) -> None:
        """Let searches and counts see what the server has imported, now and not some time later.

        Searches are refused for a moment. Milvus's own refreshing takes ten seconds.
        """
        self._loaded.release()
        self.count()

    def search(
        self,
        embedding: Embedding,
        top_k: int,
        only: ImageFilter = EVERYTHING,
        *,
        with_embeddings: bool = False,
        effort: int | None = None,
    ) -> list[Match]:
        """The ``top_k`` best images that the filter lets through, best first.

        ``effort`` is another ``nprobe`` or ``ef`` than the collection's, to measure it.
        """
        return self._reading.search(
            embedding, top_k, only, with_embeddings=with_embeddings, effort=effort
        )

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        """The images of these ids that are there, with their extras."""
        return self._reading.get(ids)

    def at_paths(self, paths: Sequence[str]) -> list[ImageRow]:
        """The images whose files these are, with their extras."""
        return self._reading.at_paths(paths)

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        """Stored embeddings by id."""
        return self._reading.embeddings(ids)

    def ids(self) -> Iterator[int]:
        """The ids of all images."""
        return self._reading.ids()

    def vectors(self) -> Iterator[tuple[int, Embedding]]:
        """Ids and embeddings of all images."""
        return self._reading.vectors()

    def held_ids(self, ids: Sequence[int]) -> set[int]:
        """Those of these ids that are there."""
        return self._reading.held_ids(ids)

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        """All images, or a library's, without their extras."""
        return self._reading.rows(library)

    def entities(self, only: ImageFilter = EVERYTHING) -> Iterator[tuple[ImageRow, Embedding]]:
        """Images that the filter lets through, whole."""
        return self._reading.entities(only)

    def held_hashes(self, content_hashes: Collection[str]) -> set[str]:
        """Those of these content hashes that an image of any library has."""
        return self._reading.held_hashes(content_hashes)

    def count(self) -> int:
        """Number of images; what was deleted a moment ago does not count."""
        return self._reading.count()

    def sealed_rows(self) -> int:
        """Rows in sealed segments, deleted ones included; whether or not an index is there."""
        return self._reading.sealed_rows()

    @property
    def index(self) -> AnyIndex:
        """The collection's index as it was last seen; before that, the one it is to be made with.

        It is read when the collection is loaded, and again when it was rebuilt or tuned.
        """
        return self._index.index

    def index_state(self) -> IndexState | None:
        """The index as Milvus describes it now; None where there is none.

        Raises CollectionMissing.
        """
        return self._index.state()

    def rebuild_index(self, index: AnyIndex) -> None:
        """Put this index in the place of the collection's. Searches are refused meanwhile."""
        self._index.rebuild(index)

    def set_tuned(self, tuned: Tuned) -> None:
        """Keep with the collection what its searches are to use."""
        self._index.set_tuned(tuned)

    def tuned(self) -> Tuned | None:
        """What ``set_tuned`` kept, where it holds for the index that is there."""
        return self._index.holding(self._properties.tuned())

    def model(self) -> ModelRecord:
        """The recorded model. Raises CollectionMissing, or StoreError for a foreign collection."""
        if not self.exists():
            raise self._access.missing()
        record = self._properties.model()
        if record is None:
            raise StoreError(
                f"{self.place} was not made by this program; give another --milvus-collection"
            )
        return record

    def token(self, library: str) -> str | None:
        """The word that ``set_token`` kept for a library."""
        return self._properties.token(library)

    def set_token(self, library: str, token: str) -> None:
        """Keep a word for a library among the collection's properties."""
        self._properties.set_token(library, token)

    def note_run(self, library: str, run: LastRun, token: str | None = None) -> None:
        """Keep what the last run over a library did among the collection's properties."""
        self._properties.note_run(library, run, token)

    def last_runs(self) -> dict[str, LastRun]:
        """What ``note_run`` kept, by library; without those that cannot be read."""
        return self._properties.last_runs()

    def noted(self, *, tokens: bool = True) -> dict[str, str]:
        """What ``note_run`` and ``set_token`` kept, of all libraries, for ``note``."""
        return self._properties.noted(tokens=tokens)

    def note(self, noted: Mapping[str, str]) -> None:
        """Keep what another collection's ``noted`` gave."""
        self._properties.note(noted)

    def importing(self) -> str:
        """The name of the bulk import that was begun here and not seen to its end; or empty."""
        return self._properties.importing()

    def set_importing(self, run: str) -> None:
        """Keep the name of a bulk import that is handed over; empty when it has ended."""
        self._properties.set_importing(run)

    def _delete(self, ids: list[int], client: MilvusClient) -> None:
        client.delete(self.name, ids=ids, timeout=self._access.timeout)
