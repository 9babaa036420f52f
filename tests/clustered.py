"""Vectors that fall into overlapping clusters, as CLIP's do, and exact search over them."""

import numpy as np

from embeddings.encoder import Embeddings
from milvus.collection import MilvusCollection
from milvus.entities import ImageRow

WRITE = 500


def clustered(count: int, dim: int, seed: int = 0) -> Embeddings:
    """Unit rows around 60 centres in a space of 24 dimensions, all shifted to one side.

    The space and the centres are the same whatever the seed, so that rows of one make queries for
    those of another.
    """
    space = np.random.default_rng(20261121)
    centres = space.normal(size=(60, 24))
    into, shift = space.normal(size=(24, dim)) / 24**0.5, space.normal(size=dim)
    chance = np.random.default_rng(seed)
    inner = centres[chance.integers(0, 60, count)] + chance.normal(size=(count, 24))
    rows = inner @ into + 0.5 * shift + 0.1 * chance.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fill(store: MilvusCollection, vectors: Embeddings) -> None:
    """Store each vector as a picture whose ``size`` and id are its number, and flush."""
    rows = [
        ImageRow(n, f"/l/{n}.jpg", "/l", "", n, n, f"{n:032x}", 40, 30) for n in range(len(vectors))
    ]
    for start in range(0, len(rows), WRITE):
        store.upsert(rows[start : start + WRITE], list(vectors[start : start + WRITE]))
    store.flush()


def exact_ids(queries: Embeddings, vectors: Embeddings, top_k: int = 16) -> list[set[int]]:
    """The numbers of the best vectors for each query."""
    return [set(best.tolist()) for best in np.argsort(-(queries @ vectors.T), axis=1)[:, :top_k]]


def recall(
    store: MilvusCollection,
    queries: Embeddings,
    exact: list[set[int]],
    effort: int | None = None,
) -> float:
    """The share of the exact answers that the store finds."""
    found = [
        {match.row.m_id for match in store.search(query, len(best), effort=effort)} & best
        for query, best in zip(queries, exact, strict=True)
    ]
    return sum(map(len, found)) / sum(map(len, exact))
