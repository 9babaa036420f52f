"""From parts to one query vector: weighted sums, and moves towards and away."""

from collections.abc import Sequence

import numpy as np

from embeddings.encoder import Embeddings
from milvus.entities import Embedding
from webapp.errors import BadQuery

# Parts that cancel each other out leave rounding errors, which point anywhere.
LEAST_LENGTH = 1e-4
# A whole step away would go as far beyond the query as the concept lies before it.
AWAY = 0.5


def mix(embeddings: Embeddings, weights: Sequence[float]) -> Embedding:
    """The weighted sum of unit vectors, normalised: shapes ``(n, dim)`` and ``(n,)`` → ``(dim,)``.

    Raises BadQuery where the parts cancel each other out.
    """
    return _unit(np.asarray(weights, dtype=np.float32) @ embeddings)


def moved_towards(vector: Embedding, targets: Embeddings, force: float) -> Embedding:
    """``(1 - force) * vector + force * mean(targets)``, normalised."""
    return _unit((1 - force) * vector + force * targets.mean(axis=0))


def moved_away(vector: Embedding, targets: Embeddings, force: float) -> Embedding:
    """``vector + force / 2 * (vector - mean(targets))``, normalised.

    Both moves follow Weaviate's nearText, which halves this one too.
    """
    return _unit(vector + AWAY * force * (vector - targets.mean(axis=0)))


def _unit(vector: Embedding) -> Embedding:
    length = float(np.linalg.norm(vector))
    if length < LEAST_LENGTH:
        raise BadQuery("the parts of the query cancel each other out; change words or weights")
    return np.ascontiguousarray(vector / length, dtype=np.float32)
