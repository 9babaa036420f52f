"""Small round fruit: a grape, a blueberry and a litchi.

Each function draws one fruit of radius `r` (pixels) and returns a sprite anchored at its centre.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Rng, mix, rgb, smoothstep, vary
from .bodies import blob, bump, from_pole, longitude, skin_coordinates
from .canvas import Sprite
from .light import Light, Skin, shade
from .noise import cells, fractal, sample, slopes
from .orchard import ground_shade, over
from .plants import BROWN_STEM, stem

# skin, colour of the light that passes through
GRAPES = {
    "green": (rgb("9fb548"), rgb("cfd878")),
    "purple": (rgb("3f2147"), rgb("7d3f74")),
    "red": (rgb("8a2638"), rgb("c9565a")),
}


def grape(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """One translucent grape with its bloom."""
    body = blob(r * 0.94, r * rng.uniform(1.0, 1.12), rng.normal(0, 0.35))
    skin_colour, inner = (vary(rng, c, 0.07) for c in GRAPES[colour])
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(2, 1.5), u * 1.4, v * 1.4)
    lx, ly, _ = light.direction
    far = -(body.x * lx + body.y * ly)  # the side away from the light gathers what passes through
    glow = smoothstep(-0.1, 1.0, far) * smoothstep(0.0, 0.5, body.z)
    albedo = mix(skin_colour, inner, np.clip(glow * 0.9 + 0.08 * clouds, 0.0, 1.0))
    bloom = smoothstep(-0.6, 2.0, clouds) * (0.14 if colour == "green" else 0.24)
    albedo = mix(albedo, rgb("b9bfd6"), bloom)
    strength = 0.9 if colour == "green" else 0.7
    skin = Skin(gloss=0.42, power=45, window=0.5, wrap=0.25, glow=strength)
    shaded = shade(albedo, body.normal, light, skin)
    pole = (rng.normal(0, 0.3), 0.75, 0.62)
    spot = smoothstep(0.13, 0.06, from_pole(body, pole))
    shaded = shaded * (1.0 - 0.5 * spot) * (1.0 - 0.4 * smoothstep(0.55, 0.0, body.z))
    return body.sprite(shaded)


def blueberry(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A blueberry with its powdery bloom and, when it faces us, its crown."""
    del colour
    body = blob(r, r * rng.uniform(0.9, 0.98), rng.normal(0, 0.5))
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(2, 1.4), u * 1.6, v * 1.6)
    base = vary(rng, rgb("2c3566"), 0.09)
    bloom = np.clip(0.48 + 0.26 * clouds, 0.0, 0.95) * rng.uniform(0.6, 1.0)
    albedo = mix(base, vary(rng, rgb("7f92c4"), 0.05), bloom)
    turn, tilt = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 2.1)
    pole = (math.cos(turn) * math.sin(tilt), math.sin(turn) * math.sin(tilt), math.cos(tilt))
    distance, around = from_pole(body, pole), longitude(body, pole)
    points = 0.05 * np.cos(around * 5 + rng.random() * 6)
    rim = np.exp(-(((distance - 0.36 - points) / 0.06) ** 2))
    inside = smoothstep(0.37, 0.27, distance - points)
    axis = body.turned(*pole).reshape(3, 1, 1)
    slope = smoothstep(0.28, 0.37, distance) * smoothstep(0.56, 0.40, distance)
    normal = body.normal + (axis * 0.3) * (slope - inside * 0.5)
    albedo = mix(albedo, rgb("6f7da8"), rim * 0.4)
    skin = Skin(gloss=0.10, power=10, wrap=0.25, velvet=0.06)
    shaded = shade(albedo, normal, light, skin) * (1.0 - 0.80 * inside)
    star = np.exp(-((distance / 0.05) ** 2))
    shaded = mix(shaded, rgb("5a4a44") * 0.6, star * 0.8)
    return body.sprite(ground_shade(body, shaded))


def litchi(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A litchi in its bumpy shell, pink to red with traces of green, and a bit of stem."""
    del colour
    body = blob(r, r * rng.uniform(1.0, 1.1), rng.normal(0, 0.35))
    turn = float(rng.random())
    u, v = skin_coordinates(body, turn)
    u, v = u * 1.3, v * 1.3
    distance, owner = sample(cells(26, 2)[0], u, v), sample(cells(26, 2)[1], u, v)
    clouds = sample(fractal(8, 1.9), u, v)
    base = mix(vary(rng, rgb("c23a4a"), 0.05), rgb("d9676a"), np.clip(owner * 0.7, 0, 1))
    albedo = mix(base, rgb("c79a5a"), smoothstep(0.6, 2.0, clouds + rng.uniform(-0.4, 0.7)) * 0.7)
    albedo = mix(albedo, rgb("6f1526"), smoothstep(0.35, 0.72, distance) * 0.75)
    albedo = mix(albedo, rgb("eda79c"), smoothstep(0.22, 0.0, distance) * 0.5)
    normal = bump(body, slopes(26, 2), u, v, 0.42)
    skin = Skin(gloss=0.22, power=12, wrap=0.2)
    shaded = shade(albedo, normal, light, skin)
    shaded = shaded * (1.0 - 0.35 * smoothstep(0.4, 0.8, distance))
    fruit = body.sprite(ground_shade(body, shaded))
    if rng.random() < 0.6:
        tip = (rng.normal(0, 0.12) * r, -r * rng.uniform(1.15, 1.4))
        top = (0.0, -r * 0.95)
        twig = stem(top, tip, (0.05 * r, 0.06 * r), 0.0, (BROWN_STEM, BROWN_STEM * 1.3), light)
        return over(twig, fruit)
    return fruit


def peeled_litchi(rng: Rng, r: float, light: Light) -> Sprite:
    """A litchi without its shell: white, wet and translucent, the shell's rest as a cup below."""
    shell = litchi(rng, r, light, "red")
    body = blob(r * 0.9, r * 0.86, rng.normal(0, 0.2))
    u, v = skin_coordinates(body, float(rng.random()))
    clouds = sample(fractal(8, 1.9), u, v)
    albedo = mix(rgb("e9e2dc"), rgb("cfc3bb"), np.clip(0.4 + 0.3 * clouds, 0, 1))
    skin = Skin(gloss=0.55, power=40, window=0.4, wrap=0.55, glow=0.5)
    shaded = shade(albedo, body.normal, light, skin)
    edge = body.y + 0.07 * np.cos(body.x * 17.0 + rng.random() * 6) - 0.18
    keep = smoothstep(0.03, -0.03, edge)
    shadow = 1.0 - 0.45 * smoothstep(-0.22, 0.0, edge)
    flesh = Sprite(shaded * shadow, body.alpha * keep, body.left, body.top - round(0.08 * r))
    return over(shell, flesh)
