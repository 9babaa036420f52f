"""Varies a batch of pictures at once, in torch: cheaper on a CPU than picture by picture in PIL.

What makes another shelf look different (framing, exposure, colour of the light, things in front)
is varied strongly; hue is not, because a green apple must stay green.
"""

import math
from dataclasses import dataclass

import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor
from torch.nn import functional

_MEAN = torch.tensor(OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
_STD = torch.tensor(OPENAI_DATASET_STD).view(1, 3, 1, 1)


@dataclass(frozen=True)
class Strength:
    """How far a picture is varied; the defaults are those of the shipped weights."""

    smallest_crop: float = 0.2
    """of the area"""
    stretch: float = 1.33
    """largest aspect ratio of a crop"""
    tilt: float = 12.0
    """degrees"""
    brightness: float = 0.5
    contrast: float = 0.4
    saturation: float = 0.5
    light: float = 0.08
    """standard deviation of the logarithm of each channel's gain"""
    erase: float = 0.3
    """probability"""


def vary(pixels: Tensor, size: int, strength: Strength, generator: torch.Generator) -> Tensor:
    """Random crops, tilts, lights and erasures of uint8 `(n, h, w, 3)`.

    Returns normalised float32, shape `(n, 3, size, size)`, channels last in memory.
    """
    unit = pixels.permute(0, 3, 1, 2).float().div(255.0)
    crops = _crop(unit, size, strength, generator)
    lit = _light(crops, strength, generator)
    erased = _erase((lit - _MEAN) / _STD, strength, generator)
    return erased.contiguous(memory_format=torch.channels_last)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _crop(images: Tensor, size: int, strength: Strength, generator: torch.Generator) -> Tensor:
    n = len(images)
    area = _uniform(n, strength.smallest_crop, 1.0, generator).sqrt()
    ratio = _uniform(n, -1.0, 1.0, generator).mul(math.log(strength.stretch) / 2).exp()
    wide, high = (area * ratio).clamp(max=1.0), (area / ratio).clamp(max=1.0)
    angle = _uniform(n, -1.0, 1.0, generator) * math.radians(strength.tilt)
    mirror = (torch.rand(n, generator=generator) < 0.5).float() * 2 - 1
    x = _uniform(n, -1.0, 1.0, generator) * (1 - wide)
    y = _uniform(n, -1.0, 1.0, generator) * (1 - high)
    cos, sin = angle.cos(), angle.sin()
    rows = [mirror * wide * cos, -high * sin, x, mirror * wide * sin, high * cos, y]
    theta = torch.stack(rows, dim=1).view(n, 2, 3)
    grid = functional.affine_grid(theta, [n, 3, size, size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _light(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    n = len(images)
    gain = torch.randn(n, 3, 1, 1, generator=generator).mul(strength.light).exp()
    bright = _uniform(n, -1.0, 1.0, generator).mul(strength.brightness).exp().view(n, 1, 1, 1)
    lit = images * gain * bright
    grey = lit.mean(dim=1, keepdim=True)
    saturation = 1 + _uniform(n, -1.0, 1.0, generator).view(n, 1, 1, 1) * strength.saturation
    lit = grey + (lit - grey) * saturation
    mean = grey.mean(dim=(2, 3), keepdim=True)
    contrast = 1 + _uniform(n, -1.0, 1.0, generator).view(n, 1, 1, 1) * strength.contrast
    return (mean + (lit - mean) * contrast).clamp(0.0, 1.0)


def _erase(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    n, _, height, width = images.shape
    side = _uniform(n, 0.2, 0.5, generator)
    x, y = (_uniform(n, 0.0, 1.0, generator) for _ in range(2))
    hit = torch.rand(n, generator=generator) < strength.erase
    columns = (torch.arange(width) / width - x[:, None]).abs() < side[:, None] / 2
    rows = (torch.arange(height) / height - y[:, None]).abs() < side[:, None] / 2
    hole = (hit[:, None, None] & rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
    return images.masked_fill(hole, 0.0)


def cut_and_mix(images: Tensor, truth: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """CutMix (Yun et al. 2019) or mixup (Zhang et al. 2018), each for half of the calls.

    `truth` is `(n, texts)` in 0..1 and is mixed by the same share as the pictures.
    """
    n, _, height, width = images.shape
    partner = torch.randperm(n, generator=generator)
    share = float(torch.rand((), generator=generator))
    if float(torch.rand((), generator=generator)) < 0.5:
        share = 0.5 * share**2
        mixed = images.lerp(images[partner], share)
    else:
        side = math.sqrt(share * 0.5)
        tall, wide = int(side * height), int(side * width)
        top = int(torch.randint(height - tall + 1, (), generator=generator))
        left = int(torch.randint(width - wide + 1, (), generator=generator))
        window = (..., slice(top, top + tall), slice(left, left + wide))
        mixed = images.clone()
        mixed[window] = images[partner][window]
        share = tall * wide / (height * width)
    return mixed, truth.lerp(truth[partner], share)
