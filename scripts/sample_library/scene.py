"""One picture with its caption: chooses light, setting and colour, and has them composed."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from .arrays import Rng
from .brief import Brief
from .compositions import compose
from .finish import develop
from .kinds import KINDS
from .light import draw_light

SHAPES = ((1.0, 1.0), (1.0, 1.0), (1.0, 0.75), (1.0, 0.8), (0.75, 1.0), (0.8, 1.0), (1.0, 0.667))
SMALLEST = 32


@dataclass(frozen=True)
class Picture:
    """A drawn picture and what is in it.

    `count` is the number of pieces drawn; a bunch is one piece. `colour` is None when
    the caption names none.
    """

    image: Image.Image
    caption: str
    category: str
    colour: str | None
    setting: str
    count: int


def draw_picture(category: str, rng: Rng, size: int = 480) -> Picture:
    """A new picture of this category, RGB, whose longer side is `size` pixels.

    Raises ValueError for an unknown category or a size below 32.
    """
    if category not in KINDS:
        raise ValueError(f"unknown category {category!r}; known are {', '.join(KINDS)}")
    if size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels, not {size}")
    kind = KINDS[category]
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    light = draw_light(rng)
    drawing, colour = kind.colours[int(rng.integers(len(kind.colours)))]
    brief = Brief(
        category=category,
        kind=kind,
        setting=str(rng.choice(kind.settings)),
        drawing=drawing,
        colour=colour,
        width=round(size * shape[0]),
        height=round(size * shape[1]),
        light=light,
        rng=rng,
    )
    composed = compose(brief)
    image = develop(rng, composed.canvas.rgb)
    return Picture(
        image, composed.caption, category, composed.colour, brief.setting, composed.count
    )
