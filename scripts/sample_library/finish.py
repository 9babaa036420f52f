"""From linear light to a photograph: exposure, tone, vignette, softness and grain."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .arrays import Array, Rng, pixel_grid
from .noise import SIDE, grain

_STEPS = 4096


def _tone_curve() -> Array:
    light = np.linspace(0.0, 4.0, _STEPS, dtype=np.float32)
    # Straight in the shadows, with a shoulder, so that highlights keep their colour.
    bent = np.where(light < 0.5, light, 0.5 + 0.62 * (1.0 - np.exp(-(light - 0.5) / 0.62)))
    curve: Array = (255.0 * np.minimum(bent / 1.08, 1.0) ** (1 / 2.2)).astype(np.float32)
    return curve


_CURVE = _tone_curve()


def develop(rng: Rng, picture: Array) -> Image.Image:
    """The picture (3, h, w) in linear light as an RGB image."""
    _, height, width = picture.shape
    x, y = pixel_grid(0, 0, width, height)
    u, v = x / width - 0.5, y / height - 0.5
    corners = 1.0 - rng.uniform(0.25, 0.75) * (u * u + v * v)
    exposure = rng.uniform(0.88, 1.08)
    index = (picture * (corners * (exposure * _STEPS / 4.0))).astype(np.int32)
    values = _CURVE[np.clip(index, 0, _STEPS - 1)]
    tile = grain()
    top, left = (int(i) for i in rng.integers(0, SIDE, 2))
    rows = (np.arange(top, top + height) & (SIDE - 1))[:, None]
    columns = (np.arange(left, left + width) & (SIDE - 1))[None, :]
    values += tile[rows, columns] * rng.uniform(0.8, 2.8)
    pixels = np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if rng.random() < 0.35:
        return image.filter(ImageFilter.GaussianBlur(height / 480 * rng.uniform(0.3, 0.7)))
    return image
