"""Pictures of fruit that hang among leaves, before a garden out of focus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import Rng
from .brief import Brief, Composed
from .canvas import Canvas, Sprite
from .captions import sentence
from .layouts import scatter
from .orchard import cherry, cherry_stem
from .plants import BROWN_STEM, leaf, stem
from .shadows import halo
from .stages import garden
from .subjects import choose


@dataclass(frozen=True)
class Bough:
    """The branch: a straight line for reckoning, in pixels, and the picture's shorter side."""

    start: tuple[float, float]
    end: tuple[float, float]
    shorter: int

    def at(self, t: float) -> tuple[float, float]:
        """The place at t, 0 for its start and 1 for its end."""
        (x0, y0), (x1, y1) = self.start, self.end
        return x0 + t * (x1 - x0), y0 + t * (y1 - y0)


def on_branch(brief: Brief) -> Composed:
    """One to six fruit, or a bunch of grapes, on a branch with leaves."""
    rng, light, width, height = brief.rng, brief.light, brief.width, brief.height
    canvas = Canvas(garden(rng, width, height))
    bough = _bough(rng, width, height)
    for _ in range(int(rng.integers(5, 9))):
        _leaf_on(brief, canvas, bough, behind=True)
    thick = bough.shorter * rng.uniform(0.012, 0.022)
    wood = (BROWN_STEM, BROWN_STEM * 1.25)
    bow = rng.uniform(-0.04, 0.04) * height
    canvas.paint(stem(bough.start, bough.end, (thick, thick * 0.6), bow, wood, light), 0, 0)
    if brief.category == "grape":
        n, r = 1, bough.shorter * rng.uniform(0.3, 0.36)
    else:
        clustered = brief.category in ("cherry", "litchi", "blueberry")
        n = int(rng.integers(3, 7)) if clustered else int(rng.integers(1, 5))
        r = bough.shorter * brief.kind.size**0.55 * rng.uniform(0.17, 0.23) * (1.12 - 0.07 * n)
    words = _hang(brief, canvas, bough, n, r)
    for _ in range(int(rng.integers(2, 5))):
        _leaf_on(brief, canvas, bough, behind=False)
    places = ("on a branch with green leaves", "hanging on a branch", "on a tree")
    if brief.category in ("grape", "blueberry"):
        places = ("on the plant with green leaves", "hanging among green leaves", "on the plant")
    caption = sentence(rng, words, str(rng.choice(places)))
    return Composed(canvas, caption, n, brief.colour)


def _bough(rng: Rng, width: int, height: int) -> Bough:
    side = float(rng.choice([-1.0, 1.0]))
    start = ((0.5 - 0.56 * side) * width, height * rng.uniform(0.02, 0.14))
    end = ((0.5 + 0.56 * side) * width, height * rng.uniform(0.12, 0.30))
    return Bough(start, end, min(width, height))


def _hang(brief: Brief, canvas: Canvas, bough: Bough, n: int, r: float) -> str:
    """Paint n fruit of radius r below the branch and return the words for them."""
    rng, light = brief.rng, brief.light
    subject = choose(rng, brief.category, brief.kind, brief.drawing, brief.colour, hanging=True)
    piece = subject.pieces[0]
    places = scatter(rng, n, 1.95, 1.3) if n > 1 else np.zeros((1, 3))
    places = places[np.argsort(places[:, 1])]
    top = max(bough.start[1], bough.end[1])
    below = 1.5 if brief.category == "cherry" else 0.35
    half = float(places[:, 1].max()) * 0.8  # in radii; the group's middle is at zero
    r = min(r, (0.97 * brief.height - top) / (2.1 + below + 2.0 * half))
    middle = top + r * (1.0 + below + half)
    # A layer of their own: fruit darken one another, but not the far background.
    layer = Canvas.transparent(brief.width, brief.height)
    spots = [(brief.width / 2 + x * r, middle + y * r * 0.8) for x, y, _ in places]
    is_cherry = brief.category == "cherry"
    for x, y in spots:
        if not is_cherry:
            _twig(brief, layer, bough, (x, y), r)
    for x, y in spots:
        draw = cherry if is_cherry else piece.draw
        one = draw(rng, r, light, piece.drawing)
        layer.darken(halo(one, 0.35), x - float(light.direction[0]) * 0.15 * r, y + 0.15 * r)
        layer.paint(one, x, y)
        if is_cherry:
            hold = bough.at(0.5 + (x / brief.width - 0.5) * 0.5 * _way(bough))
            layer.paint(cherry_stem(rng, r, (hold[0] - x, hold[1] - y), light), x, y)
    canvas.paint(layer.as_sprite(0, 0), 0, 0)
    return subject.words if brief.category == "grape" else subject.count_words(n)


def _way(bough: Bough) -> float:
    return 1.0 if bough.end[0] > bough.start[0] else -1.0


def _twig(brief: Brief, layer: Canvas, bough: Bough, spot: tuple[float, float], r: float) -> None:
    rng = brief.rng
    x, y = spot
    gather = 0.35 if brief.category in ("litchi", "blueberry") else 1.0
    from_middle = (x / brief.width - 0.5) * gather * _way(bough)
    hold = bough.at(float(np.clip(0.5 + from_middle, 0.0, 1.0)))
    lift = 1.0 if brief.category == "grape" else 0.72
    twig = stem(
        (0.0, -r * lift),
        (hold[0] - x, min(hold[1] - y, -r * lift - 2)),
        (max(0.025 * r, 0.004 * bough.shorter), 0.007 * bough.shorter),
        rng.uniform(-0.08, 0.08) * r,
        (BROWN_STEM * 1.2, BROWN_STEM),
        brief.light,
    )
    layer.paint(twig, x, y)


def _leaf_on(brief: Brief, canvas: Canvas, bough: Bough, behind: bool) -> None:
    rng, shorter = brief.rng, bough.shorter
    x, y = bough.at(rng.uniform(0.05, 0.95))
    angle = rng.uniform(0.1, math.pi - 0.1) if behind else rng.uniform(-0.5, math.pi + 0.5)
    length = shorter * (rng.uniform(0.24, 0.42) if behind else rng.uniform(0.18, 0.28))
    slender = 0.75 if brief.category == "grape" else rng.uniform(0.3, 0.45)
    one = leaf(rng, length, angle, brief.light, slender)
    if behind:
        one = Sprite(one.rgb * np.float32(rng.uniform(0.5, 0.85)), one.alpha, one.left, one.top)
    canvas.paint(one, x, y)
