"""Smooth-skinned tree fruit: apple, apricot, cherry and mango.

Each function draws one fruit of radius `r` (pixels) and returns a sprite anchored at its centre.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array, Rng, mix, rgb, smoothstep, vary
from .bodies import Body, blob, bump, dimple, from_pole, longitude, skin_coordinates
from .canvas import Canvas, Sprite
from .light import Light, Skin, shade
from .noise import cells, fractal, sample, slopes
from .plants import BROWN_STEM, GREEN_STEM, leaf, stem

# ground colour, streak colour, colour of the blush
APPLES = {
    "red": (rgb("b3202a"), rgb("7d0f1c"), rgb("d8842f")),
    "green": (rgb("86b432"), rgb("9cc549"), rgb("b4cc58")),
    "yellow": (rgb("e6c544"), rgb("edd463"), rgb("dba23f")),
}
MANGOES = {
    "green": (rgb("6f9a38"), rgb("8fb048"), rgb("557f2f")),
    "yellow": (rgb("f0b02c"), rgb("f4c54a"), rgb("e2902a")),
    "red": (rgb("cf4a2e"), rgb("e9a23a"), rgb("a82c33")),
}
CHERRIES = {
    "red": (rgb("b0101c"), rgb("cf2a28")),
    "dark red": (rgb("5a0a16"), rgb("7c1220")),
}


def over(base: Sprite, *others: Sprite) -> Sprite:
    """Several sprites with one anchor as one sprite, the first at the bottom."""
    sprites = (base, *others)
    left, top = min(s.left for s in sprites), min(s.top for s in sprites)
    right = max(s.left + s.size[0] for s in sprites)
    bottom = max(s.top + s.size[1] for s in sprites)
    canvas = Canvas.transparent(right - left, bottom - top)
    for sprite in sprites:
        canvas.paint(sprite, -left, -top)
    return canvas.as_sprite(-left, -top)


def _apple_outline(theta: Array) -> Array:
    s = np.sin(theta)
    top = np.exp(-(((theta + math.pi / 2) / 0.42) ** 2))
    foot = np.exp(-(((theta - math.pi / 2) / 0.35) ** 2))
    return 1.0 + 0.035 * np.abs(np.cos(theta)) - 0.05 * s * np.abs(s) - 0.07 * top - 0.04 * foot


def apple(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """An apple with its stem cavity, streaks and lenticels."""
    body = blob(r, r * rng.uniform(0.9, 1.0), rng.normal(0, 0.22), _apple_outline)
    tilt = rng.uniform(0.55, 1.0)
    pole = (rng.normal(0, 0.08), -math.cos(tilt), math.sin(tilt))
    distance, around = from_pole(body, pole), longitude(body, pole)
    base, streak, blush = (vary(rng, c, 0.06) for c in APPLES[colour])
    turn = float(rng.random())
    u, v = skin_coordinates(body, turn)
    stripes = sample(fractal(1, 1.1, 6), around / (2 * math.pi) * 2.0 + turn, distance * 0.06)
    clouds = sample(fractal(2, 2.0), u, v)
    strength = 0.55 if colour == "red" else 0.2
    albedo = mix(base, streak, smoothstep(-0.6, 1.6, stripes + 0.4 * clouds) * strength * 1.4)
    patch = smoothstep(0.7, 2.2, clouds + 0.5 * stripes + rng.uniform(-0.8, 0.6))
    near = smoothstep(0.62, 0.15, distance + 0.05 * stripes)
    albedo = mix(albedo, blush, patch * 0.75)
    albedo = mix(albedo, mix(blush, rgb("a8a045"), 0.6), near * 0.75)
    dots = smoothstep(0.16, 0.08, sample(cells(34, 3)[0], u * 1.3, v * 1.3))
    albedo = albedo * (1.0 + 0.05 * clouds) + (rgb("d8c48a") - albedo) * dots * 0.3
    hollow = smoothstep(0.40, 0.04, distance)
    normal = dimple(body, pole, 0.46, 0.95)
    skin = Skin(gloss=rng.uniform(0.3, 0.55), power=rng.uniform(30, 90), window=0.4, wrap=0.12)
    shaded = shade(albedo, normal, light, skin) * (1.0 - 0.62 * hollow)
    fruit = body.sprite(ground_shade(body, shaded))
    axis = body.turned(*pole) * r * 0.86
    tip = (axis[0] * 1.2 + rng.normal(0, 0.1) * r, axis[1] * 1.05 - r * rng.uniform(0.25, 0.4))
    start = (float(axis[0]), float(axis[1]))
    width = (0.03 * r, 0.045 * r)
    twig = stem(start, tip, width, rng.normal(0, 0.06) * r, (BROWN_STEM * 0.6, BROWN_STEM), light)
    if rng.random() < 0.22:
        side = float(rng.choice([-1.0, 1.0]))
        green = leaf(rng, r * rng.uniform(0.6, 0.85), -math.pi / 2 + side * 1.1, light, 0.42)
        moved = Sprite(
            green.rgb, green.alpha, green.left + int(start[0]), green.top + int(start[1])
        )
        return over(fruit, moved, twig)
    return over(fruit, twig)


def ground_shade(body: Body, colour: Array) -> Array:
    """Darken the underside a little: what the fruit lies on takes its light."""
    y = body.x * math.sin(body.angle) + body.y * math.cos(body.angle)
    return colour * (1.0 - 0.38 * smoothstep(0.25, 1.0, y))


def apricot(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A velvety apricot with its seam and a red blush on one side."""
    del colour

    def outline(theta: Array) -> Array:
        top = np.exp(-(((theta + math.pi / 2) / 0.3) ** 2))
        return np.asarray(1.0 + 0.02 * np.cos(2 * theta) - 0.05 * top)

    body = blob(r, r * rng.uniform(0.94, 1.02), rng.normal(0, 0.5), outline)
    lean = rng.uniform(-0.45, 0.45)
    bow = np.sqrt(np.maximum(1.0 - body.y * body.y, 0.0))
    seam = body.x - lean * bow
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(4, 1.8), u, v)
    fine = sample(fractal(6, 0.8, 20), u * 2, v * 2)
    base = vary(rng, rgb("efa23c"), 0.05)
    side = float(rng.choice([-1.0, 1.0]))
    blush = body.x * side * 0.8 - body.y * 0.35 + 0.28 * clouds + 0.10 * fine
    albedo = mix(base, vary(rng, rgb("cf4f2a"), 0.06), smoothstep(0.0, 1.1, blush) * 0.85)
    albedo = mix(albedo, rgb("f3c56a"), smoothstep(0.2, 1.2, -blush) * 0.5)
    freckles = smoothstep(0.2, 0.1, sample(cells(34, 5)[0], u * 1.6, v * 1.6))
    albedo = mix(albedo, rgb("a83a22"), freckles * smoothstep(0.1, 0.8, blush) * 0.5)
    pole = (lean * 0.5, -0.80, 0.55)
    normal = dimple(body, pole, 0.34, 0.85)
    groove = np.exp(-((seam / 0.055) ** 2)) * smoothstep(0.75, -0.5, body.y)
    wide = np.clip(seam / 0.13, -1.0, 1.0) * np.exp(-((seam / 0.13) ** 2))
    turned = body.turned(1.0, 0.0, 0.0).reshape(3, 1, 1)
    normal = normal - turned * (wide * 0.7 * smoothstep(0.8, -0.6, body.y))
    skin = Skin(gloss=0.05, power=8, wrap=0.4, velvet=0.28)
    shaded = shade(albedo * (1.0 + 0.04 * fine), normal, light, skin)
    hollow = smoothstep(0.28, 0.02, from_pole(body, pole))
    shaded = shaded * (1.0 - 0.30 * groove) * (1.0 - 0.65 * hollow)
    return body.sprite(ground_shade(body, shaded))


def cherry(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A glossy cherry without its stem (see `bunches.cherry_pair` for the stems)."""

    def outline(theta: Array) -> Array:
        top = np.exp(-(((theta + math.pi / 2) / 0.4) ** 2))
        return 1.0 - 0.10 * top + 0.03 * np.abs(np.cos(theta))

    body = blob(r, r * 0.95, rng.normal(0, 0.12), outline)
    dark, bright = (vary(rng, c, 0.05) for c in CHERRIES[colour])
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(2, 2.0), u, v)
    albedo = mix(dark, bright, np.clip(0.4 + 0.3 * clouds + 0.3 * body.y, 0.0, 1.0))
    pole = (0.0, -0.88, 0.47)
    normal = dimple(body, pole, 0.5, 0.9)
    hollow = smoothstep(0.4, 0.05, from_pole(body, pole))
    skin = Skin(gloss=0.85, power=rng.uniform(60, 110), window=0.75, wrap=0.1, glow=0.6)
    shaded = shade(albedo, normal, light, skin) * (1.0 - 0.6 * hollow)
    return body.sprite(ground_shade(body, shaded))


def cherry_stem(rng: Rng, r: float, end: tuple[float, float], light: Light) -> Sprite:
    """The stem of a cherry of radius r: from its cavity (its anchor is its centre) to `end`."""
    start = (0.0, -0.72 * r)
    bow = rng.uniform(-0.12, 0.12) * math.hypot(end[0], end[1] - start[1])
    colours = (vary(rng, GREEN_STEM), vary(rng, mix(GREEN_STEM, BROWN_STEM, 0.5)))
    return stem(start, end, (0.055 * r, 0.085 * r), bow, colours, light)


def mango(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A mango lying on its side: kidney-shaped, its colours running into one another."""
    flip = float(rng.choice([-1.0, 1.0]))

    def outline(theta: Array) -> Array:
        beak = np.exp(-(((theta - 0.55) / 0.35) ** 2))
        back = np.cos(theta - 2.4)
        return 1.0 + 0.05 * beak + 0.07 * back - 0.05 * np.exp(-(((theta - 1.15) / 0.4) ** 2))

    body = blob(r * 1.30, r * 0.94 * flip, rng.normal(0, 0.35), outline)
    base, pale, blush = (vary(rng, c, 0.06) for c in MANGOES[colour])
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(8, 2.2), u, v)
    albedo = mix(base, pale, smoothstep(-0.9, 0.9, body.y * 1.2 + 0.35 * clouds) * 0.8)
    amount = {"green": 0.35, "yellow": 0.45, "red": 0.9}[colour]
    albedo = mix(
        albedo, blush, smoothstep(-0.1, 1.0, 0.35 * clouds - body.x - 0.3 * body.y) * amount
    )
    dots = smoothstep(0.2, 0.1, sample(cells(34, 5)[0], u * 1.1, v * 1.1))
    albedo = mix(albedo, pale * 1.15, dots * 0.45) * (1.0 + 0.03 * clouds)
    pole = (-0.97, -0.12, 0.2)
    normal = bump(body, slopes(34, 5), u * 0.9, v * 0.9, 0.02)
    skin = Skin(gloss=rng.uniform(0.2, 0.4), power=rng.uniform(14, 30), window=0.1, wrap=0.2)
    shaded = shade(albedo, normal, light, skin)
    scar = smoothstep(0.17, 0.08, from_pole(body, pole))
    shaded = mix(shaded, rgb("4a3520") * 0.5, scar * 0.85)
    return body.sprite(ground_shade(body, shaded))
