"""The light of one picture, and how a surface looks in it.

Directions: x to the right, y down the picture, z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array, Rng, smoothstep, unit


@dataclass(frozen=True)
class Light:
    """One main light, and the light of the surroundings from above and from below."""

    direction: Array  # (3,), to the light
    colour: Array  # (3, 1, 1)
    sky: Array  # (3, 1, 1)
    bounce: Array  # (3, 1, 1)
    hardness: float  # 0: a cloudy day, 1: a lamp; shadows follow it


@dataclass(frozen=True)
class Skin:
    """How a surface takes light; all from 0 to 1, except `power`, the highlight's sharpness."""

    gloss: float = 0.3
    power: float = 40.0
    window: float = 0.0  # a reflected window rather than a round spot
    wrap: float = 0.15  # light that creeps round the edge
    velvet: float = 0.0  # pale fuzz on the rim
    glow: float = 0.0  # light that passes through


def draw_light(rng: Rng) -> Light:
    """A light from above, from the left or the right, warm or cool."""
    side = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.25, 0.8)
    direction = unit(side, -rng.uniform(0.45, 0.9), rng.uniform(0.45, 0.85))
    warm = rng.uniform(-0.5, 1.0)
    hardness = rng.uniform(0.35, 1.0)
    colour = np.array([1.0 + 0.12 * warm, 1.0, 1.0 - 0.16 * warm], np.float32).reshape(3, 1, 1)
    sky = np.array([0.95 - 0.06 * warm, 1.0, 1.08 + 0.05 * warm], np.float32).reshape(3, 1, 1)
    bounce = np.array([1.05, 0.95, 0.82], np.float32).reshape(3, 1, 1)
    key = 0.72 + 0.4 * hardness
    fill = 0.56 - 0.2 * hardness
    return Light(direction, colour * key, sky * fill, bounce * fill * 0.55, hardness)


def shade(albedo: Array, normal: Array, light: Light, skin: Skin) -> Array:
    """The colour (3, h, w) of a surface of this albedo and these normals (3, h, w) in the light."""
    lx, ly, lz = (float(v) for v in light.direction)
    nx, ny, nz = normal
    facing = nx * lx + ny * ly + nz * lz
    diffuse = np.maximum((facing + skin.wrap) / (1.0 + skin.wrap), 0.0)
    up = 0.5 - 0.5 * ny
    # Whatever lies below takes light from the underside, so the bounce fades there.
    ambient = light.bounce + (light.sky - light.bounce) * up
    result: Array = albedo * (light.colour * diffuse + ambient)
    if skin.glow:
        through = np.maximum(0.25 - facing, 0.0) * skin.glow
        result += albedo * light.colour * through
    if skin.velvet:
        rim = (1.0 - np.maximum(nz, 0.0)) ** 2 * (0.35 + 0.65 * diffuse)
        result += (albedo * 0.5 + 0.25) * rim * skin.velvet
    if skin.gloss:
        result += _reflections(nx, ny, nz, light, skin)
    return result


def _reflections(nx: Array, ny: Array, nz: Array, light: Light, skin: Skin) -> Array:
    lx, ly, lz = (float(v) for v in light.direction)
    hx, hy, hz = (float(v) for v in unit(lx, ly, lz + 1.0))
    # Powers by way of the logarithm: one logarithm serves two of them.
    log_cosine = np.log(np.maximum(nx * hx + ny * hy + nz * hz, 1e-6))
    spot = np.exp(log_cosine * skin.power) * (1.0 - skin.window)
    sheen = np.exp(log_cosine * (skin.power * 0.18 + 2.0)) * 0.16
    if skin.window:
        width = 0.12 + 0.8 / skin.power**0.5
        across = np.abs(nx - hx + 0.25 * (ny - hy)) / width
        along = np.abs(ny - hy - 0.25 * (nx - hx)) / (width * 1.35)
        pane = smoothstep(1.05, 0.6, across) * smoothstep(1.05, 0.6, along)
        spot = spot + pane * skin.window * 0.8
    edge = np.square(np.square(1.0 - np.maximum(nz, 0.0))) * np.maximum(0.4 - 0.6 * ny, 0.0)
    reflected = light.colour * (spot + sheen) + light.sky * (edge * 0.7)
    return reflected * skin.gloss
