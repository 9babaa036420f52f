"""Vectors that behave like CLIP's, as many as are wanted, without a model.

Three things make CLIP's embeddings of pictures hard for an index, and are made here:

a narrow cone    all lie around one direction, two of them at a cosine of about 0.5 on average
                 (Liang et al. 2022, "Mind the Gap", https://arxiv.org/abs/2203.02053)
anisotropy       the variance around it falls with a power of the direction's rank (1.1): a hundred
                 of 768 directions hold four fifths of it
clusters         subjects, some of many pictures and most of few (Zipf's law with exponent 0.7),
                 which overlap: two pictures of one are at a cosine of 0.85 on average

The best of 100,000 is at 0.91 of a query, the sixteenth at 0.87. The numbers are a guess at a photo
collection's: measure your own with ``image-search tune``.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
CHUNK = 5000
SEED = 20261121
# Squared lengths: the cone's direction, the centres around it, the pictures around their centre.
CONE, BETWEEN, WITHIN = 2.0, 1.4, 0.6
DECAY = 1.1


class ClipLike:
    """Unit vectors of ``dim`` dimensions; the same number gives the same vector in any run."""

    def __init__(self, dim: int = 768, clusters: int = 2000) -> None:
        rng = np.random.default_rng(SEED)
        spread = np.arange(1, dim + 1) ** (-DECAY / 2)
        self._spread = (spread / np.linalg.norm(spread)).astype(np.float32)
        self._centres = rng.standard_normal((clusters, dim), dtype=np.float32) * self._spread
        self._centres *= np.float32(BETWEEN**0.5)
        self._ends = np.cumsum(1 / np.arange(1, clusters + 1) ** 0.7)
        self._ends /= self._ends[-1]
        self._cone = rng.normal(size=dim).astype(np.float32)
        self._cone *= np.float32(CONE**0.5) / np.linalg.norm(self._cone)
        # Every dimension carries a bit of everything, as a model's do.
        self._turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0].astype(np.float32)
        self.dim = dim

    def rows(self, count: int) -> Iterator[tuple[Matrix, NDArray[np.int64]]]:
        """``count`` vectors, ``CHUNK`` at a time, each chunk with its clusters' numbers."""
        for start in range(0, count, CHUNK):
            yield self._chunk(start // CHUNK, min(CHUNK, count - start))

    def queries(self, count: int) -> Matrix:
        """Vectors that are none of ``rows``."""
        return self._chunk(1 << 40, count)[0]

    def _chunk(self, number: int, count: int) -> tuple[Matrix, NDArray[np.int64]]:
        rng = np.random.default_rng([SEED, number])
        clusters = np.searchsorted(self._ends, rng.random(CHUNK)).astype(np.int64)[:count]
        within = rng.standard_normal((CHUNK, self.dim), dtype=np.float32)[:count] * self._spread
        within *= np.float32(WITHIN**0.5)
        rows = (self._centres[clusters] + within + self._cone) @ self._turn
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows, clusters
