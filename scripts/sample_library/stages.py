"""The surroundings as a whole: the ground with its light, and a garden out of focus."""

from __future__ import annotations

import math

import numpy as np

from . import surfaces
from .arrays import Array, Rng, mix, pixel_grid, rgb, smoothstep, vary
from .noise import fractal, sample
from .shadows import STEP, enlarge


def ground(rng: Rng, setting: str, width: int, height: int, squash: float) -> tuple[Array, str]:
    """The surface (3, h, w) of a setting, and the caption's words for the place."""
    seen = surfaces.look_at(width, height, squash)
    if setting == "wooden table":
        colour, place = surfaces.wood(rng, seen), "on a wooden table"
    elif setting == "kitchen cloth":
        colour, pattern = surfaces.cloth(rng, seen)
        place = f"on a {pattern} kitchen cloth"
    elif setting == "marble":
        colour, place = surfaces.marble(rng, seen), "on a marble counter"
    elif setting == "slate":
        colour, place = surfaces.stone(rng, seen), "on a dark slate"
    elif setting == "grass":
        colour, place = surfaces.grass(rng, seen), "on the grass"
    elif setting == "white plate":
        under = str(rng.choice(["wooden table", "plain background", "kitchen cloth", "slate"]))
        colour, _ = ground(rng, under, width, height, squash)
        return colour, "on a white plate"
    else:
        colour, name = surfaces.backdrop(rng, seen)
        colour = colour * 1.12
        place = f"on {'an' if name[0] in 'aeiou' else 'a'} {name} background"
    return colour * _falling_light(rng, width, height), place


def _falling_light(rng: Rng, width: int, height: int) -> Array:
    """How bright the light is over the ground: brighter to one side, with soft large shadows."""
    w, h = math.ceil(width / STEP), math.ceil(height / STEP)
    x, y = pixel_grid(0, 0, w, h)
    angle = rng.uniform(0, 2 * math.pi)
    slope = (x / w - 0.5) * math.cos(angle) + (y / h - 0.5) * math.sin(angle)
    light = 0.98 + rng.uniform(0.1, 0.45) * slope
    if rng.random() < 0.35:
        shift = float(rng.random())
        cloud = sample(fractal(10, 2.8), x / w * 0.35 + shift, y / w * 0.35)
        light = light * (1.0 - rng.uniform(0.15, 0.4) * smoothstep(-0.9, 1.5, cloud))
    return enlarge(light.astype(np.float32), width, height)


def garden(rng: Rng, width: int, height: int) -> Array:
    """Leaves and sky far out of focus, shape (3, h, w)."""
    w, h = math.ceil(width / STEP), math.ceil(height / STEP)
    x, y = pixel_grid(0, 0, w, h)
    shift = float(rng.random())
    tones = [vary(rng, rgb(code), 0.08) for code in ("2f4f22", "6b8f3f", "b9cf8a", "cfe0ea")]
    clouds = sample(fractal(10, 2.2), x / w * 0.5 + shift, y / w * 0.5)
    picture = mix(tones[0], tones[1], smoothstep(-1.2, 1.2, clouds))
    sky = float(rng.choice([0.0, 0.4, 0.9])) * smoothstep(0.7, -0.2, y / h + 0.15 * clouds)
    picture = mix(picture, tones[3], sky)
    for _ in range(int(rng.integers(12, 30))):
        cx, cy = rng.uniform(0, w), rng.uniform(0, h)
        radius = w * rng.uniform(0.03, 0.10)
        disc = smoothstep(1.0, 0.8, np.hypot(x - cx, y - cy) / radius)
        picture = mix(picture, tones[int(rng.integers(1, 4))], disc * rng.uniform(0.1, 0.45))
    return np.stack([enlarge(np.ascontiguousarray(c), width, height) for c in picture])
