"""What a picture shall show, and what composing it gave."""

from __future__ import annotations

from dataclasses import dataclass

from .arrays import Rng
from .canvas import Canvas
from .kinds import Kind
from .light import Light


@dataclass(frozen=True)
class Brief:
    """What a picture shall show, its size in pixels, and its light."""

    category: str
    kind: Kind
    setting: str
    drawing: str  # the colour as the drawing functions know it
    colour: str | None  # the colour as the caption names it
    width: int
    height: int
    light: Light
    rng: Rng


@dataclass(frozen=True)
class Composed:
    """The painted canvas, its caption, the number of pieces and the colour that it names."""

    canvas: Canvas
    caption: str
    count: int
    colour: str | None
