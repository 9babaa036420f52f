"""A sample of a collection, and its embeddings as points in a plane."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from embeddings.encoder import Embeddings


def shares(counts: Mapping[str, int], total: int, few: int) -> dict[str, int]:
    """How many of each category are in a sample of ``total``: in proportion, but at least ``few``.

    Where there are too many categories for that, they get fewer; where there are more than
    ``total``, the largest have one each.

    >>> shares({"apple": 90, "kiwi": 9, "lime": 1}, total=20, few=2)
    {'apple': 16, 'kiwi': 3, 'lime': 1}
    """
    if sum(counts.values()) <= total:
        return dict(counts)
    for least in range(few, 0, -1):
        sure = {name: min(count, least) for name, count in counts.items()}
        if sum(sure.values()) <= total:
            break
    else:
        largest = sorted(counts, key=lambda name: (-counts[name], name))
        return dict.fromkeys(largest[:total], 1)
    left = total - sum(sure.values())
    rest = {name: counts[name] - sure[name] for name in counts}
    exact = {name: left * rest[name] / sum(rest.values()) for name in counts}
    given = {name: sure[name] + int(exact[name]) for name in counts}
    # What rounding left over goes to the largest remainders.
    order = sorted(counts, key=lambda name: (int(exact[name]) - exact[name], name))
    for name in order[: total - sum(given.values())]:
        given[name] += 1
    return given


def project(embeddings: Embeddings) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """The first two principal components, and the shares of the variance that they explain.

    Points have shape ``(n, 2)`` and lie within [-1, 1]; both axes have one scale, so that
    distances can be compared. Equal embeddings, equal points: the sign of an axis, which the
    decomposition leaves open, is such that its largest weight is positive.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    points = np.zeros((len(embeddings), 2))
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    variance = spread**2
    if variance.sum() < 1e-12:  # all in one place
        return points, (0.0, 0.0)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    found = centred @ (axes * signs[:, None]).T
    points[:, : found.shape[1]] = found
    explained = np.zeros(2)
    explained[: len(axes)] = (variance / variance.sum())[:2]
    return points / np.abs(points).max(), (float(explained[0]), float(explained[1]))
