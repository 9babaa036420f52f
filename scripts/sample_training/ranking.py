"""Counts right pictures among the first, the figure that a person who searches notices."""

import numpy as np
from numpy.typing import NDArray

FIRST = 16


def right_among_first(
    similarity: NDArray[np.float32], right: NDArray[np.bool_], first: int = FIRST
) -> int:
    """How many of the `first` most similar pictures are right; both arrays of shape `(n,)`."""
    order = np.argsort(-similarity, kind="stable")[:first]
    return int(right[order].sum())
