"""Access: one collection of a connection, and the calls that several of its subjects make."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient

from milvus.connection import Connection
from milvus.errors import CollectionMissing
from milvus.lite import without_clustering_warnings
from milvus.lite_files import check_room


class Access:
    """A collection by its name or an alias. Methods raise StoreError."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name

    @property
    def is_lite(self) -> bool:
        """Whether this is a local file."""
        return self.connection.is_lite

    @property
    def place(self) -> str:
        """The collection and its store, for messages."""
        return f"collection {self.name!r} in {self.connection.place}"

    @property
    def timeout(self) -> float:
        """Seconds for a call."""
        return self.connection.timeout

    def call(self, operation: Callable[[MilvusClient], Any]) -> Any:
        """Run an operation that may safely run several times."""
        return self.connection.call(operation)

    def exists(self) -> bool:
        """Whether the collection is there."""
        return bool(self.call(self.is_there))

    def is_there(self, client: MilvusClient) -> bool:
        """The same by a client at hand."""
        return bool(client.has_collection(self.name, timeout=self.timeout))

    def missing(self) -> CollectionMissing:
        """The error for a collection that is not there."""
        return CollectionMissing.at(self.connection.place)

    def properties(self, client: MilvusClient) -> dict[str, str]:
        """The collection's properties, ours and Milvus's own."""
        described = client.describe_collection(self.name, timeout=self.timeout)
        return dict(described.get("properties") or {})

    def set_properties(self, properties: dict[str, str]) -> None:
        """Write some of the collection's properties; the others stay."""
        self.call(
            lambda client: client.alter_collection_properties(
                self.name, properties, timeout=self.timeout
            )
        )

    def check_room(self) -> None:
        """Whether a local file's disk has room for more rows."""
        if self.is_lite and Path(self.connection.uri).exists():
            check_room(Path(self.connection.uri))

    def quietly(self) -> AbstractContextManager[None]:
        """Without what a local file's engine prints as it builds an index."""
        return without_clustering_warnings() if self.is_lite else nullcontext()
