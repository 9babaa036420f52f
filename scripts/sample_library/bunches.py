"""Fruit that come together: a bunch of grapes, cherries on their stems.

Each function returns one sprite anchored at its middle; `r` is about half of its height (pixels).
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Rng, vary
from .banana import centred
from .berries import grape
from .canvas import Canvas, Sprite
from .light import Light
from .orchard import cherry, cherry_stem
from .plants import BROWN_STEM, GREEN_STEM, leaf, stem
from .shadows import halo


def grape_bunch(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A bunch of 22 to 40 grapes, wide at the stalk and narrow at the tip, lying or hanging."""
    berry = r * rng.uniform(0.19, 0.25)
    side = round(r * 1.9)
    canvas = Canvas.transparent(2 * side, 2 * side)
    lean = rng.uniform(-0.6, 0.6)
    down = np.array([math.sin(lean), math.cos(lean)])
    right = np.array([down[1], -down[0]])
    top = side - down * r * 0.95
    twig = stem(
        (0.0, 0.0),
        (float(-down[0] * r * 0.38), float(-down[1] * r * 0.38)),
        (0.03 * r, 0.045 * r),
        rng.uniform(-0.05, 0.05) * r,
        (vary(rng, GREEN_STEM), BROWN_STEM),
        light,
    )
    canvas.paint(twig, *top)
    if rng.random() < 0.45:
        turn = math.atan2(down[1], down[0]) + float(rng.choice([-1.0, 1.0])) * rng.uniform(1.0, 1.9)
        canvas.paint(leaf(rng, r * rng.uniform(0.7, 1.0), turn, light, 0.75), *top)
    pool = [grape(rng, berry * rng.uniform(0.9, 1.06), light, colour) for _ in range(9)]
    places = []
    for layer, squeeze in ((0, 1.0), (1, 0.8), (2, 0.45)):
        along = 0.0
        while along < 1.75 * r * (1.0 - 0.06 * layer):
            t = along / (1.75 * r)
            width = r * 0.72 * squeeze * math.sin(math.pi * (0.16 + 0.80 * t) ** 0.75) ** 0.8
            across = max(1, round(width * 2 / (berry * 1.75)))
            for i in range(across):
                offset = (i - (across - 1) / 2) * berry * 1.75 + rng.normal(0, 0.16) * berry
                step = along + rng.normal(0, 0.2) * berry
                places.append((layer + rng.uniform(-0.4, 0.4), offset, step))
            along += berry * 1.6
    places.sort()
    for height, offset, step in places:
        x, y = top + down * (step + berry * 0.5) + right * offset
        one = pool[int(rng.integers(len(pool)))]
        canvas.darken(halo(one, 0.5), x - float(light.direction[0]) * berry * 0.2, y + berry * 0.2)
        dim = np.float32(0.58 + 0.21 * min(height, 2.0))
        canvas.paint(Sprite(one.rgb * dim, one.alpha, one.left, one.top), x, y)
    return centred(canvas.as_sprite(side, side))


def cherry_with_stem(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """One cherry of radius r with its stem, anchored at the cherry's centre."""
    fruit = cherry(rng, r, light, colour)
    end = (rng.uniform(-1.2, 1.2) * r, -rng.uniform(2.2, 2.9) * r)
    return _around_fruit(fruit, cherry_stem(rng, r, end, light), r)


def cherry_pair(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """Two cherries of radius r whose stems meet, anchored between the two."""
    side = math.ceil(5 * r)
    canvas = Canvas.transparent(2 * side, 2 * side)
    meet = (rng.uniform(-0.5, 0.5) * r, -rng.uniform(2.5, 3.1) * r)
    for way in (-1.0, 1.0):
        x, y = way * rng.uniform(1.0, 1.25) * r, rng.normal(0, 0.22) * r
        fruit = cherry(rng, r, light, colour)
        aside = float(light.direction[0]) * r * 0.3
        canvas.darken(halo(fruit, 0.3), side + x - aside, side + y + 0.1 * r)
        canvas.paint(fruit, side + x, side + y)
        canvas.paint(cherry_stem(rng, r, (meet[0] - x, meet[1] - y), light), side + x, side + y)
    if rng.random() < 0.35:
        green = leaf(rng, r * 2.0, rng.uniform(-0.6, 0.6), light, 0.45)
        canvas.paint(green, side + meet[0], side + meet[1])
    return canvas.as_sprite(side, side)


def _around_fruit(fruit: Sprite, twig: Sprite, r: float) -> Sprite:
    side = math.ceil(4 * r)
    canvas = Canvas.transparent(2 * side, 2 * side)
    canvas.paint(fruit, side, side)
    canvas.paint(twig, side, side)
    return canvas.as_sprite(side, side)
