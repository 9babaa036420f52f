"""Make a collection, and drop it."""

from milvus.access import Access
from milvus.aliases import Aliases
from milvus.entities import ModelRecord
from milvus.errors import AliasInTheWay
from milvus.index_params import AnyIndex
from milvus.index_state import index_request
from milvus.properties import model_properties
from milvus.schema import build_schema


def create(access: Access, model: ModelRecord, index: AnyIndex) -> None:
    """Make an empty collection for a model's embeddings."""
    access.call(
        lambda client: client.create_collection(
            access.name,
            schema=build_schema(model.dim),
            index_params=index_request(index),
            properties=model_properties(model),
            consistency_level="Session",
            timeout=access.timeout,
        )
    )


def drop(access: Access) -> None:
    """Remove a collection; by an alias, both go.

    Raises CollectionMissing, or AliasInTheWay for a collection that other names stand for.
    """
    aliases = Aliases(access.connection)
    own = aliases.collection_of(access.name)
    if own is None:
        raise access.missing()
    others = [alias for alias in aliases.of(own) if alias != access.name]
    if others:
        raise AliasInTheWay(
            f"{access.place} is in use as {others[0]}; image-search switch another collection "
            f"into its place first, or drop it with --milvus-collection {others[0]}"
        )
    if own != access.name:
        aliases.drop(access.name)
    discard(access, own)


def discard(access: Access, name: str) -> None:
    """Remove a collection, by its own name, that no other name stands for."""
    access.call(lambda client: client.drop_collection(name, timeout=access.timeout))
