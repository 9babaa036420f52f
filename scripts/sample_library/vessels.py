"""Plate, bowl and basket: a back part, painted before the fruit, and a front part after.

A vessel's anchor is the middle of its rim; `a` is half of the rim's width (pixels) and `squash`
the height of a level circle for its width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import Array, Rng, mix, normalise, pixel_grid, rgb, smoothstep, stack, vary
from .canvas import Sprite
from .light import Light, Skin, shade
from .noise import fractal, sample

BOWLS = ("f0ede6", "7fa3b8", "2f4a6b", "c98b6b", "8aa58a", "d9c9a8", "4a4a4c")


@dataclass(frozen=True)
class Vessel:
    """The two parts, and where the fruit lie in it."""

    back: Sprite
    front: Sprite | None
    room: float  # radius of the floor in pixels
    floor: float  # how far the floor lies below the rim in the picture, in pixels
    foot: tuple[float, float, float, float]  # its shadow: x, y, half width, half height


def plate(rng: Rng, a: float, squash: float, light: Light) -> Vessel:
    """A white plate with a rim."""
    x, y, left, top = _patch(a, a * squash, 0.06 * a)
    u, v = x / a, y / (a * squash)
    d = np.sqrt(u * u + v * v)
    well = rng.uniform(0.64, 0.74)
    # The rim slopes inwards, the wall to the well is steep, the well is level.
    wall = np.exp(-(((d - well) / 0.045) ** 2))
    slope = 0.16 * smoothstep(well, well + 0.06, d) + 0.55 * wall
    lip = np.exp(-(((d - 0.985) / 0.02) ** 2)) * 0.7
    outward = lip - slope
    ux, uy = u / (d + 1e-4), v / (d + 1e-4)
    up = np.array([0.0, -math.sqrt(1.0 - squash**2), squash], np.float32)
    normal = normalise(
        np.stack(
            [
                up[0] + ux * outward,
                up[1] + uy * outward * squash,
                up[2] + uy * outward * math.sqrt(1.0 - squash**2),
            ]
        )
    )
    china = np.broadcast_to(vary(rng, rgb("f3f1ec"), 0.012), (3, *d.shape))
    if rng.random() < 0.3:
        line = smoothstep(0.018, 0.008, np.abs(d - 0.94))
        china = mix(china, rgb(str(rng.choice(["2f5b9a", "b08a3a", "6b8a7a"]))), line * 0.8)
    colour = shade(china * 0.92, normal, light, Skin(gloss=0.22, power=50, wrap=0.3))
    colour = colour * (1.0 - 0.10 * wall)
    alpha = np.clip((1.0 - d) * a * squash + 0.5, 0.0, 1.0)
    thick = 0.035 * a
    side = np.clip((1.0 - np.sqrt(u * u + ((y - thick) / (a * squash)) ** 2)) * a * squash, 0, 1)
    colour = colour * alpha + rgb("cfcac2") * 0.42 * (1.0 - alpha)
    back = Sprite(colour, np.maximum(alpha, side), left, top)
    return Vessel(back, None, a * well, 0.0, (0.0, 0.08 * a, a * 0.92, a * squash * 0.92))


def bowl(rng: Rng, a: float, squash: float, light: Light) -> Vessel:
    """A round glazed bowl."""
    b = a * squash
    deep = b * 0.35 + a * math.sqrt(1.0 - squash**2) * rng.uniform(0.75, 0.95)
    x, y, left, top = _patch(a, max(b, deep), 3)
    glaze = vary(rng, rgb(BOWLS[int(rng.integers(len(BOWLS)))]), 0.04)
    inner = mix(glaze, rgb("efe9df"), float(rng.choice([0.0, 0.85])))
    u, v = x / a, y / b
    rim = np.sqrt(u * u + v * v)
    # Inside, the normal points to the middle: the far wall faces us, the near one does not.
    hollow = normalise(stack(-u * 0.8, -v * 0.5 - 0.5, 0.9 - 0.3 * rim))
    inside = shade(np.broadcast_to(inner, (3, *rim.shape)), hollow, light, Skin(gloss=0.15))
    inside = inside * (0.35 + 0.65 * smoothstep(0.45, 1.05, rim + 0.15 * v))
    low = y / deep
    f = np.sqrt(np.abs(u) ** 2.2 + np.maximum(low, 0.0) ** 2.2)
    nz = np.sqrt(np.maximum(1.0 - np.minimum(f, 1.0) ** 2, 0.0))
    outer = normalise(stack(u * 1.0 + 0 * low, 0.75 * low + 0 * u, nz + 0.15))
    speckle = 1.0 + 0.05 * sample(fractal(6, 0.8, 10), u * 0.3, low * 0.3)
    outside = shade(glaze * speckle, outer, light, Skin(gloss=0.4, power=50, window=0.5))
    outside = outside * (1.0 - 0.35 * smoothstep(0.5, 1.0, low))
    in_rim = np.clip((1.0 - rim) * b + 0.5, 0.0, 1.0)
    body = np.clip((1.0 - f) * min(a, deep) + 0.5, 0.0, 1.0) * (y > 0)
    lip = smoothstep(0.045, 0.015, np.abs(rim - 0.985))
    colour = mix(mix(outside, inside, in_rim), glaze * 1.1 + 0.05, lip * 0.8)
    back = Sprite(colour, np.maximum(in_rim, body), left, top)
    near = np.clip((rim - 0.985) * b + 0.5, 0.0, 1.0) * body
    front = Sprite(colour, np.where(y > 0, near, 0.0).astype(np.float32), left, top)
    return Vessel(back, front, a * 0.80, 0.22 * b, (0.0, deep - 0.22 * b, a * 0.6, b * 0.3))


def basket(rng: Rng, a: float, squash: float, light: Light) -> Vessel:
    """A woven basket."""
    b = a * squash
    deep = a * math.sqrt(1.0 - squash**2) * rng.uniform(0.62, 0.8)
    x, y, left, top = _patch(a * 1.06, b + deep, 4)
    straw = vary(rng, rgb(str(rng.choice(["b98a4e", "9a6a38", "cfa468", "7a5230"]))), 0.05)
    u, v = x / a, y / b
    rim = np.sqrt(u * u + v * v)
    bend = np.sqrt(np.clip(1.0 - u * u, 0.0, 1.0))
    t = np.clip((y - b * bend) / deep, -0.5, 1.2)
    narrow = 1.0 - 0.2 * np.clip(t, 0.0, 1.0)
    w = np.clip(u / narrow, -1.0, 1.0)
    bend = np.sqrt(1.0 - w * w)
    t = (y - b * bend * narrow) / deep
    round_at = np.arcsin(w) * (26 / math.pi)
    rows = int(rng.integers(8, 12))
    wall = _weave(round_at, t * rows)
    normal = normalise(
        stack(w + 0.5 * wall[1], -0.15 + 0.5 * wall[2] + 0 * w, np.maximum(bend, 0.1))
    )
    tint = 1.0 + 0.14 * sample(fractal(6, 0.9, 6), round_at * 0.02, t * 0.5)
    outside = shade(straw * tint * wall[0], normal, light, Skin(gloss=0.12, power=12, wrap=0.2))
    outside = outside * (1.0 - 0.4 * smoothstep(0.6, 1.0, t))
    far = _weave(np.arcsin(np.clip(u, -1, 1)) * (26 / math.pi), (v + 1.0) * 5.0 + bend * 3.0)
    inside = straw * far[0] * (light.sky + 0.2) * (0.20 + 0.5 * smoothstep(0.6, 1.0, rim))
    in_rim = np.clip((1.0 - rim) * b + 0.5, 0.0, 1.0)
    edge_x = np.clip((narrow - np.abs(u)) * a + 0.5, 0.0, 1.0)
    body = edge_x * np.clip((1.0 - t) * deep + 0.5, 0.0, 1.0) * ((t > 0) & (y > 0))
    # The rim is a plait: a thick ring with slanted strands.
    ring = np.clip((rim - 1.0) / 0.05, -1.0, 1.0)
    strand = np.abs(np.mod(np.arctan2(v, u) * 15 / math.pi * 2 + ring * 0.5, 1.0) - 0.5) * 2
    plait = straw * (0.75 + 0.45 * np.sqrt(1 - ring * ring)) * (0.65 + 0.5 * (1 - strand**3))
    lit = shade(
        plait,
        normalise(stack(ring * u * 0.8, ring * v * 0.8 - 0.4, np.sqrt(1.05 - ring * ring))),
        light,
        Skin(gloss=0.1, power=12),
    )
    on_ring = np.clip((0.05 - np.abs(rim - 1.0)) * b + 0.5, 0.0, 1.0)
    colour = mix(mix(outside, inside, in_rim), lit, on_ring)
    whole = np.maximum(np.maximum(in_rim, body), on_ring)
    back = Sprite(colour, whole, left, top)
    near = np.where(y > 0, np.maximum(body * (1.0 - in_rim), on_ring), 0.0).astype(np.float32)
    front = Sprite(colour, near, left, top)
    foot = (0.0, b * 0.44 + deep, a * 0.76, b * 0.42)
    return Vessel(back, front, a * 0.84, 0.16 * b, foot)


def _weave(across: Array, along: Array) -> tuple[Array, Array, Array]:
    """Over and under: brightness, and the slopes along both ways."""
    row = np.floor(along)
    inside = along - row
    phase = (across + row) * math.pi
    over = 0.5 + 0.5 * np.cos(phase)
    bright = (0.5 + 0.55 * over) * (0.45 + 0.75 * np.sin(math.pi * inside) ** 0.7)
    return bright, 0.5 * np.sin(phase), (inside - 0.5) * 1.4


def _patch(half_width: float, half_height: float, margin: float) -> tuple[Array, Array, int, int]:
    w, h = math.ceil(half_width + margin), math.ceil(half_height + margin)
    x, y = pixel_grid(-w, -h, 2 * w, 2 * h)
    return x, y, -w, -h
