"""Array alias and the few numeric helpers that every drawing module shares.

Colours are linear light, planar: a picture is float32 of shape (3, h, w), a mask (h, w).
Planar, because a mask then multiplies a picture by plain broadcasting.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The values are float32. The alias leaves the type open, because numpy's stubs take float32 times a
# Python number for float64, which it is not.
Array = NDArray[Any]
Rng = np.random.Generator


def rgb(code: str) -> Array:
    """A colour as linear light, shape (3, 1, 1), from its sRGB code such as "d93a2b"."""
    values = [(int(code[i : i + 2], 16) / 255.0) ** 2.2 for i in (0, 2, 4)]
    return np.array(values, np.float32).reshape(3, 1, 1)


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """`a` where t is 0, `b` where t is 1."""
    return a + (b - a) * t


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between; `low` > `high` falls instead of rises."""
    t = np.minimum(np.maximum((x - low) * (1.0 / (high - low)), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def unit(x: float, y: float, z: float) -> Array:
    """The direction (x, y, z) with length 1, shape (3,)."""
    length = math.sqrt(x * x + y * y + z * z)
    return np.array([x / length, y / length, z / length], np.float32)


def stack(x: Array, y: Array, z: Array) -> Array:
    """Three components, which broadcast together, as vectors of shape (3, h, w)."""
    return np.stack(np.broadcast_arrays(x, y, z))


def normalise(n: Array) -> Array:
    """Vectors of shape (3, h, w) with length 1."""
    inverse = 1.0 / np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2] + 1e-8)
    result: Array = n * inverse
    return result


def vary(rng: Rng, colour: Array, amount: float = 0.08) -> Array:
    """The colour with a slightly different tint and brightness, so that no two fruit are equal."""
    tint = rng.normal(1.0, amount, (3, 1, 1)).astype(np.float32)
    return colour * np.clip(tint, 0.6, 1.5) * np.float32(rng.normal(1.0, amount))


def pixel_grid(left: int, top: int, width: int, height: int) -> tuple[Array, Array]:
    """Pixel centres as x of shape (1, width) and y of shape (height, 1)."""
    x = np.arange(left, left + width, dtype=np.float32)[None, :] + np.float32(0.5)
    y = np.arange(top, top + height, dtype=np.float32)[:, None] + np.float32(0.5)
    return x, y
