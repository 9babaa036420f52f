"""Lays pieces on the ground, with the shadows that they throw."""

from __future__ import annotations

import math

import numpy as np

from .brief import Brief
from .canvas import Canvas, Sprite
from .layouts import Places
from .shadows import ShadowMap, halo
from .subjects import Piece


def lay(
    brief: Brief,
    canvas: Canvas,
    shadows: ShadowMap,
    places: Places,
    pieces: list[Piece],
    r: float,
    middle: tuple[float, float],
    squash: float,
    on_table: bool = True,
) -> None:
    """Paint the pieces from the back to the front, each with the shadow that it throws."""
    rng, light = brief.rng, brief.light
    lift = math.sqrt(1.0 - squash * squash)
    pools: dict[int, list[Sprite]] = {}
    drawn: list[tuple[float, float, Sprite]] = []
    # Many small fruit share a few drawings: it is quicker, and nobody sees it.
    enough = 7 if len(pieces) > 14 else len(pieces)
    for index in np.argsort(places[:, 1] + 1.2 * places[:, 2], kind="stable"):
        x, y, z = (float(value) for value in places[index])
        piece = pieces[int(index)]
        pool = pools.setdefault(id(piece), [])
        if len(pool) < enough:
            pool.append(
                piece.draw(rng, r * piece.scale * rng.uniform(0.93, 1.05), light, piece.drawing)
            )
            sprite = pool[-1]
        else:
            sprite = pool[int(rng.integers(len(pool)))]
        px = middle[0] + x * r
        py = middle[1] + y * r * squash - z * r * max(lift, 0.35)
        if piece.flat:
            if on_table:
                shadows.shape(sprite, px, py, r * piece.thick)
        else:
            py -= lift * r * piece.scale * 0.75
            if on_table:
                touch = py + lift * r * piece.scale * 0.75 + r * piece.scale * squash * 0.35
                shadows.ball(px, touch, r * piece.scale * piece.girth, squash)
        drawn.append((px, py, sprite))
    target = canvas
    if on_table:
        shadows.lay_on(canvas)
        # A layer of their own: fruit darken one another; the table has its soft shadows already.
        target = Canvas.transparent(*canvas.size)
    aside = float(light.direction[0]) * r * 0.22
    for px, py, sprite in drawn:
        target.darken(halo(sprite, 0.32), px - aside, py + r * 0.06)
        target.paint(sprite, px, py)
    if target is not canvas:
        canvas.paint(target.as_sprite(0, 0), 0, 0)
