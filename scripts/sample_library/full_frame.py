"""Pictures that fruit fill from edge to edge: a close-up, a market crate."""

from __future__ import annotations

import numpy as np

from .brief import Brief, Composed
from .canvas import Canvas
from .captions import coloured, plural, sentence
from .crate import crate
from .laying import lay
from .layouts import carpet
from .shadows import ShadowMap
from .subjects import Piece, choose


def full_frame(brief: Brief) -> Composed:
    """Fruit from edge to edge, in a crate or as a close-up."""
    rng, light, width, height = brief.rng, brief.light, brief.width, brief.height
    in_crate = brief.setting == "crate"
    squash = 0.8
    shorter = min(width, height)
    r = shorter * rng.uniform(0.12, 0.19) * brief.kind.size**0.45
    canvas = Canvas(np.full((3, height, width), 0.03, np.float32))
    bottom = height * (0.78 if in_crate else 1.0)
    front = None
    if in_crate:
        back, front = crate(rng, width, height, light)
        canvas.paint(back, 0, 0)
    # Whole fruit, and grapes only by the bunch: what hangs is just that.
    subject = choose(rng, brief.category, brief.kind, brief.drawing, brief.colour, hanging=True)
    spacing = brief.kind.spacing * 0.92
    if brief.category in ("grape", "banana"):
        r, spacing = shorter * rng.uniform(0.26, 0.34), 1.15
        pieces = [p for p in subject.pieces if p.reach > 1.0] or subject.pieces
        pieces = pieces[:1]
    else:
        pieces = [Piece(brief.kind.draw, brief.drawing)]
    top = r * 1.2 if in_crate else -0.5 * r
    half_depth = max((bottom - top) / 2 / (r * squash), 0.6)
    places = carpet(rng, width / 2 / r + (0.0 if in_crate else 0.8), half_depth, spacing)
    middle = (width / 2, (bottom + top) / 2 + r * 0.3)
    shadows = ShadowMap(width, height, light)
    everything = pieces * len(places)
    lay(brief, canvas, shadows, places, everything, r, middle, squash, on_table=False)
    if front is not None:
        canvas.paint(front, 0, 0)
    fruit = coloured(brief.colour, plural(brief.category))
    if in_crate:
        crate_word = str(rng.choice(["a market crate", "a wooden crate", "a crate"]))
        words, place = f"{fruit}", f"in {crate_word}"
        if rng.random() < 0.5:
            words, place = f"{crate_word} of {fruit}", ""
    else:
        words = str(rng.choice(["many", "lots of", "a pile of", "a heap of"])) + f" {fruit}"
        place = str(rng.choice(["close up", "seen from close by", "filling the picture"]))
    return Composed(canvas, sentence(rng, words, place), len(places), brief.colour)
