"""Draws the sample library's pictures for training and for measuring."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
from sample_library import CATEGORIES, Picture, draw_picture

from sample_training.photos import STORED_PX, Pictures, Pixels, shrink
from sample_training.prompts import Facts, colours_of
from sample_training.words import SHADES

# Drawn larger than stored and then reduced, as the library's own files are when they are encoded.
_DRAWN_PX = 320


def draw_library(per_category: int, seed: int, workers: int) -> Pictures:
    """`per_category` pictures of each category; other seeds give other pictures."""
    tasks = [(category, seed, n) for category in CATEGORIES for n in range(per_category)]
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(_draw, tasks, chunksize=16))
    pixels = [picture for picture, _ in drawn]
    stacked = np.stack(pixels) if pixels else np.empty((0, STORED_PX, STORED_PX, 3), np.uint8)
    names = [f"{category}/{seed}-{n:04}" for category, seed, n in tasks]
    return Pictures(stacked, [facts for _, facts in drawn], names)


def _draw(task: tuple[str, int, int]) -> tuple[Pixels, Facts]:
    category, seed, number = task
    random = np.random.default_rng([seed, CATEGORIES.index(category), number])
    picture = draw_picture(category, random, _DRAWN_PX)
    return shrink(picture.image), facts_of_drawing(picture)


def facts_of_drawing(picture: Picture) -> Facts:
    colours = colours_of(picture.category, None)
    if picture.colour:
        colours = SHADES.get(picture.colour, frozenset({picture.colour}))
    return Facts(
        "fruit",
        picture.category,
        None,
        colours,
        picture.setting,
        picture.count,
        picture.caption,
    )
