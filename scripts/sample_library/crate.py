"""A market crate: its inside, painted before the fruit, and its front boards after."""

from __future__ import annotations

import numpy as np

from .arrays import Array, Rng, mix, pixel_grid, rgb, smoothstep, vary
from .canvas import Sprite
from .light import Light
from .noise import fractal, sample


def crate(rng: Rng, width: int, height: int, light: Light) -> tuple[Sprite, Sprite]:
    """A market crate that fills the picture: its inside, and its front boards.

    Both are anchored at the picture's corner. The boards take the lowest fifth or so.
    """
    x, y = pixel_grid(0, 0, width, height)
    pine = vary(rng, rgb(str(rng.choice(["cfa874", "b98d5c", "d9bd92", "a07a4e"]))), 0.05)
    dark = np.broadcast_to(pine * 0.10, (3, height, width)).copy()
    back_depth = height * rng.uniform(0.10, 0.16)
    boards = _board(rng, x, y, pine, width, 0.0, back_depth)
    board_rows = smoothstep(back_depth + 1, back_depth - 1, y)
    far = mix(dark, boards * (light.sky + light.colour * 0.35), board_rows)
    lit = light.colour * float(max(light.direction[2], 0.3)) + light.sky
    top = height * rng.uniform(0.76, 0.82)
    slat = height * 0.10
    gap = height * 0.025
    colour = np.zeros((3, height, width), np.float32)
    alpha = np.zeros((height, width), np.float32)
    for i in range(3):
        start = top + i * (slat + gap)
        mask = np.clip(np.minimum(y - start, start + slat - y) + 0.5, 0.0, 1.0) + 0 * x
        edge = np.exp(-(((y - start) / (0.012 * height)) ** 2)) * 0.35
        board = _board(rng, x, y, pine, width, start, slat) * lit * (1.0 + edge)
        colour += board * mask
        alpha = np.maximum(alpha, mask)
    under = (y > top) & (alpha < 1)
    shade_mask = np.where(under, 0.75, 0.0).astype(np.float32)
    total = np.maximum(alpha, shade_mask)
    front = Sprite(colour / np.maximum(total, 1e-3), total, 0, 0)
    return Sprite(far, np.ones((height, width), np.float32), 0, 0), front


def _board(rng: Rng, x: Array, y: Array, pine: Array, width: int, top: float, h: float) -> Array:
    shift = float(rng.random())
    grain = sample(fractal(9, 0.75, 6), x / width * 0.07 + shift, (y - top) / h * 0.12 + shift)
    swirl = sample(fractal(3, 1.9), x / width * 0.3 + shift, (y - top) / h * 0.05 + shift)
    rings = np.sin((y - top) / h * 9.0 + swirl * 2.2)
    return pine * (1.0 + 0.13 * grain + 0.07 * rings) * float(rng.uniform(0.88, 1.08))
