"""Lemon and orange: pored peel, and the cut face with its segments."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array, Rng, mix, normalise, rgb, smoothstep, stack, vary
from .bodies import Body, blob, bump, from_pole, gradient, longitude, skin_coordinates
from .canvas import Sprite
from .light import Light, Skin, shade
from .noise import cells, fractal, sample, slopes
from .orchard import ground_shade

PEEL = {"orange": rgb("ee7d12"), "lemon": rgb("f3cf1f"), "green lemon": rgb("9db33a")}
FLESH = {"orange": rgb("f39a2b"), "lemon": rgb("f2e07a")}


def _peel(rng: Rng, body: Body, light: Light, base: Array, depth: float) -> Array:
    u, v = skin_coordinates(body, float(rng.random()))
    # Pores are hollows: the slopes of bumps, turned over.
    normal = bump(body, slopes(34, 9), u * 2.2, v * 2.2, -depth)
    normal = bump(Body(**{**body.__dict__, "normal": normal}), slopes(16, 4), u, v, depth * 0.35)
    pores = smoothstep(0.30, 0.05, sample(cells(34, 9)[0], u * 2.2, v * 2.2))
    clouds = sample(fractal(8, 1.9), u, v)
    albedo = vary(rng, base, 0.04) * (1.0 + 0.05 * clouds) * (1.0 - 0.16 * pores)
    skin = Skin(gloss=rng.uniform(0.22, 0.4), power=rng.uniform(12, 26), wrap=0.22)
    return shade(albedo, normal, light, skin)


def orange(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """An orange with its pores and the small green star where the stem was."""
    del colour
    body = blob(r, r * rng.uniform(0.94, 1.0), rng.normal(0, 0.3))
    shaded = _peel(rng, body, light, PEEL["orange"], 0.13)
    tilt, side = rng.uniform(-0.2, 1.2), rng.uniform(-0.9, 0.9)
    pole = (math.sin(side), -math.cos(tilt) * math.cos(side), math.sin(tilt) * math.cos(side))
    distance, around = from_pole(body, pole), longitude(body, pole)
    shaded = shaded * (1.0 - 0.3 * smoothstep(0.34, 0.05, distance))
    star = smoothstep(0.03, -0.01, distance - 0.085 - 0.03 * np.cos(around * 5))
    button = mix(rgb("6f8a3a"), rgb("b7b27a"), smoothstep(0.05, 0.0, distance)) * 0.7
    shaded = mix(shaded, button, star * (body.z > 0))
    return body.sprite(ground_shade(body, shaded))


def lemon(rng: Rng, r: float, light: Light, colour: str) -> Sprite:
    """A lemon lying on its side, a nipple at one end and a stub at the other."""
    sharp = rng.uniform(0.16, 0.26)

    def outline(theta: Array) -> Array:
        beyond = math.pi - np.abs(theta)
        return 1.0 + sharp * np.exp(-((theta / 0.24) ** 2)) + 0.1 * np.exp(-((beyond / 0.26) ** 2))

    body = blob(
        r * 1.16, r * 0.9, rng.uniform(-0.7, 0.7) + float(rng.choice([0, math.pi])), outline
    )
    base = PEEL["green lemon"] if colour == "green" else PEEL["lemon"]
    tips = smoothstep(0.72, 1.0, np.abs(body.x))
    shaded = _peel(rng, body, light, base, 0.11)
    shaded = mix(shaded, shaded * rgb("b9c070") * 1.5, tips * rng.uniform(0.1, 0.6))
    stub = smoothstep(0.14, 0.09, from_pole(body, (-0.99, 0.0, 0.14)))
    shaded = mix(shaded, rgb("77703a") * 0.6, stub * 0.8)
    return body.sprite(ground_shade(body, shaded))


def citrus_half(rng: Rng, r: float, light: Light, kind: str) -> Sprite:
    """The cut face of an orange or a lemon: rind, pith, segments and their fibres."""
    squash = rng.uniform(0.72, 0.98)
    body = blob(r, r * squash, rng.normal(0, 0.25))
    distance = np.sqrt(body.x * body.x + body.y * body.y)
    theta = np.arctan2(body.y, body.x)
    n = int(rng.integers(9, 12))
    phase = theta * n / (2 * math.pi) + rng.random() + 0.05 * np.sin(theta * 3 + rng.random() * 6)
    offset = np.abs(np.mod(phase, 1.0) - 0.5) * 2.0  # 1 on a membrane, 0 amid a segment
    wall = (1.0 - offset) * (math.pi / n) * distance  # distance from the membrane
    rounded = 0.82 - 0.05 * offset**4
    inside = smoothstep(0.008, 0.03, wall) * smoothstep(0.0, -0.03, distance - rounded)
    inside = inside * smoothstep(0.09, 0.13, distance + 0.02 * offset)
    spin = np.floor(phase) * 0.37
    fibre = sample(fractal(11, 0.9, 10), offset * 0.06 + spin, distance * 0.14 + spin * 0.3)
    flesh = vary(rng, FLESH[kind], 0.04)
    pulp = flesh * (1.0 + 0.10 * fibre) * (0.82 + 0.3 * distance)
    pith = rgb("f6ecd0") if kind == "lemon" else rgb("f7dfb4")
    albedo = mix(pith, pulp, inside)
    rind = smoothstep(0.90, 0.94, distance)
    albedo = mix(albedo, PEEL[kind], rind)
    gx, gy = gradient(inside * (r * 0.03) + fibre * inside * (r * 0.004))
    normal = normalise(stack(-gx, -gy - 0.2, np.ones_like(gx)))
    skin = Skin(gloss=0.16, power=26, wrap=0.35)
    shaded = shade(albedo, normal, light, skin) * (1.0 - 0.25 * smoothstep(0.965, 1.0, distance))
    return body.sprite(shaded)
