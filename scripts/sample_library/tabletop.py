"""Pictures of fruit on the ground, on a plate, in a bowl or in a basket."""

from __future__ import annotations

import numpy as np

from .brief import Brief, Composed
from .canvas import Canvas
from .captions import article, coloured, plural, sentence
from .laying import lay
from .layouts import heap, scatter
from .shadows import ShadowMap
from .stages import ground
from .subjects import Piece, choose
from .vessels import Vessel, basket, bowl, plate


def on_ground(brief: Brief) -> Composed:
    """A few pieces on a surface or on a plate."""
    rng, light, width, height = brief.rng, brief.light, brief.width, brief.height
    squash = rng.uniform(0.55, 0.95)
    on_plate = brief.setting == "white plate"
    rgb, place = ground(rng, brief.setting, width, height, squash)
    canvas = Canvas(rgb)
    subject = choose(rng, brief.category, brief.kind, brief.drawing, brief.colour)
    pieces = subject.pieces
    places = scatter(rng, len(pieces), subject.spacing, 1.25 if width >= height else 0.95)
    cx = width * (0.5 + rng.uniform(-0.05, 0.05))
    cy = height * (0.53 + rng.uniform(-0.04, 0.05))
    spread = np.abs(places[:, :2]).max(axis=0)
    reach = subject.reach
    shadows = ShadowMap(width, height, light)
    shorter = min(width, height)
    biggest = shorter * (0.42 / reach if subject.bunches else 0.33 * brief.kind.size**0.4)
    if on_plate:
        a = min(width * rng.uniform(0.42, 0.52), height * 0.47 / squash)
        dish = plate(rng, a, squash, light)
        x, y, rx, ry = dish.foot
        shadows.ellipse(cx + x - float(light.direction[0]) * a * 0.06, cy + y, rx, ry, 0.55)
        shadows.lay_on(canvas)
        canvas.paint(dish.back, cx, cy)
        far = float(np.hypot(places[:, 0], places[:, 1]).max())
        r = min(dish.room * 1.12 / (far + reach * 0.9), biggest)
    else:
        frame = rng.uniform(0.36, 0.47)
        tall = spread[1] * squash + reach * 1.15
        r = min(width * frame / (spread[0] + reach), height * frame / tall)
        if subject.bunches:
            r *= 1.2  # these are longer than they are wide
        r = min(r, biggest * rng.uniform(0.75, 1.0))
    # Round fruit stand up from where they touch the ground, and stems point up: leave room.
    rise = r * (0.9 if brief.category == "cherry" else 0.0 if subject.bunches else 0.3)
    lay(brief, canvas, shadows, places, pieces, r, (cx, cy + rise), squash)
    return Composed(canvas, sentence(rng, subject.words, place), subject.count, subject.colour)


def in_vessel(brief: Brief) -> Composed:
    """A few pieces or a heap in a bowl or a basket."""
    rng, light, width, height = brief.rng, brief.light, brief.width, brief.height
    squash = rng.uniform(0.42, 0.68)
    setting = str(rng.choice(["wooden table", "plain background", "kitchen cloth", "marble"]))
    rgb, _ = ground(rng, setting, width, height, squash)
    canvas = Canvas(rgb)
    a = min(width * rng.uniform(0.36, 0.44), height * 0.44)
    make = basket if brief.setting == "basket" else bowl
    vessel: Vessel = make(rng, a, squash, light)
    cx, cy = width * (0.5 + rng.uniform(-0.04, 0.04)), height * rng.uniform(0.44, 0.5)
    shadows = ShadowMap(width, height, light)
    x, y, rx, ry = vessel.foot
    aside = float(light.direction[0]) * rx
    shadows.ellipse(cx + x - aside * 0.45, cy + y, rx * 1.15, ry * 1.05, 0.5)
    shadows.ellipse(cx + x - aside * 0.1, cy + y, rx * 0.98, ry * 0.95, 0.75)
    shadows.lay_on(canvas)
    canvas.paint(vessel.back, cx, cy)
    few = rng.random() < 0.4 and brief.kind.size > 0.6
    subject = choose(rng, brief.category, brief.kind, brief.drawing, brief.colour, 5)
    if few or subject.bunches:
        pieces = subject.pieces
        places = scatter(rng, len(pieces), subject.spacing, 1.1)
        far = float(np.hypot(places[:, 0], places[:, 1]).max())
        r = min(
            vessel.room / (far + 0.8 * subject.reach),
            a * (0.62 if subject.bunches else 0.52) / subject.reach,
        )
        words, count, colour = subject.words, subject.count, subject.colour
    else:
        r = a * min(0.36, 0.30 * brief.kind.size**0.75 * rng.uniform(0.82, 1.05))
        layers = 2 if brief.kind.size > 0.6 else 3
        places = heap(rng, vessel.room / r, layers, brief.kind.spacing * 0.88)
        pieces = [Piece(brief.kind.draw, brief.drawing)] * len(places)
        count, colour = len(places), brief.colour
        fruit = coloured(brief.colour, plural(brief.category))
        full = count >= 8 and rng.random() < 0.6
        words = f"{article(brief.setting)} {'full ' if full else ''}of {fruit}"
    low = -0.15 if subject.bunches and pieces[0].flat else 0.55
    middle = (cx, cy + vessel.floor + r * low)
    lay(brief, canvas, shadows, places, pieces, r, middle, squash, on_table=False)
    if vessel.front is not None:
        canvas.paint(vessel.front, cx, cy)
    place = "" if words.startswith(article(brief.setting)) else f"in {article(brief.setting)}"
    return Composed(canvas, sentence(rng, words, place), count, colour)
