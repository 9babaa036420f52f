"""Pictures that show what a category holds."""

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Embeddings

ROUNDS = 20
# Squared distance below which two unit vectors are copies of one picture.
SAME = 1e-4


def representatives(embeddings: Embeddings, count: int) -> list[int]:
    """Row numbers of at most ``count`` pictures that differ from each other, most typical first.

    The pictures are grouped by k-means, and each group shows the one nearest to its middle: so
    every kind of picture in the category is there, and none that is like no other is shown before
    those that many are like. Copies of a picture count as one. Equal embeddings, equal answer.
    """
    centres = _seeds(embeddings, count)
    for _ in range(ROUNDS):
        nearest = _nearest(embeddings, centres)
        moved = np.stack(
            [
                embeddings[nearest == k].mean(axis=0) if (nearest == k).any() else centre
                for k, centre in enumerate(centres)
            ]
        )
        if np.allclose(moved, centres, atol=1e-6):
            break
        centres = moved
    nearest = _nearest(embeddings, centres)
    chosen: list[tuple[int, int]] = []
    for k, centre in enumerate(centres):
        members = np.flatnonzero(nearest == k)
        if members.size:
            distances = ((embeddings[members] - centre) ** 2).sum(axis=1)
            chosen.append((-members.size, int(members[distances.argmin()])))
    return [row for _, row in sorted(chosen)]


def _seeds(embeddings: Embeddings, count: int) -> NDArray[np.float32]:
    """First centres, by chance but far from each other (k-means++, Arthur and Vassilvitskii 2007).

    The first is the picture nearest to the mean.
    """
    chance = np.random.default_rng(0)
    first = int(((embeddings - embeddings.mean(axis=0)) ** 2).sum(axis=1).argmin())
    chosen = [first]
    distances = ((embeddings - embeddings[first]) ** 2).sum(axis=1)
    while len(chosen) < count:
        distances[distances < SAME] = 0
        if not distances.any():
            break
        weights = distances.astype(np.float64)
        pick = int(chance.choice(len(embeddings), p=weights / weights.sum()))
        chosen.append(pick)
        distances = np.minimum(distances, ((embeddings - embeddings[pick]) ** 2).sum(axis=1))
    return embeddings[chosen]


def _nearest(embeddings: Embeddings, centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of the centre nearest to each row."""
    similarity = embeddings @ centres.T - (centres**2).sum(axis=1) / 2
    nearest: NDArray[np.int64] = similarity.argmax(axis=1)
    return nearest
