"""Remove an index, or a library's part of it, with the thumbnails that nobody needs any more."""

import contextlib

from embeddings.leftovers import Leftovers
from milvus.collection import MilvusCollection
from milvus.errors import StoreError


def drop(store: MilvusCollection, library: str | None, leftovers: Leftovers) -> None:
    """Remove a library's entries, or with None the whole collection.

    Raises StoreError, and OSError where all of it is done but thumbnails could not be deleted.
    """
    doubtful: set[str] = set()
    # A collection that cannot be read, such as another program's, can be dropped all the same.
    with contextlib.suppress(StoreError):
        doubtful = {row.content_hash for row in store.rows(library)}
    with contextlib.suppress(OSError):  # deleting frees a full disk: try that all the same
        leftovers.note(doubtful)
        doubtful |= leftovers.noted()
    if library is None:
        siblings = store.siblings()
        store.drop()
        leftovers.settle(
            doubtful,
            lambda hashes: set[str]().union(*(other.held_hashes(hashes) for other in siblings)),
        )
    else:
        store.drop_library(library)
        leftovers.settle(doubtful, store.held_hashes)
