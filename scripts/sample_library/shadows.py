"""Soft shadows, gathered on a map of a quarter of the picture's size and laid on at once."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from .arrays import Array
from .canvas import Canvas, Sprite
from .light import Light

STEP = 4


class ShadowMap:
    """How much light the ground loses, for one picture of width x height pixels."""

    def __init__(self, width: int, height: int, light: Light) -> None:
        self.width, self.height, self.light = width, height, light
        self.lit = np.ones((math.ceil(height / STEP), math.ceil(width / STEP)), np.float32)

    def ellipse(self, x: float, y: float, rx: float, ry: float, strength: float) -> None:
        """A soft round shadow with its middle at (x, y); it fades out at twice its radii."""
        h, w = self.lit.shape
        x0, x1 = max(int((x - 2 * rx) / STEP), 0), min(int((x + 2 * rx) / STEP) + 2, w)
        y0, y1 = max(int((y - 2 * ry) / STEP), 0), min(int((y + 2 * ry) / STEP) + 2, h)
        if x0 >= x1 or y0 >= y1:
            return
        px = (np.arange(x0, x1, dtype=np.float32)[None, :] * STEP + STEP / 2 - x) / rx
        py = (np.arange(y0, y1, dtype=np.float32)[:, None] * STEP + STEP / 2 - y) / ry
        square = px * px + py * py
        self.lit[y0:y1, x0:x1] *= 1.0 - strength * np.exp(-1.1 * square * square)

    def ball(self, x: float, y: float, r: float, squash: float) -> None:
        """The shadow of a ball of radius r that touches the ground at (x, y)."""
        lx, ly, lz = (float(v) for v in self.light.direction)
        hard = self.light.hardness
        throw = 0.75 * r
        dx, dy = -lx / max(0.45, -ly) * throw, (0.35 - lz) * throw * squash
        ry = r * max(squash, 0.42)
        self.ellipse(x + dx, y + dy, r * 1.12, ry * 1.08, 0.34 + 0.28 * hard)
        self.ellipse(x + 0.2 * dx, y + 0.1 * ry, r * 0.82, ry * 0.72, 0.62)

    def shape(self, sprite: Sprite, x: float, y: float, drop: float) -> None:
        """The shadow of a flat thing at (x, y) which lies `drop` pixels above the ground."""
        lx = float(self.light.direction[0])
        margin = math.ceil(drop * 1.2 / STEP) + 2
        mask = sprite.alpha
        h, w = mask.shape[0] // STEP, mask.shape[1] // STEP
        if h == 0 or w == 0:
            return
        small = mask[: h * STEP, : w * STEP].reshape(h, STEP, w, STEP).mean(axis=(1, 3))
        soft = box_blur(np.pad(small, margin), max(1, round(drop * 0.45 / STEP)))
        left = round((x + sprite.left - lx * drop * 0.9) / STEP) - margin
        top = round((y + sprite.top + drop * 0.55) / STEP) - margin
        rows, columns = self.lit.shape
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + soft.shape[1], columns), min(top + soft.shape[0], rows)
        if x0 < x1 and y0 < y1:
            part = soft[y0 - top : y1 - top, x0 - left : x1 - left]
            self.lit[y0:y1, x0:x1] *= 1.0 - part * (0.5 + 0.25 * self.light.hardness)

    def lay_on(self, canvas: Canvas) -> None:
        """Darken the canvas, then start an empty map."""
        mask = enlarge(self.lit, self.width, self.height)
        # A shadow is a little blue: only the sky reaches it.
        canvas.rgb *= mask
        canvas.rgb[2] *= 1.0 + 0.10 * (1.0 - mask)
        self.lit[:] = 1.0


def halo(sprite: Sprite, strength: float) -> Sprite:
    """The sprite's shape in black, to be painted under it: what it hides from the light."""
    return Sprite(np.zeros((3, 1, 1), np.float32), sprite.alpha * strength, sprite.left, sprite.top)


def box_blur(field: Array, radius: int) -> Array:
    """The field (h, w) blurred twice by a box of 2 * radius + 1; the border counts as zero."""
    for _ in range(2):
        for axis in (0, 1):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (radius + 1, radius)
            total = np.cumsum(np.pad(field, pad), axis=axis, dtype=np.float32)
            size = 2 * radius + 1
            field = (
                total[size:] - total[:-size] if axis == 0 else total[:, size:] - total[:, :-size]
            ) / size
    return field


def enlarge(field: Array, width: int, height: int) -> Array:
    """The field (h, w) smoothly enlarged to (height, width), STEP pixels for each of its own."""
    h, w = field.shape
    image = Image.fromarray(field, mode="F").resize((w * STEP, h * STEP), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)[:height, :width]
