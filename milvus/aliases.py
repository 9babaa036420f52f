"""Aliases: names that stand for a collection, and for another one in a single step.

Searching, reading and writing by an alias are as by the collection's own name, so a collection can
be made beside the one in use and put in its place while programs search.
"""

from milvus.connection import Connection
from milvus.errors import AliasInTheWay, CollectionMissing


class Aliases:
    """The aliases of a store's database. Methods raise StoreError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._timeout = connection.timeout

    def collection_of(self, name: str) -> str | None:
        """The collection behind a name, which may be its own; None where there is none."""
        call = self._connection.call
        if not call(lambda client: client.has_collection(name, timeout=self._timeout)):
            return None
        described = call(lambda client: client.describe_collection(name, timeout=self._timeout))
        return str(described["collection_name"])

    def of(self, collection: str) -> list[str]:
        """The aliases of a collection."""
        return list(
            self._connection.call(
                lambda client: client.list_aliases(collection, timeout=self._timeout)["aliases"]
            )
        )

    def point(self, alias: str, collection: str, rename_to: str | None = None) -> str | None:
        """Make a name stand for a collection.

        What the name stood for before, by its name now; empty for nothing, None where it stood
        for this collection already.

        Who searches by the name gets the one or the other collection, and no error: the new one is
        loaded before. Where the name is a collection's own, that one must be renamed to
        ``rename_to`` first; for that moment there is nothing of the name.

        Raises CollectionMissing, or AliasInTheWay with what to do.
        """
        call = self._connection.call
        there = self.collection_of(collection)
        if there is None:
            raise CollectionMissing(
                f"there is no collection {collection!r} in {self._connection.uri}; make it first: "
                f"index-folder FOLDER --milvus-collection {collection}"
            )
        before = self.collection_of(alias)
        if before == there:
            if alias == there:
                raise AliasInTheWay(f"{alias!r} is this collection's own name already")
            return None
        call(lambda client: client.load_collection(there, timeout=max(self._timeout, 60.0)))
        if before is None:
            call(lambda client: client.create_alias(there, alias, timeout=self._timeout))
            return ""
        if before != alias:
            call(lambda client: client.alter_alias(there, alias, timeout=self._timeout))
            return before
        if rename_to is None:
            raise AliasInTheWay(
                f"{alias!r} is a collection's own name; --keep-as NAME gives that collection "
                "another one first"
            )
        if self.collection_of(rename_to) is not None:
            raise AliasInTheWay(f"{rename_to!r} is taken; give another name to --keep-as")
        call(lambda client: client.rename_collection(alias, rename_to, timeout=self._timeout))
        call(lambda client: client.create_alias(there, alias, timeout=self._timeout))
        return rename_to

    def drop(self, alias: str) -> None:
        """Take an alias away; the collection stays."""
        self._connection.call(lambda client: client.drop_alias(alias, timeout=self._timeout))
