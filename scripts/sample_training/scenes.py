"""Holds back whole shelves, because a random hold-out would only measure memory.

Photos of one shelf are near copies, and the dataset numbers them in a shuffled order, so neither
chance nor the number keeps a shelf together. Photos of one variety are grouped by how alike their
colours are, over the whole picture and along its border, where the shelf and the floor are seen.
"""

import numpy as np
from numpy.typing import NDArray

from sample_training.photos import Pictures, Pixels

_BINS = 8
_BORDER = 24
# Large enough for one shelf, small enough that one group is not the whole variety.
_LARGEST_SHARE = 0.35


def held_out(photos: Pictures, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which photos to hold back: of each variety, whole groups until `fraction` is reached.

    Shape `(n,)`. Which groups is drawn by `seed`; a variety never gives all its photos.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(photos), dtype=np.bool_)
    folders = [name.rsplit("/", 1)[0] for name in photos.names]
    for folder in sorted(set(folders)):
        members = np.array([i for i, name in enumerate(folders) if name == folder])
        wanted = round(fraction * len(members))
        for group in _shuffled(scene_groups(photos.pixels[members]), generator):
            taken = int(chosen[members].sum())
            # A group that overshoots more than it helps stays in training.
            if taken < wanted and taken + len(group) - wanted <= wanted - taken:
                chosen[members[group]] = True
    return chosen


def scene_groups(pixels: Pixels) -> list[list[int]]:
    """Groups of alike pictures, by average-linkage clustering of `signature`s."""
    groups = [[i] for i in range(len(pixels))]
    signatures = np.stack([signature(picture) for picture in pixels])
    alike = signatures @ signatures.T
    np.fill_diagonal(alike, -np.inf)
    largest = max(2, round(_LARGEST_SHARE * len(pixels)))
    wanted = max(3, len(pixels) // 8)
    while len(groups) > wanted:
        a, b = sorted(divmod(int(np.argmax(alike)), len(groups)))
        if alike[a, b] == -np.inf:
            break
        if len(groups[a]) + len(groups[b]) > largest:
            alike[a, b] = alike[b, a] = -np.inf
            continue
        sizes = len(groups[a]), len(groups[b])
        merged = (alike[a] * sizes[0] + alike[b] * sizes[1]) / sum(sizes)
        merged[a] = -np.inf
        alike[a] = alike[:, a] = merged
        alike = np.delete(np.delete(alike, b, axis=0), b, axis=1)
        groups[a] += groups.pop(b)
    return groups


def signature(picture: Pixels) -> NDArray[np.float64]:
    """Unit vector of two colour histograms, so that a dot product is their Hellinger likeness."""
    rows = np.arange(picture.shape[0])
    edge = (rows < _BORDER) | (rows >= len(rows) - _BORDER)
    border = picture[edge[:, None] | edge[None, :]]
    parts = [_histogram(picture.reshape(-1, 3)), _histogram(border)]
    joined: NDArray[np.float64] = np.concatenate(parts) / np.sqrt(len(parts))
    return joined


def _histogram(colours: Pixels) -> NDArray[np.float64]:
    steps = (colours // (256 // _BINS)).astype(np.int64)
    bins = steps @ np.array([_BINS**2, _BINS, 1])
    counts = np.bincount(bins, minlength=_BINS**3)
    roots: NDArray[np.float64] = np.sqrt(counts / counts.sum())
    return roots


def _shuffled(groups: list[list[int]], generator: np.random.Generator) -> list[list[int]]:
    return [groups[i] for i in generator.permutation(len(groups))]
