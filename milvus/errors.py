"""What can go wrong with the store, and the one place where Milvus's exceptions become ours.

    StoreError
    ├── StoreUnavailable     no answer from the address; may work when tried again
    ├── StoreRefused         the server wants another token, or does not allow this
    ├── StoreUnwritable      the file cannot be made, opened or written (permissions, disk)
    ├── StoreDamaged         the file is not whole, or of a newer version; it was left as it is
    ├── StoreLocked          another program holds the file and does not share it
    ├── DatabaseMissing      the server has no database of that name
    ├── CollectionMissing    nothing has been indexed yet
    ├── AliasInTheWay        a name cannot be made an alias, or its collection not be dropped
    ├── BulkUnusable         files for a bulk import cannot be written, or put where they belong
    ├── ImportFailed         the server could not import such files
    └── ModelMismatch        the collection was made by another model

Every message says what to do next, in one line.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from pymilvus.exceptions import MilvusException


class StoreError(Exception):
    """Base of everything that is wrong with the store."""


class StoreUnavailable(StoreError):
    """The store does not answer."""


class StoreRefused(StoreError):
    """The server knows us not, or does not let us."""


class StoreUnwritable(StoreError):
    """The local file cannot be made, opened or written."""


class StoreDamaged(StoreError):
    """The local file is not whole, or of a version that is not known here."""


class StoreLocked(StoreError):
    """Another program holds the local file."""


class DatabaseMissing(StoreError):
    """The server has no database of that name."""


class CollectionMissing(StoreError):
    """The collection does not exist: nothing was indexed."""

    @classmethod
    def at(cls, address: str) -> "CollectionMissing":
        """The error for a store, with what to do."""
        return cls(f"nothing is indexed in {address}; run: index-folder FOLDER")


class AliasInTheWay(StoreError):
    """A name is a collection's or an alias's already."""


class BulkUnusable(StoreError):
    """Files for a bulk import cannot be made, or not be put where the server reads them."""


class ImportFailed(StoreError):
    """The server did not import the files it was given."""


class ModelMismatch(StoreError):
    """The collection holds embeddings of another model."""


_UNAVAILABLE = (
    "fail connecting",
    "failed to connect",
    "connection refused",
    "deadline exceeded",
    "unavailable",
    "should create connection",
    "illegal uri",
    "socket closed",
    "not ready",
    "retry run out",
    "retried",
    "timeout",
)
# A server that has just started and does not hold everything yet says so in many ways.
_RECOVERING = (
    "node not match",
    "node not found",
    "node offline",
    "not available",
    "not fully loaded",
    "not loaded",
    "no available shard",
    "not healthy",
    "on recovering",
    "unsubscribed",
    "replica not found",
    "channel not found",
    "segment not found",
    "lacks of",
)
_REFUSED = ("auth check", "unauthenticated", "authenticat", "permission deny", "privilege")
# "database not found[database=photos]", or "database:photos not found".
_NO_DATABASE = re.compile(r"database[^\[\]]{0,255}not (found|exist)")
_MISSING = ("collection not found", "can't find collection", "not exist", "collectionnotfound")
_WITHOUT_INDEX = ("index not found", "no vector index", "not loaded", "index doesn't exist")
# What the engine says of a local file's parts that are garbled inside.
_DAMAGED = ("parquet", "byte_array", "deserialize", "thrift", "snappy", "corrupt", "dictionary")
_UNWRITABLE = ("read-only", "permission denied", "no space left", "disk quota", "file too large")


def translate(error: BaseException, address: str) -> StoreError:
    """Our error for one of pymilvus's or gRPC's."""
    rpc = _rpc_error(error)
    # A message may spread over lines; the first says it.
    message = getattr(error, "message", None) or (rpc and rpc.details()) or str(error)
    line = (message.strip() or type(error).__name__).splitlines()[0][:200]
    lower = f"{line} {error!r}".lower()
    if rpc is not None and rpc.code() is grpc.StatusCode.UNAUTHENTICATED:
        return StoreRefused(
            f"Milvus at {address} does not let us in ({rpc.details() or 'no user'}); "
            "check --milvus-token"
        )
    if _NO_DATABASE.search(message.lower()):
        return DatabaseMissing(
            f"Milvus at {address} has no such database; check --milvus-db (index-folder makes a "
            "database that is missing)"
        )
    if any(words in lower for words in _UNWRITABLE):
        return StoreUnwritable(f"the store {address} cannot be written: {line}")
    if any(words in lower for words in _WITHOUT_INDEX):
        return StoreUnavailable(
            f"the index of the collection in {address} is being rebuilt: try again; where nobody "
            "rebuilds it, run image-search tune --rebuild"
        )
    if any(words in lower for words in _MISSING):
        return CollectionMissing.at(address)
    if any(words in lower for words in _REFUSED):
        return StoreRefused(
            f"Milvus at {address} refuses access ({line}); check --milvus-token and --milvus-db"
        )
    if "://" not in address and any(words in lower for words in _DAMAGED):
        return StoreDamaged(
            f"the store {address} is damaged ({line}); it was left as it is: put it back from a "
            "copy, or move it away and index again"
        )
    lost = isinstance(error, grpc.RpcError | ConnectionError)
    if any(words in message.lower() for words in _RECOVERING):
        return StoreUnavailable(
            f"Milvus at {address} is not ready ({line[:100]}); wait until it is, or restart it"
        )
    if lost or any(words in lower for words in _UNAVAILABLE):
        return StoreUnavailable(
            f"no answer from Milvus at {address}; start it, or give another --milvus-uri"
        )
    return StoreError(f"Milvus at {address}: {line}")


def _rpc_error(error: BaseException) -> grpc.RpcError | None:
    """gRPC's own error, which pymilvus hides behind "fail connecting" while it connects."""
    for candidate in (error, error.__cause__):
        if isinstance(candidate, grpc.RpcError) and hasattr(candidate, "code"):
            return candidate
    return None


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise ours in place of what pymilvus and gRPC raise."""
    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
        raise translate(error, address) from error
    except ConnectionError as error:
        raise translate(error, address) from error
    except OSError as error:
        raise StoreUnwritable(f"the store {address}: {error.strerror or error}") from error
    except ValueError as error:
        # gRPC's word for a channel that was closed under a call in flight.
        if "closed channel" in str(error).lower():
            raise StoreUnavailable(f"the connection to {address} was closed; try again") from error
        raise
