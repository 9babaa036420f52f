"""Tileable noise, made once for each process from fixed seeds and sampled everywhere.

A tile is float32 of shape (512, 512); its coordinates run from 0 to 1 and wrap round.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .arrays import Array

SIDE = 512


@cache
def fractal(seed: int = 0, slope: float = 1.6, lowest: int = 2) -> Array:
    """Cloudy noise with mean 0 and deviation 1.

    Its amplitude falls as 1 / frequency**slope, from `lowest` waves a tile: 1 is rough, 2 smooth.
    """
    rng = np.random.default_rng(1000 + seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]) * SIDE
    gain = np.where(frequency >= lowest, np.maximum(frequency, 1.0) ** -slope, 0.0)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * gain, (SIDE, SIDE))
    result: Array = (noise / noise.std()).astype(np.float32)
    return result


@cache
def grain() -> Array:
    """Film grain: white noise, a little softened, with deviation 1."""
    return fractal(seed=7, slope=0.35, lowest=4)


@cache
def cells(across: int = 16, seed: int = 0) -> tuple[Array, Array]:
    """Packed cells, as on a litchi or an orange: (distance to the nearest centre, random id).

    The distance is in units of one cell's width, the id is from 0 to 1; both have tile shape.
    """
    rng = np.random.default_rng(2000 + seed)
    jitter = rng.uniform(0.15, 0.85, (across, across, 2))
    ids = rng.random((across, across))
    ys, xs = np.divmod(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), SIDE)
    px, py = xs * (across / SIDE), ys * (across / SIDE)
    gx, gy = px.astype(int), py.astype(int)
    nearest = np.full((SIDE, SIDE), 9.0)
    owner = np.zeros((SIDE, SIDE))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            cx, cy = (gx + dx) % across, (gy + dy) % across
            ox, oy = gx + dx + jitter[cy, cx, 0] - px, gy + dy + jitter[cy, cx, 1] - py
            distance = np.hypot(ox, oy)
            closer = distance < nearest
            nearest = np.where(closer, distance, nearest)
            owner = np.where(closer, ids[cy, cx], owner)
    return nearest.astype(np.float32), owner.astype(np.float32)


@cache
def slopes(across: int = 16, seed: int = 0, sharp: float = 1.0) -> tuple[Array, Array]:
    """The slope (d/dx, d/dy) of rounded bumps, one on each cell; about -1 to 1."""
    distance, _ = cells(across, seed)
    height = np.maximum(1.0 - (distance / 0.75) ** 2, 0.0) ** sharp
    dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * (SIDE / across / 4)
    dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * (SIDE / across / 4)
    return dx.astype(np.float32), dy.astype(np.float32)


def sample(tile: Array, u: Array, v: Array) -> Array:
    """The tile's values at (u, v), which wrap; the arrays broadcast together."""
    column = (u * SIDE).astype(np.int32) & (SIDE - 1)
    row = (v * SIDE).astype(np.int32) & (SIDE - 1)
    # One flat index is about twice as quick as a pair of them.
    picked: Array = tile.ravel().take(row * SIDE + column)
    return picked
