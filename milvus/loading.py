"""Loaded: Milvus reads only collections that are loaded; one opens released after a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from milvus.access import Access
from milvus.lite_files import discard_indexes


class Loaded:
    """A collection that is loaded before it is read. Methods raise StoreError.

    ``on_load`` gets the client that has loaded it, before anything is read.
    """

    def __init__(self, access: Access, on_load: Callable[[MilvusClient], None]) -> None:
        self.access = access
        self._on_load = on_load
        self._loaded_by: MilvusClient | None = None

    def call(self, operation: Callable[[MilvusClient], Any]) -> Any:
        """Run an operation that may safely run several times. Raises CollectionMissing."""

        def loaded(client: MilvusClient) -> Any:
            if self._loaded_by is not client:
                if not self.access.is_there(client):
                    raise self.access.missing()
                self._load(client)
                self._on_load(client)
                self._loaded_by = client
            try:
                return operation(client)
            except Exception:
                # A server that came back may have let go of it, or an alias stand for another.
                self._loaded_by = None
                raise

        return self.access.call(loaded)

    def release(self) -> None:
        """Let the next call load the collection anew."""
        name, timeout = self.access.name, self.access.timeout
        self.access.call(lambda client: client.release_collection(name, timeout=timeout))
        self._loaded_by = None

    def _load(self, client: MilvusClient) -> None:
        access = self.access
        timeout = max(access.timeout, 60.0)
        try:
            client.load_collection(access.name, timeout=timeout)
        except MilvusException as error:
            if not access.is_lite or "faiss" not in str(error):
                raise
            discard_indexes(Path(access.connection.uri))
            client.load_collection(access.name, timeout=timeout)
