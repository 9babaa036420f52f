"""The ten categories: their colours in words, how each is drawn, and where it may be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .arrays import Rng
from .banana import single_banana
from .berries import blueberry, grape, litchi, peeled_litchi
from .bunches import cherry_with_stem
from .canvas import Sprite
from .citrus import citrus_half, lemon, orange
from .light import Light
from .orchard import apple, apricot, mango

Draw = Callable[[Rng, float, Light, str], Sprite]
GROUND = ("wooden table", "white plate", "plain background", "kitchen cloth", "marble", "slate")
HEAPED = ("basket", "bowl", "crate", "close-up")


@dataclass(frozen=True)
class Kind:
    """One category."""

    draw: Draw
    colours: tuple[tuple[str, str | None], ...]  # the drawing's name, and the word for captions
    settings: tuple[str, ...]
    size: float  # of one fruit, for an apple's 1
    spacing: float = 2.05  # distance between neighbours in radii
    cut: Draw | None = None
    cut_words: str = ""  # how the cut fruit is called


PLAIN = (("plain", None),)
KINDS: dict[str, Kind] = {
    "apple": Kind(
        apple,
        # Mostly red, so that a search for red apples fills a page of a library of thirty.
        (*[("red", "red")] * 5, ("green", "green"), ("yellow", "yellow")),
        (*GROUND, *HEAPED, "grass", "branch"),
        1.0,
    ),
    "apricot": Kind(apricot, PLAIN, (*GROUND, *HEAPED, "branch"), 0.85),
    "banana": Kind(
        single_banana,
        (("yellow", None), ("yellow", "yellow"), ("green", "green"), ("ripe", "ripe")),
        (*GROUND, "basket", "crate", "grass"),
        1.6,
        1.25,
    ),
    "blueberry": Kind(blueberry, PLAIN, (*GROUND, "bowl", "basket", "close-up", "branch"), 0.4),
    "cherry": Kind(
        cherry_with_stem,
        (("red", "red"), ("dark red", "dark red")),
        (*GROUND, "bowl", "basket", "close-up", "branch", "grass"),
        0.6,
        2.2,
    ),
    "grape": Kind(
        grape,
        (("green", "green"), ("purple", "purple"), ("red", "red")),
        (*GROUND, "bowl", "basket", "crate", "branch"),
        0.45,
        1.95,
    ),
    "lemon": Kind(
        lemon,
        (("yellow", None), ("yellow", "yellow"), ("green", "green")),
        (*GROUND, *HEAPED, "branch", "grass"),
        0.9,
        2.3,
        lambda rng, r, light, _: citrus_half(rng, r, light, "lemon"),
        "half a lemon",
    ),
    "litchi": Kind(
        litchi,
        PLAIN,
        (*GROUND, *HEAPED, "branch"),
        0.7,
        2.1,
        lambda rng, r, light, _: peeled_litchi(rng, r, light),
        "a peeled litchi",
    ),
    "mango": Kind(
        mango,
        (("green", "green"), ("yellow", "yellow"), ("red", "red")),
        (*GROUND, "basket", "crate", "close-up", "grass", "branch"),
        1.1,
        2.4,
    ),
    "orange": Kind(
        orange,
        PLAIN,
        (*GROUND, *HEAPED, "branch", "grass"),
        1.0,
        2.05,
        lambda rng, r, light, _: citrus_half(rng, r, light, "orange"),
        "half an orange",
    ),
}
CATEGORIES: tuple[str, ...] = tuple(KINDS)
