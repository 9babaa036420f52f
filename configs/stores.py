"""What the settings say of a store, as the plain arguments of ``milvus.opening``."""

from typing import Any, TypedDict

from configs.settings import MilvusSettings, Settings, TargetSettings


class StoreArguments(TypedDict):
    """Which collection, where, and what its server asks for."""

    uri: str
    name: str
    index_type: str
    token: str
    db_name: str
    timeout: float
    tls: dict[str, Any]


def store_of(settings: Settings, collection: str | None = None) -> StoreArguments:
    """The store's collection, or another one of that store."""
    return _arguments(settings, settings.milvus, settings.milvus_uri, collection)


def target_of(settings: Settings) -> StoreArguments | None:
    """The collection to copy to; None where no address was given."""
    uri = settings.to.address
    return _arguments(settings, settings.to, uri, settings.to.collection) if uri else None


def _arguments(
    settings: Settings, group: MilvusSettings | TargetSettings, uri: str, collection: str | None
) -> StoreArguments:
    return StoreArguments(
        uri=uri,
        name=collection or settings.milvus.collection,
        index_type=settings.milvus.index_type,
        token=group.secret_token,
        db_name=group.db_name,
        timeout=settings.milvus.timeout,
        tls=group.tls,
    )
