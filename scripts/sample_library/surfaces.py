"""What the fruit lie on: wood, cloth, marble, grass or a plain backdrop.

Each returns linear colours of shape (3, h, w); `Ground` gives the coordinates to paint with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .arrays import Array, Rng, mix, pixel_grid, rgb, smoothstep, vary
from .noise import SIDE, fractal, sample

WOODS = ("b98a58", "8f6238", "6b4526", "c9a574", "9a8f80", "d6cfc2", "4a3020")
CLOTHS = ("b3342f", "2f5b9a", "4a7a4a", "d0a63a", "6b5a86", "3f4a55", "d98a8f")
BACKDROPS = (
    ("white", "f2f1ee"),
    ("grey", "b5b6b8"),
    ("black", "1b1b1d"),
    ("blue", "7fa9cf"),
    ("pink", "e9b8bd"),
    ("yellow", "efd88a"),
    ("green", "a9c9a0"),
    ("beige", "dccbb2"),
    ("teal", "3f8583"),
)


@dataclass(frozen=True)
class Ground:
    """A level surface seen by the camera; x (h, w) and y (h, 1) are places on it.

    Their unit is the picture's height; `squash` is how much depth is foreshortened, 1 from above.
    """

    x: Array
    y: Array
    squash: float


def look_at(width: int, height: int, squash: float) -> Ground:
    """The ground below a camera that sees a level circle `squash` times as high as wide."""
    px, py = pixel_grid(0, 0, width, height)
    horizon = 0.8 + 4.0 * max(squash - 0.5, 0.0)  # how far above the picture, in heights
    depth = (0.5 + horizon) / (py / height + horizon)
    x = (px / height - 0.5 * width / height) * depth
    return Ground(x, -depth * (0.5 + horizon) / squash, squash)


def turned(ground: Ground, angle: float) -> tuple[Array, Array]:
    """The ground's coordinates turned by `angle`, each (h, w)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return ground.x * cosine + ground.y * sine, ground.y * cosine - ground.x * sine


def wood(rng: Rng, ground: Ground) -> Array:
    """Planks with their grain and gaps."""
    angle = rng.normal(0, 0.06) + float(rng.choice([0.0, 0.0, math.pi / 2]))
    along, across = turned(ground, angle + rng.normal(0, 0.05))
    across = across / rng.uniform(0.24, 0.5) + rng.random()
    plank = np.floor(across)
    inside = across - plank
    shift = plank * 0.377 + float(rng.random())
    stretch = rng.uniform(0.05, 0.09)
    swirl = sample(fractal(3, 1.9), along * 0.12 + shift, inside * 0.12 + shift * 1.3)
    lines = sample(fractal(9, 0.75, 6), along * stretch + shift, inside * 0.45 + swirl * 0.03)
    rings = np.sin((inside * 5.0 + swirl * 1.6 + plank) * 2.0)
    tone = 1.0 + 0.10 * np.sin(plank * 12.9 + shift)
    base = vary(rng, rgb(WOODS[int(rng.integers(len(WOODS)))]), 0.05)
    shade = tone * (1.0 + 0.13 * lines + 0.09 * rings + 0.05 * swirl)
    gap = smoothstep(0.022, 0.006, np.minimum(inside, 1.0 - inside))
    return base * np.maximum(shade * (1.0 - 0.7 * gap), 0.05)


def cloth(rng: Rng, ground: Ground) -> tuple[Array, str]:
    """A kitchen cloth and its pattern in a word: "checked", "striped" or "linen"."""
    u, v = turned(ground, rng.uniform(-0.6, 0.6))
    size = rng.uniform(0.08, 0.17)
    folds = sample(fractal(10, 2.6), ground.x * 0.3 + float(rng.random()), ground.y * 0.3)
    u, v = (u + folds * 0.008) / size, (v + folds * 0.006) / size
    colour = vary(rng, rgb(CLOTHS[int(rng.integers(len(CLOTHS)))]), 0.06)
    white = rgb("efebe2")
    pattern = str(rng.choice(["checked", "striped", "linen"]))
    edge = 0.04
    band_u = smoothstep(-edge, edge, np.abs(np.mod(u, 1.0) - 0.5) - 0.25)
    band_v = smoothstep(-edge, edge, np.abs(np.mod(v, 1.0) - 0.5) - 0.25)
    if pattern == "checked":
        amount = (band_u + band_v) * 0.5
    elif pattern == "striped":
        amount = smoothstep(-edge, edge, np.abs(np.mod(u * 0.6, 1.0) - 0.5) - 0.36) * 0.9
    else:
        amount, white = np.zeros_like(u), mix(white, colour, rng.uniform(0.05, 0.6))
    thread = sample(fractal(12, 0.5, 40), u * 0.09, v * 0.03) + sample(
        fractal(13, 0.5, 40), u * 0.03, v * 0.09
    )
    shade = 1.0 + 0.10 * folds + 0.045 * thread
    return mix(white, colour, amount) * np.maximum(shade, 0.3), pattern


def marble(rng: Rng, ground: Ground) -> Array:
    """A pale stone counter with veins."""
    u, v = turned(ground, float(rng.uniform(0, 3)))
    shift = float(rng.random())
    warp = sample(fractal(3, 1.9), u * 0.2 + shift, v * 0.2)
    veins = np.abs(sample(fractal(4, 2.1), u * 0.22 + shift + warp * 0.03, v * 0.13 + warp * 0.02))
    vein = smoothstep(0.16, 0.0, veins)
    base = vary(rng, rgb("e6e4e0"), 0.02) * (1.0 + 0.04 * warp)
    return mix(base, rgb("8f9196"), vein * 0.4)


def stone(rng: Rng, ground: Ground) -> Array:
    """A dark slate."""
    shift = float(rng.random())
    u, v = ground.x * 0.35 + shift, ground.y * 0.35
    rough = sample(fractal(1, 1.2), u, v)
    fine = sample(fractal(6, 0.6, 10), u * 1.7, v * 1.7)
    return vary(rng, rgb("3f4347"), 0.06) * np.maximum(1.0 + 0.16 * rough + 0.10 * fine, 0.2)


def backdrop(rng: Rng, ground: Ground) -> tuple[Array, str]:
    """A seamless sheet and its colour in a word."""
    name, code = BACKDROPS[int(rng.integers(len(BACKDROPS)))]
    cloud = sample(fractal(10, 2.6), ground.x * 0.2 + float(rng.random()), ground.y * 0.2)
    return vary(rng, rgb(code), 0.03) * (1.0 + 0.025 * cloud), name


@cache
def _grass_tile() -> Array:
    """A lawn from above, shape (3, 512, 512), tileable."""
    rng = np.random.default_rng(3000)
    side = 2 * SIDE  # drawn twice as large, for smooth edges
    image = Image.new("RGB", (side, side), (38, 58, 22))
    draw = ImageDraw.Draw(image)
    for i in range(4200):
        x, y = rng.uniform(0, side, 2)
        length, lean = rng.uniform(70, 180), rng.normal(0, 0.55)
        light = 0.45 + 0.65 * i / 4200 + rng.normal(0, 0.10)
        red = rng.uniform(70, 125)
        colour = tuple(int(min(max(c * light, 0), 255)) for c in (red, 150, 48))
        dx, dy = math.sin(lean) * length, -math.cos(lean) * length
        width = int(rng.integers(5, 9))
        for ox in (-side, 0, side):
            for oy in (0, side):
                root = (x + ox, y + oy)
                if -200 < root[0] < side + 200 and root[1] < side + 200:
                    middle = (root[0] + dx * 0.35, root[1] + dy * 0.55)
                    tip = (root[0] + dx, root[1] + dy)
                    draw.line([root, middle], fill=colour, width=width)
                    left, right = (
                        (middle[0] - width / 2, middle[1]),
                        (middle[0] + width / 2, middle[1]),
                    )
                    draw.polygon([left, right, tip], fill=colour)
    image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(image, np.float32).transpose(2, 0, 1) / 255.0
    linear: Array = values**2.2
    return linear


def grass(rng: Rng, ground: Ground) -> Array:
    """A lawn."""
    tile = _grass_tile()
    scale = rng.uniform(0.75, 1.05)
    column = ((ground.x * scale + rng.random()) * SIDE).astype(np.int32) & (SIDE - 1)
    row = ((ground.y * scale * ground.squash + rng.random()) * SIDE).astype(np.int32) & (SIDE - 1)
    patches = sample(fractal(10, 2.2), ground.x * 0.3, ground.y * 0.3 + float(rng.random()))
    lawn: Array = tile[:, row, column] * vary(rng, rgb("ffffff"), 0.08)
    return lawn * (1.0 + 0.12 * patches)
