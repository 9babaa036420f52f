"""Open a collection from plain values, as settings have them."""

from collections.abc import Mapping
from typing import Any

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.patience import Patience
from milvus.tls import Tls


def open_collection(
    *,
    uri: str,
    name: str,
    index_type: str,
    token: str,
    db_name: str,
    timeout: float,
    tls: Mapping[str, Any],
    create: bool = True,
    patience: Patience | None = None,
) -> MilvusCollection:
    """A collection with a connection of its own; nothing is asked of the store yet.

    ``tls`` are the fields of a ``Tls`` by name; the others are as ``Connection`` and
    ``MilvusCollection`` have them. Raises StoreError for certificates that cannot work.
    """
    connection = Connection(
        uri,
        token=token,
        db_name=db_name,
        timeout=timeout,
        create=create,
        tls=Tls(**tls),
        patience=patience,
    )
    return MilvusCollection(connection, name, index_type)
