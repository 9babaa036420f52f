"""Round bodies seen by the camera: their outline, their normals and coordinates on their skin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arrays import Array, normalise, pixel_grid, smoothstep, stack, unit
from .canvas import Sprite
from .noise import sample

Outline = Callable[[Array], Array]
_ANGLES = np.linspace(-math.pi, math.pi, 64, dtype=np.float32)
_RIM = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])


@dataclass(frozen=True)
class Body:
    """A body's visible half; every array has the patch's shape (h, w).

    x, y, z are the point on a unit ball that each pixel shows, in the body's own frame (before
    it was turned by `angle`); `normal` (3, h, w) is in the picture's frame.
    """

    x: Array
    y: Array
    z: Array
    normal: Array
    alpha: Array
    left: int
    top: int
    angle: float

    def sprite(self, colour: Array) -> Sprite:
        """The body as a sprite; its anchor is its centre."""
        return Sprite(colour, self.alpha, self.left, self.top)

    def turned(self, x: float, y: float, z: float) -> Array:
        """A direction of the body's frame, in the picture's frame, shape (3,)."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return unit(x * cosine - y * sine, x * sine + y * cosine, z)


def blob(rx: float, ry: float, angle: float = 0.0, outline: Outline | None = None) -> Body:
    """A body with half axes rx and ry (pixels), turned by `angle` (radians).

    `outline` gives the radius for each angle in the body's frame (0 is its right, -pi/2 its top);
    without it the body is an ellipsoid.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    rim = _RIM if outline is None else _RIM * outline(_ANGLES)
    across, down = rim[0] * rx, rim[1] * ry
    half_width = math.ceil(float(np.abs(across * cosine - down * sine).max())) + 2
    half_height = math.ceil(float(np.abs(across * sine + down * cosine).max())) + 2
    px, py = pixel_grid(-half_width, -half_height, 2 * half_width, 2 * half_height)
    x = (px * cosine + py * sine) / rx
    y = (py * cosine - px * sine) / ry
    distance = np.sqrt(x * x + y * y)
    if outline is not None:
        radius = outline(np.arctan2(y, x))
        x, y, distance = x / radius, y / radius, distance / radius
    scale = math.sqrt(abs(rx * ry))
    square = distance * distance
    z = np.sqrt(np.maximum(1.0 - square, 0.0))
    if outline is None and rx == ry and angle == 0.0:
        normal = stack(x, y, z)
    else:
        gx, gy = gradient(square * (0.5 * scale))
        normal = normalise(stack(gx, gy, z))
    # The slope of `distance` differs along a stretched outline; its own gradient keeps one pixel.
    alpha = np.clip((1.0 - distance) * scale + 0.5, 0.0, 1.0)
    return Body(x, y, z, normal, alpha, -half_width, -half_height, angle)


def gradient(field: Array) -> tuple[Array, Array]:
    """Central differences along x and y, one-sided at the border; same shape as the field."""
    gx, gy = np.empty_like(field), np.empty_like(field)
    gx[:, 1:-1] = (field[:, 2:] - field[:, :-2]) * 0.5
    gx[:, 0], gx[:, -1] = gx[:, 1], gx[:, -2]
    gy[1:-1] = (field[2:] - field[:-2]) * 0.5
    gy[0], gy[-1] = gy[1], gy[-2]
    return gx, gy


def skin_coordinates(body: Body, turn: float) -> tuple[Array, Array]:
    """Coordinates (u, v) on the skin that stretch to the rim as a ball's do; about -0.25 to 0.25.

    `turn` moves them, so that each fruit shows another side.
    """
    bend = 0.16 * (1.0 + 0.45 * (1.0 - body.z))
    return body.x * bend + turn, body.y * bend + turn * 1.7


def bump(body: Body, maps: tuple[Array, Array], u: Array, v: Array, depth: float) -> Array:
    """Normals (3, h, w) roughened by a slope map (see `noise.slopes`) sampled at (u, v)."""
    dx, dy = sample(maps[0], u, v), sample(maps[1], u, v)
    normal = body.normal.copy()
    normal[0] -= dx * depth
    normal[1] -= dy * depth
    return normalise(normal)


def dimple(body: Body, pole: tuple[float, float, float], width: float, depth: float) -> Array:
    """Normals with a hollow round the pole (a direction in the body's frame).

    `width` is the hollow's radius on the unit ball; `depth` 1 turns its wall upright.
    """
    axis = body.turned(*pole).reshape(3, 1, 1)
    toward = axis - body.normal * (body.normal * axis).sum(axis=0)
    length = np.sqrt((toward * toward).sum(axis=0))
    inside = smoothstep(width, width * 0.35, from_pole(body, pole))
    return normalise(body.normal + toward * (inside * depth / (length + 0.12)))


def from_pole(body: Body, pole: tuple[float, float, float]) -> Array:
    """Distance of each skin point from the pole, measured straight through the unit ball."""
    axis = unit(*pole)
    cosine = body.x * axis[0] + body.y * axis[1] + body.z * axis[2]
    distance: Array = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
    return distance


def longitude(body: Body, pole: tuple[float, float, float]) -> Array:
    """Angle round the pole's axis, -pi to pi."""
    axis = unit(*pole)
    side = unit(float(axis[1]), -float(axis[0]), 0.0) if abs(axis[2]) < 0.99 else unit(1, 0, 0)
    other = np.cross(axis, side)
    a = body.x * side[0] + body.y * side[1] + body.z * side[2]
    b = body.x * other[0] + body.y * other[1] + body.z * other[2]
    angle: Array = np.arctan2(a, b)
    return angle
