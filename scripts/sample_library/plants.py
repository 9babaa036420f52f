"""Stems, twigs and leaves."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array, Rng, mix, normalise, pixel_grid, rgb, smoothstep, stack, vary
from .canvas import Sprite
from .light import Light, Skin, shade
from .noise import fractal, sample

GREEN_STEM = rgb("7f9a3c")
BROWN_STEM = rgb("6b4a2b")
LEAF_GREENS = (rgb("3f7a2a"), rgb("557f2c"), rgb("2f6a33"), rgb("6f9a3a"))


def _chord(
    x0: float, y0: float, x1: float, y1: float, margin: float
) -> tuple[int, int, Array, Array, float, float, float]:
    """A patch round the chord: its corner, position along (0 to 1) and across (pixels)."""
    left, top = math.floor(min(x0, x1) - margin), math.floor(min(y0, y1) - margin)
    width = math.ceil(max(x0, x1) + margin) - left
    height = math.ceil(max(y0, y1) + margin) - top
    px, py = pixel_grid(left, top, width, height)
    length = max(math.hypot(x1 - x0, y1 - y0), 1e-3)
    cosine, sine = (x1 - x0) / length, (y1 - y0) / length
    along = ((px - x0) * cosine + (py - y0) * sine) / length
    across = (py - y0) * cosine - (px - x0) * sine
    return left, top, along, across, length, cosine, sine


def stem(
    start: tuple[float, float],
    end: tuple[float, float],
    thickness: tuple[float, float],
    bow: float,
    colours: tuple[Array, Array],
    light: Light,
) -> Sprite:
    """A thin curved rod; thickness (at start, at end) are half widths and bow a height, in pixels.

    Points are relative to the anchor. The colour runs from the first to the second.
    """
    margin = abs(bow) + max(thickness) + 2
    left, top, along, across, length, cosine, sine = _chord(*start, *end, margin)
    t = np.clip(along, 0.0, 1.0)
    tilt = bow * 4.0 * (1.0 - 2.0 * t) / length
    half = np.maximum(thickness[0] + (thickness[1] - thickness[0]) * t, 0.45)
    offset = (across - bow * 4.0 * t * (1.0 - t)) / np.sqrt(1.0 + tilt * tilt)
    beyond = (along - t) * length
    distance = np.sqrt(offset * offset + beyond * beyond)
    f = np.clip(offset / half, -1.0, 1.0)
    normal = stack(-sine * f, cosine * f, np.sqrt(1.0 - f * f))
    albedo = mix(colours[0], colours[1], t) * (1.0 + 0.12 * sample(fractal(5), t * 0.9, f * 0.04))
    colour = shade(albedo, normal, light, Skin(gloss=0.12, power=20, wrap=0.3))
    alpha = np.clip(half - distance + 0.5, 0.0, 1.0)
    return Sprite(colour, alpha, left, top)


def leaf(rng: Rng, length: float, angle: float, light: Light, slender: float = 0.3) -> Sprite:
    """A leaf of this length (pixels) that grows from the anchor along `angle` (radians)."""
    x1, y1 = math.cos(angle) * length, math.sin(angle) * length
    bow = rng.uniform(-0.10, 0.10) * length
    widest = slender * length
    left, top, along, across, _, cosine, sine = _chord(0, 0, x1, y1, widest + abs(bow) + 2)
    t = np.clip(along, 0.0, 1.0)
    across = across - bow * 4.0 * t * (1.0 - t)
    half = (
        widest * 0.5 * np.maximum(np.sin(math.pi * t**0.8), 0.0) ** 0.9 * (1.0 + 0.25 * (0.5 - t))
    )
    half = half * (1.0 + 0.03 * np.sin(t * 70.0))
    f = across / np.maximum(half, 0.6)
    inside = np.clip((half - np.abs(across)) + 0.5, 0.0, 1.0) * ((along > 0) & (along < 1))
    fold, curl = rng.uniform(0.15, 0.5), rng.uniform(-0.5, 0.5)
    veins = np.abs(np.mod(t * 9.0 - np.abs(f) * 1.1, 1.0) - 0.5) * 2.0
    vein = smoothstep(0.78, 1.0, veins) * 0.35 * smoothstep(1.0, 0.5, np.abs(f))
    rib = smoothstep(0.10, 0.03, np.abs(f)) + smoothstep(1.1, 0.6, np.abs(across))
    sides = np.where(f > 0, fold, -fold) * np.minimum(np.abs(f) * 5.0, 1.0)
    bend = curl * (t - 0.5) * 1.6
    wave = 0.25 * (veins - 0.5) * np.sign(f) * 0.5
    side = sides + wave
    normal = normalise(
        stack(-sine * side + cosine * bend, cosine * side + sine * bend, np.ones_like(f))
    )
    base = vary(rng, LEAF_GREENS[int(rng.integers(len(LEAF_GREENS)))], 0.08)
    mottled = 1.0 + 0.10 * sample(fractal(3), along * 0.3 + float(rng.random()), across * 0.002)
    albedo = mix(base * mottled, base * 1.6 + 0.03, np.clip(vein + rib * 0.6, 0.0, 0.8))
    colour = shade(albedo, normal, light, Skin(gloss=0.22, power=14, wrap=0.35))
    return Sprite(colour, inside.astype(np.float32), left, top)
