"""The index that a collection really has: read, rebuilt, and what a measurement chose for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pymilvus import MilvusClient

from milvus.index_params import METRIC_TYPE, AnyIndex, described_index
from milvus.schema import EMBEDDING


@dataclass(frozen=True)
class IndexState:
    """An index as Milvus describes it."""

    index_type: str
    metric_type: str
    params: Mapping[str, Any]
    """Build parameters."""
    indexed_rows: int
    pending_rows: int
    """Rows that are searched without the index until it is built for them."""
    state: str
    """Milvus's word: ``Finished``, ``InProgress``, ``Failed`` …"""

    @property
    def known(self) -> AnyIndex | None:
        """Its parameters; None for a type that this program does not make."""
        return described_index(self.index_type, self.params)


@dataclass(frozen=True)
class Tuned:
    """What ``image-search tune`` chose, as it is kept with the collection."""

    index_type: str
    """The choice holds for an index of this type and these build parameters alone."""
    params: dict[str, int]
    effort: int
    """``nprobe`` or ``ef``; 0 where the index was only just rebuilt and nothing is chosen yet."""
    recall: float
    """What was measured, at 16 results."""
    rows: int
    at: str
    """ISO 8601 in UTC."""


_TUNED = TypeAdapter(Tuned)


def tuned_to_text(tuned: Tuned) -> str:
    """As a collection's property."""
    return _TUNED.dump_json(tuned).decode()


def tuned_from_text(text: str) -> Tuned | None:
    """What ``tuned_to_text`` wrote; None where there is nothing, or it cannot be read."""
    try:
        return _TUNED.validate_json(text) if text else None
    except ValidationError:
        return None


def read_index(client: MilvusClient, collection: str, timeout: float) -> IndexState | None:
    """The index of the collection's vectors; None where there is none."""
    names = client.list_indexes(collection, field_name=EMBEDDING, timeout=timeout)
    if not names:
        return None
    found = client.describe_index(collection, names[0], timeout=timeout)
    return IndexState(
        index_type=str(found["index_type"]),
        metric_type=str(found["metric_type"]),
        params=_numbers(found.get("params") or found),
        indexed_rows=int(found.get("indexed_rows", 0)),
        pending_rows=int(found.get("pending_index_rows", 0)),
        state=str(found.get("state", "")),
    )


def index_request(index: AnyIndex) -> Any:
    """What pymilvus makes an index of."""
    params = MilvusClient.prepare_index_params()
    # Milvus Lite reads build parameters only under the key "params"; servers take both.
    params.add_index(
        EMBEDDING,
        index_type=index.index_type,
        metric_type=METRIC_TYPE,
        params={"params": index.build()},
    )
    return params


def make_index(client: MilvusClient, collection: str, index: AnyIndex, timeout: float) -> None:
    """Build the index of a collection that has none, and load the collection."""
    client.create_index(collection, index_request(index))
    client.load_collection(collection, timeout=max(timeout, 60.0))


def rebuild(client: MilvusClient, collection: str, index: AnyIndex, timeout: float) -> None:
    """Put another index in the place of a collection's, and wait until it is built.

    Searches are refused meanwhile. Safe to run again after it was stopped half-way.
    """
    client.release_collection(collection, timeout=timeout)
    for name in client.list_indexes(collection, field_name=EMBEDDING, timeout=timeout):
        client.drop_index(collection, name, timeout=timeout)
    client.create_index(collection, index_request(index))
    client.load_collection(collection)


def _numbers(params: Mapping[str, Any]) -> dict[str, int]:
    """Milvus writes numbers as such or as text."""
    return {name: int(v) for name, v in params.items() if str(v).isdecimal()}
