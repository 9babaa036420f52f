"""A banana and a bunch of them."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Rng, mix, normalise, pixel_grid, rgb, smoothstep, stack, vary
from .canvas import Canvas, Sprite
from .light import Light, Skin, shade
from .noise import cells, fractal, sample

PEEL = {"yellow": rgb("f0c62e"), "green": rgb("8fae3c"), "ripe": rgb("e9b62f")}


def banana(
    rng: Rng, length: float, light: Light, colour: str, angle: float = 0.0, curve: float = 1.25
) -> Sprite:
    """One banana of this length (pixels); its anchor is the end of its stem.

    It leaves the stem along `angle` (radians) and bends to its right (down, for angle 0) by
    `curve` radians over its length. `colour` is "yellow", "green" or "ripe" (brown spots).
    """
    radius = length / curve  # of the circle that its middle line follows
    half = length * rng.uniform(0.088, 0.102)
    cx, cy = -math.sin(angle) * radius, math.cos(angle) * radius
    start = angle - math.pi / 2
    steps = start + np.linspace(0.0, curve, 9)
    xs, ys = cx + radius * np.cos(steps), cy + radius * np.sin(steps)
    left, top = math.floor(xs.min() - half - 2), math.floor(ys.min() - half - 2)
    width = math.ceil(xs.max() + half + 2) - left
    height = math.ceil(ys.max() + half + 2) - top
    px, py = pixel_grid(left, top, width, height)
    dx, dy = px - cx, py - cy
    rho = np.sqrt(dx * dx + dy * dy)
    around = np.mod(np.arctan2(dy, dx) - start + 0.6, 2 * math.pi) - 0.6
    t = around / curve  # 0 at the stem, 1 at the tip
    inner = np.clip(t, 0.0, 1.0)
    swell = smoothstep(0.08, 0.42, inner) * smoothstep(1.02, 0.70, inner)
    neck = 0.30 - 0.1 * smoothstep(0.0, 0.1, inner)
    girth = half * (neck + (1.0 - neck) * swell) * smoothstep(1.0, 0.985, inner) + 0.01
    girth = np.maximum(girth, half * 0.16 * (inner < 1.0))
    offset = rho - radius
    beyond = np.maximum(np.maximum(-t, t - 1.0), 0.0) * length
    distance = np.sqrt(offset * offset + beyond * beyond)
    f = np.clip(offset / np.maximum(girth, 0.5), -1.0, 1.0)
    alpha = np.clip(girth - distance + 0.5, 0.0, 1.0)
    roll = rng.uniform(-0.3, 0.3)
    bend = np.arcsin(f)
    # Five flat sides: the normal lags within a side and turns quickly at a ridge.
    sector = bend / (2 * math.pi / 5) + roll
    from_ridge = np.abs(np.mod(sector, 1.0) - 0.5)
    flat = bend + 0.16 * np.sin(2 * math.pi * sector) * smoothstep(0.05, 0.3, swell)
    ex, ey = dx / rho, dy / rho
    normal = normalise(stack(ex * np.sin(flat), ey * np.sin(flat), np.cos(flat)))
    turn = float(rng.random())
    clouds = sample(fractal(8, 1.9), t * 0.4 + turn, f * 0.08 + turn)
    streak = sample(fractal(12, 0.9, 8), t * 0.25 + turn, f * 0.12)
    base = vary(rng, PEEL[colour], 0.04)
    green = rgb("93a63c")
    ends = smoothstep(0.22, 0.02, inner) + 0.6 * smoothstep(0.88, 1.0, inner)
    albedo = base * (1.0 + 0.05 * clouds)
    albedo = mix(albedo, green, np.clip(ends * (0.35 if colour == "ripe" else 0.75), 0.0, 0.8))
    ridge = smoothstep(0.07, 0.0, from_ridge) * swell
    albedo = mix(albedo, rgb("9c7a2a"), ridge * (0.30 if colour != "green" else 0.12))
    marks = smoothstep(1.6, 2.4, streak) * swell
    if colour == "ripe":
        spots, owner = cells(34, 6)
        size = 0.02 + 0.30 * sample(owner, t * 0.5 + turn, f * 0.075)
        spot = sample(spots, t * 0.5 + turn, f * 0.075)
        marks = np.maximum(marks, smoothstep(0.05, -0.05, spot - size) * swell)
    albedo = mix(albedo, rgb("5b3a1c"), marks * 0.6)
    tip = smoothstep(0.965, 0.985, inner) + smoothstep(0.02, 0.0, inner) * 0.8
    albedo = mix(albedo, rgb("3a2a1c"), np.clip(tip, 0.0, 1.0))
    skin = Skin(gloss=0.2, power=16, wrap=0.25)
    shaded = shade(albedo, normal, light, skin)
    shaded = shaded * (1.0 - 0.25 * smoothstep(0.3, 1.0, f * ey))
    return Sprite(shaded, alpha, left, top)


def single_banana(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """One banana, lying in any direction, as a sprite anchored at its middle; r is half of it."""
    curve = rng.uniform(0.9, 1.5)
    way = rng.uniform(-0.5, 0.5) + float(rng.choice([0.0, math.pi]))
    return centred(banana(rng, r * 2.3, light, colour, way, curve))


def bunch_of_bananas(rng: Rng, r: float, light: Light, colour: str, n: int) -> Sprite:
    """A bunch of n bananas on one stalk, anchored at its middle; r is half of its length."""
    length = r * 2.2
    side = int(4 * r)
    canvas = Canvas.transparent(2 * side, 2 * side)
    middle = rng.uniform(-0.6, 0.4) + float(rng.choice([0.0, 0.0, 1.2, math.pi]))
    spread = rng.uniform(0.18, 0.26)
    curve = rng.uniform(1.0, 1.4)
    for i in range(n):
        angle = middle + (i - (n - 1) / 2) * spread
        one = banana(
            rng, length * rng.uniform(0.93, 1.04), light, colour, angle, curve + 0.06 * (n - i)
        )
        shadow = Sprite(np.zeros((3, 1, 1), np.float32), one.alpha * 0.35, one.left, one.top)
        drop = 0.035 * length
        canvas.darken(shadow, side - light.direction[0] * drop, side - drop)
        canvas.paint(one, side, side)
    return centred(canvas.as_sprite(side, side))


def centred(sprite: Sprite) -> Sprite:
    """The same sprite with its anchor in its middle."""
    width, height = sprite.size
    return Sprite(sprite.rgb, sprite.alpha, -width // 2, -height // 2)
