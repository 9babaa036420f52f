"""Where fruit lie: places on the ground in units of one fruit's radius."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arrays import Rng

Places = NDArray[np.float64]  # (n, 3): x to the right, y toward us, height above the ground


def scatter(rng: Rng, n: int, spacing: float = 2.0, wide: float = 1.4) -> Places:
    """n places in a loose group, at least about `spacing` apart; `wide` stretches it in x."""
    places = rng.normal(0.0, 0.6 * spacing * math.sqrt(n) * 0.6, (n, 2)) * (wide, 1.0)
    loose = spacing * rng.uniform(1.0, 1.18)
    for _ in range(40 if n > 1 else 0):
        places *= 0.965
        apart = places[:, None, :] - places[None, :, :]
        distance = np.sqrt((apart**2).sum(axis=2)) + np.eye(n) * 1e9
        push = np.maximum(loose - distance, 0.0) / (distance + 1e-6) * 0.5
        places += (apart * push[:, :, None]).sum(axis=1) * 0.85
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return np.column_stack([places, np.zeros(n)])


def heap(rng: Rng, room: float, layers: int, spacing: float = 2.0) -> Places:
    """A heap in a round vessel of radius `room`, `layers` high; from the lowest layer up."""
    found = []
    for layer in range(layers):
        reach = room - 0.62 - 0.8 * layer
        if reach < 0:
            break
        found += [(x, y, 1.35 * layer) for x, y in _honeycomb(rng, reach, reach, spacing)]
    return np.array(found)


def carpet(rng: Rng, half_width: float, half_depth: float, spacing: float = 1.85) -> Places:
    """Two layers that fill a rectangle."""
    low = [(x, y, 0.0) for x, y in _honeycomb(rng, half_width, half_depth, spacing, False)]
    high = [(x, y, 0.9) for x, y in _honeycomb(rng, half_width, half_depth, spacing * 1.25, False)]
    return np.array(low + high)


def _honeycomb(
    rng: Rng, half_width: float, half_depth: float, spacing: float, round_edge: bool = True
) -> list[tuple[float, float]]:
    row_step = spacing * 0.88
    shift_x, shift_y = rng.uniform(-0.5, 0.5, 2) * spacing
    found = []
    for row in range(-int(half_depth / row_step) - 1, int(half_depth / row_step) + 2):
        for column in range(-int(half_width / spacing) - 1, int(half_width / spacing) + 2):
            x = (column + 0.5 * (row % 2)) * spacing + shift_x + rng.normal(0, 0.10) * spacing
            y = row * row_step + shift_y + rng.normal(0, 0.10) * spacing
            if round_edge:
                inside = (x / max(half_width, 0.3)) ** 2 + (y / max(half_depth, 0.3)) ** 2 <= 1.0
            else:
                inside = abs(x) <= half_width and abs(y) <= half_depth
            if inside:
                found.append((x, y))
    return found or [(0.0, 0.0)]
