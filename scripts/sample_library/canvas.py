"""Sprites and the canvas they are painted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array


@dataclass(frozen=True)
class Sprite:
    """A drawn thing: colour (3, h, w), not premultiplied, and opacity (h, w).

    A colour of shape (3, 1, 1) holds for the whole of it.

    `left` and `top` say where its corner lies from its anchor (a fruit's centre), in pixels.
    """

    rgb: Array
    alpha: Array
    left: int
    top: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.alpha.shape[1], self.alpha.shape[0]


class Canvas:
    """A picture in the making; opaque, or transparent when it will become a sprite itself."""

    def __init__(self, rgb: Array, alpha: Array | None = None) -> None:
        self.rgb = rgb
        self.alpha = alpha

    @classmethod
    def transparent(cls, width: int, height: int) -> Canvas:
        """An empty canvas, to put several sprites together into one."""
        return cls(np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[2], self.rgb.shape[1]

    def _overlap(self, left: int, top: int, w: int, h: int) -> tuple[slice, slice, slice, slice]:
        width, height = self.size
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = max(min(left + w, width), x0), max(min(top + h, height), y0)
        return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)

    def paint(self, sprite: Sprite, x: float, y: float) -> None:
        """Put the sprite's anchor at (x, y); what lies outside the canvas is cut."""
        left, top = round(x) + sprite.left, round(y) + sprite.top
        rows, columns, from_rows, from_columns = self._overlap(left, top, *sprite.size)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        alpha = sprite.alpha[from_rows, from_columns]
        flat = sprite.rgb.shape[1:] == (1, 1)
        colour = sprite.rgb if flat else sprite.rgb[:, from_rows, from_columns]
        under = self.rgb[:, rows, columns]
        if self.alpha is None:
            under += (colour - under) * alpha
            return
        below = self.alpha[rows, columns]
        total = alpha + below * (1.0 - alpha)
        under += (colour - under) * (alpha / np.maximum(total, 1e-4))
        self.alpha[rows, columns] = total

    def darken(self, sprite: Sprite, x: float, y: float) -> None:
        """Take light away where the sprite is opaque; unlike `paint` it adds no opacity."""
        left, top = round(x) + sprite.left, round(y) + sprite.top
        rows, columns, from_rows, from_columns = self._overlap(left, top, *sprite.size)
        if rows.start < rows.stop and columns.start < columns.stop:
            self.rgb[:, rows, columns] *= 1.0 - sprite.alpha[from_rows, from_columns]

    def as_sprite(self, anchor_x: float, anchor_y: float) -> Sprite:
        """What was painted, as one sprite, cut to what is visible."""
        alpha = self.alpha if self.alpha is not None else np.ones(self.rgb.shape[1:], np.float32)
        rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        if rows.size == 0:
            return Sprite(self.rgb[:, :1, :1], alpha[:1, :1], 0, 0)
        y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return Sprite(
            self.rgb[:, y, x],
            alpha[y, x],
            int(columns[0]) - round(anchor_x),
            int(rows[0]) - round(anchor_y),
        )
