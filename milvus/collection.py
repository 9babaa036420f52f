"""MilvusCollection: the image store in a Milvus collection."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from milvus import filters, runs
from milvus.aliases import Aliases
from milvus.connection import Connection
from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.errors import (
    AliasInTheWay,
    CollectionMissing,
    ModelMismatch,
    StoreError,
    StoreUnavailable,
)
from milvus.filters import EVERYTHING, ImageFilter
from milvus.index_params import METRIC_TYPE, AnyIndex, choose_index
from milvus.index_state import (
    IndexState,
    Tuned,
    index_request,
    make_index,
    read_index,
    rebuild,
    tuned_from_text,
    tuned_to_text,
)
from milvus.lite import without_clustering_warnings
from milvus.lite_files import check_room, discard_indexes
from milvus.runs import LastRun
from milvus.schema import (
    EMBEDDING,
    FIXED_FIELDS,
    IMPORT_PROPERTY,
    KEY,
    RUN_PROPERTIES,
    TOKEN_PROPERTIES,
    TUNED_PROPERTY,
    build_schema,
    from_entity,
    model_properties,
    model_record,
    run_property,
    to_entity,
    token_property,
)

# Rows that one step of a scan fetches. Milvus allows 16,384 in one answer.
SCAN_BATCH = 1000
# How often a scan goes on without having got any further.
SCAN_RETRIES = 3
ALL_FIELDS = ["*"]


class MilvusCollection:
    """The ImageStore protocol over one collection."""

    def __init__(
        self, connection: Connection, name: str = "images", index_type: str = "IVF_FLAT"
    ) -> None:
        """``index_type`` is what a collection is made with; one that is there keeps its own."""
        self.name = name
        self._index: AnyIndex = choose_index(index_type, connection.is_lite)
        self._tuned_text = ""
        self.connection = connection
        self._loaded_by: MilvusClient | None = None

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
        return f"collection {self.name!r} in {self.address}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for two objects that are over one collection."""
        return (*self.connection.identity, self.name)

    def prepare(self, model: ModelRecord) -> None:
        """Make the collection, or check that it belongs to this model.

        Raises ModelMismatch with what to do.
        """
        if not self.exists():
            self._call(lambda client: self._create(client, model))
            return
        recorded = self.model()
        if recorded.model_id != model.model_id or recorded.dim != model.dim:
            raise self.mismatch(recorded, f"{model.model_id} ({model.dim})")
        self.complete()
        if recorded != model:
            # The same weights under another name or in another place: searching needs the new one.
            self._set_properties(model_properties(model))

    def complete(self) -> None:
        """Make the index of a collection that was made without: a kill may come between the two.

        For writers, who take turns: another one may be rebuilding it.
        """
        if self.index_state() is None:
            self._call(lambda client: make_index(client, self.name, self._index, self._timeout))

    def mismatch(self, recorded: ModelRecord, asked: str) -> ModelMismatch:
        """The error for a model that is not the collection's, with what to do."""
        return ModelMismatch(
            f"{self.place} was indexed with {recorded.model_id} "
            f"({recorded.dim} dimensions), not {asked}; use --model {recorded.name}"
            + (f" --pretrained {recorded.pretrained}" if recorded.pretrained else "")
            + ", or another --milvus-collection, or image-search drop"
        )

    def exists(self) -> bool:
        """Whether anything was ever indexed."""
        return bool(
            self._call(lambda client: client.has_collection(self.name, timeout=self._timeout))
        )

    def model(self) -> ModelRecord:
        """The recorded model. Raises CollectionMissing, or StoreError for a foreign collection."""
        if not self.exists():
            raise self._missing()
        record = model_record(self._properties())
        if record is None:
            raise StoreError(
                f"{self.place} was not made by this program; give another --milvus-collection"
            )
        return record

    def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        """Write images, replacing those with the same id."""
        entities = [to_entity(row, vector) for row, vector in zip(rows, embeddings, strict=True)]
        if entities:
            self._check_room()
            self._call(lambda client: client.upsert(self.name, entities, timeout=self._timeout))

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images by id."""
        for start in range(0, len(ids), SCAN_BATCH):
            batch = list(ids[start : start + SCAN_BATCH])
            self._call(partial(self._delete, batch))

    @property
    def is_lite(self) -> bool:
        """Whether this is a local file."""
        return self.connection.is_lite

    @property
    def index(self) -> AnyIndex:
        """The collection's index as it was last seen; before that, the one it is to be made with.

        It is read when the collection is loaded, and again when it was rebuilt or tuned.
        """
        return self._index

    def version(self) -> str:
        """What Milvus calls itself."""
        return str(self._call(lambda client: client.get_server_version(timeout=self._timeout)))

    def index_state(self) -> IndexState | None:
        """The index as Milvus describes it now; None where there is none.

        Raises CollectionMissing.
        """
        if not self.exists():
            raise self._missing()
        state: IndexState | None = self._call(
            lambda client: read_index(client, self.name, self._timeout)
        )
        return state

    def rebuild_index(self, index: AnyIndex) -> None:
        """Put this index in the place of the collection's. Searches are refused meanwhile."""
        with self._quietly():
            self._call(lambda client: rebuild(client, self.name, index, self._timeout))
        # What was chosen for the index before holds no more; noted, so that others look again.
        self.set_tuned(Tuned(index.index_type, index.build(), 0, 0.0, 0, ""))
        self._call(self._see_index)

    def set_tuned(self, tuned: Tuned) -> None:
        """Keep with the collection what its searches are to use."""
        self._set_properties({TUNED_PROPERTY: tuned_to_text(tuned)})
        self._call(self._see_index)

    def tuned(self) -> Tuned | None:
        """What ``set_tuned`` kept, where it holds for the index that is there."""
        tuned = tuned_from_text(self._properties().get(TUNED_PROPERTY, ""))
        return tuned if tuned is not None and self._holds(tuned, self._index) else None

    def flush(self) -> None:
        """Seal what was written into indexed segments."""
        self._check_room()
        with self._quietly():
            self._call(lambda client: client.flush(self.name, timeout=max(self._timeout, 60.0)))

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
        expression = only.expression()
        answers = self._loaded_call(
            lambda client: client.search(
                self.name,
                data=[np.ascontiguousarray(embedding, dtype=np.float32)],
                anns_field=EMBEDDING,
                limit=top_k,
                filter=expression,
                output_fields=[*self._whole_row, *([EMBEDDING] if with_embeddings else [])],
                search_params=self._searching(top_k, effort, bool(expression)),
                timeout=self._timeout,
            )
        )
        return [
            Match(
                from_entity(hit.id, hit["entity"]),
                float(hit["distance"]),
                _embedding(hit["entity"]) if with_embeddings else None,
            )
            for hit in answers[0]
        ]

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        """The images of these ids that are there, with their extras."""
        found = self._get(ids, self._whole_row)
        return [from_entity(row[KEY], row) for row in found]

    def at_paths(self, paths: Sequence[str]) -> list[ImageRow]:
        """The images whose files these are, with their extras."""
        found: list[ImageRow] = []
        for start in range(0, len(paths), SCAN_BATCH):
            expression = filters.one_of("path", paths[start : start + SCAN_BATCH])
            found += [from_entity(row[KEY], row) for row in self._scan(expression, self._whole_row)]
        return found

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        """Stored embeddings by id."""
        found = self._get(ids, [EMBEDDING])
        return {row[KEY]: _embedding(row) for row in found}

    def ids(self) -> Iterator[int]:
        """The ids of all images."""
        return (row[KEY] for row in self._scan("", [KEY]))

    def vectors(self) -> Iterator[tuple[int, Embedding]]:
        """Ids and embeddings of all images."""
        return ((row[KEY], _embedding(row)) for row in self._scan("", [EMBEDDING]))

    def held_ids(self, ids: Sequence[int]) -> set[int]:
        """Those of these ids that are there."""
        return {row[KEY] for row in self._get(ids, [KEY])}

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        """All images, or a library's, without their extras."""
        expression = filters.equals("library", library) if library is not None else ""
        for row in self._scan(expression, [*FIXED_FIELDS]):
            yield from_entity(row[KEY], row)

    def entities(self, only: ImageFilter = EVERYTHING) -> Iterator[tuple[ImageRow, Embedding]]:
        """Images that the filter lets through, whole."""
        for row in self._scan(only.expression(), [*self._whole_row, EMBEDDING]):
            yield from_entity(row[KEY], row), _embedding(row)

    def held_hashes(self, content_hashes: Collection[str]) -> set[str]:
        """Those of these content hashes that an image of any library has."""
        # One step at a time a filter is the quicker way; for many steps, to read all hashes once.
        few = len(content_hashes) <= SCAN_BATCH
        expression = filters.one_of("content_hash", content_hashes) if few else ""
        wanted = set(content_hashes)
        found = self._scan(expression, ["content_hash"]) if wanted else ()
        return {row["content_hash"] for row in found} & wanted

    def count(self) -> int:
        """Number of images; what was deleted a moment ago does not count."""
        answer = self._loaded_call(
            lambda client: client.query(
                self.name,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=self._timeout,
            )
        )
        return int(answer[0]["count(*)"])

    def sealed_rows(self) -> int:
        """Rows in sealed segments, deleted ones included; whether or not an index is there."""
        found = self._call(
            lambda client: client.get_collection_stats(self.name, timeout=self._timeout)
        )
        return int(found["row_count"])

    def token(self, library: str) -> str | None:
        """The word that ``set_token`` kept for a library."""
        return self._properties().get(token_property(library)) or None

    def set_token(self, library: str, token: str) -> None:
        """Keep a word for a library among the collection's properties."""
        self._set_properties({token_property(library): token})

    def note_run(self, library: str, run: LastRun, token: str | None = None) -> None:
        """Keep what the last run over a library did among the collection's properties."""
        properties = {run_property(library): runs.to_text(library, run)}
        if token is not None:
            properties[token_property(library)] = token
        self._set_properties(properties)

    def last_runs(self) -> dict[str, LastRun]:
        """What ``note_run`` kept, by library; without those that cannot be read."""
        kept = self._properties().items()
        texts = [text for name, text in kept if name.startswith(RUN_PROPERTIES) and text]
        return dict(noted for text in texts if (noted := runs.from_text(text)))

    def noted(self, *, tokens: bool = True) -> dict[str, str]:
        """What ``note_run`` and ``set_token`` kept, of all libraries, for ``note``."""
        ours = (RUN_PROPERTIES, TOKEN_PROPERTIES) if tokens else (RUN_PROPERTIES,)
        return {k: text for k, text in self._properties().items() if text and k.startswith(ours)}

    def note(self, noted: Mapping[str, str]) -> None:
        """Keep what another collection's ``noted`` gave."""
        if noted:
            self._set_properties(dict(noted))

    def importing(self) -> str:
        """The name of the bulk import that was begun here and not seen to its end; or empty."""
        return self._properties().get(IMPORT_PROPERTY, "")

    def set_importing(self, run: str) -> None:
        """Keep the name of a bulk import that is handed over; empty when it has ended."""
        self._set_properties({IMPORT_PROPERTY: run})

    def reload(self) -> None:
        """Let searches and counts see what the server has imported, now and not some time later.

        Searches are refused for a moment. Milvus's own refreshing takes ten seconds.
        """
        self._call(lambda client: client.release_collection(self.name, timeout=self._timeout))
        self._loaded_by = None
        self.count()

    def drop_library(self, library: str) -> int:
        """Remove the entries of one library and what is noted of it; their number."""
        keys = [row.m_id for row in self.rows(library)]
        # Emptied: older servers cannot take a property away.
        self._set_properties({token_property(library): "", run_property(library): ""})
        if keys:
            self.delete(keys)
            self.flush()
        return len(keys)

    def drop(self) -> None:
        """Remove the collection with all its images' entries; the files stay.

        By an alias, both go. Raises AliasInTheWay for a collection that other names stand for.
        """
        aliases = Aliases(self.connection)
        own = aliases.collection_of(self.name)
        if own is None:
            raise self._missing()
        others = [alias for alias in aliases.of(own) if alias != self.name]
        if others:
            raise AliasInTheWay(
                f"{self.place} is in use as {others[0]}; image-search switch another collection "
                f"into its place first, or drop it with --milvus-collection {others[0]}"
            )
        if own != self.name:
            aliases.drop(self.name)
        self._call(lambda client: client.drop_collection(own, timeout=self._timeout))

    def discard(self) -> None:
        """Remove a collection that was made a moment ago, so that no other name stands for it."""
        self._call(lambda client: client.drop_collection(self.name, timeout=self._timeout))

    def siblings(self) -> list["MilvusCollection"]:
        """The other collections of this program in the same store."""
        own = Aliases(self.connection).collection_of(self.name)
        names = self._call(lambda client: client.list_collections(timeout=self._timeout))
        others = [MilvusCollection(self.connection, n) for n in names if n not in (own, self.name)]
        return [other for other in others if model_record(other._properties()) is not None]

    def _properties(self) -> dict[str, str]:
        described = self._call(
            lambda client: client.describe_collection(self.name, timeout=self._timeout)
        )
        properties = dict(described.get("properties") or {})
        # Read with every search, so this is where another program's tuning is seen at once.
        if properties.get(TUNED_PROPERTY, "") != self._tuned_text:
            self._call(self._see_index)
        return properties

    def _see_index(self, client: MilvusClient) -> None:
        """Search as the index that is there needs it, whatever the settings say."""
        described = client.describe_collection(self.name, timeout=self._timeout)
        text = dict(described.get("properties") or {}).get(TUNED_PROPERTY, "")
        state = read_index(client, self.name, self._timeout)
        if state is not None and state.known is not None:
            tuned = tuned_from_text(text)
            chosen = tuned is not None and tuned.effort > 0 and self._holds(tuned, state.known)
            self._index = state.known.with_effort(tuned.effort) if tuned and chosen else state.known
        self._tuned_text = text

    @staticmethod
    def _holds(tuned: Tuned, index: AnyIndex) -> bool:
        return tuned.index_type == index.index_type and tuned.params == index.build()

    def _searching(self, top_k: int, effort: int | None, is_filtered: bool) -> dict[str, Any]:
        if effort is None:
            params = self._index.search(top_k, is_filtered=is_filtered)
        else:
            params = self._index.with_effort(effort).search(top_k)
        return {"metric_type": METRIC_TYPE, "params": params}

    def _set_properties(self, properties: dict[str, str]) -> None:
        self._call(
            lambda client: client.alter_collection_properties(
                self.name, properties, timeout=self._timeout
            )
        )

    def _delete(self, ids: list[int], client: MilvusClient) -> None:
        client.delete(self.name, ids=ids, timeout=self._timeout)

    def _create(self, client: MilvusClient, model: ModelRecord) -> None:
        client.create_collection(
            self.name,
            schema=build_schema(model.dim),
            index_params=index_request(self._index),
            properties=model_properties(model),
            consistency_level="Session",
            timeout=self._timeout,
        )

    def _scan(self, expression: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        """Rows by their keys, upwards; goes on after the last one where the store was away."""
        last: int | None = None
        tried_again = 0
        while True:
            rest = expression
            if last is not None:
                rest = f"({expression}) and {KEY} > {last}" if expression else f"{KEY} > {last}"
            iterator = self._loaded_call(partial(self._iterator, rest, fields))
            try:
                while batch := self.connection.attempt(partial(_next, iterator)):
                    yield from batch
                    last, tried_again = batch[-1][KEY], 0
                return
            except StoreUnavailable:
                tried_again += 1
                if tried_again > SCAN_RETRIES:
                    raise
            finally:
                with suppress(Exception):  # there is nothing to be freed on the other side
                    iterator.close()

    def _iterator(self, expression: str, fields: list[str], client: MilvusClient) -> Any:
        return client.query_iterator(
            self.name,
            batch_size=SCAN_BATCH,
            filter=expression,
            output_fields=fields,
            consistency_level="Strong",
            timeout=max(self._timeout, 30.0),
        )

    @property
    def _whole_row(self) -> list[str]:
        """Output fields of a row with its extras, which are in ``$meta``; Lite has no such name."""
        return ALL_FIELDS if self.connection.is_lite else [*FIXED_FIELDS, "$meta"]

    def _get(self, ids: Sequence[int], fields: list[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        found: list[dict[str, Any]] = self._loaded_call(
            lambda client: client.get(
                self.name,
                ids=list(ids),
                output_fields=fields,
                consistency_level="Strong",
                timeout=self._timeout,
            )
        )
        return found

    def _loaded_call(self, operation: Callable[[MilvusClient], Any]) -> Any:
        """Milvus reads only collections that are loaded; one opens released after a restart."""

        def loaded(client: MilvusClient) -> Any:
            if self._loaded_by is not client:
                if not client.has_collection(self.name, timeout=self._timeout):
                    raise self._missing()
                self._load(client)
                self._see_index(client)
                self._loaded_by = client
            try:
                return operation(client)
            except Exception:
                # A server that came back may have let go of it, or an alias stand for another.
                self._loaded_by = None
                raise

        return self._call(loaded)

    def _load(self, client: MilvusClient) -> None:
        timeout = max(self._timeout, 60.0)
        try:
            client.load_collection(self.name, timeout=timeout)
        except MilvusException as error:
            if not self.is_lite or "faiss" not in str(error):
                raise
            discard_indexes(Path(self.connection.uri))
            client.load_collection(self.name, timeout=timeout)

    def _check_room(self) -> None:
        if self.is_lite and Path(self.connection.uri).exists():
            check_room(Path(self.connection.uri))

    def _call(self, operation: Callable[[MilvusClient], Any]) -> Any:
        return self.connection.call(operation)

    def _quietly(self) -> AbstractContextManager[None]:
        return without_clustering_warnings() if self.is_lite else nullcontext()

    @property
    def _timeout(self) -> float:
        return self.connection.timeout

    def _missing(self) -> CollectionMissing:
        return CollectionMissing.at(self.address)


def _next(iterator: Any, client: MilvusClient) -> list[dict[str, Any]]:
    """The next rows; the iterator has a client of its own."""
    rows: list[dict[str, Any]] = iterator.next()
    return rows


def _embedding(entity: Mapping[str, Any]) -> Embedding:
    return np.asarray(entity[EMBEDDING], dtype=np.float32)
