"""Reads a folder of photos once, small enough to keep in memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sample_training.prompts import Facts, colours_of

# A little over the largest training size, so that a crop is not enlarged much.
STORED_PX = 160

Pixels = NDArray[np.uint8]
"""RGB pictures, shape `(n, STORED_PX, STORED_PX, 3)`."""


@dataclass(frozen=True)
class Pictures:
    """Pictures with what is known of each; `names` are unique and stable."""

    pixels: Pixels
    facts: list[Facts]
    names: list[str]

    def __len__(self) -> int:
        return len(self.facts)

    def pick(self, indices: NDArray[np.int64]) -> "Pictures":
        return Pictures(
            self.pixels[indices],
            [self.facts[i] for i in indices],
            [self.names[i] for i in indices],
        )


def join(first: Pictures, second: Pictures) -> Pictures:
    return Pictures(
        np.concatenate([first.pixels, second.pixels]),
        first.facts + second.facts,
        first.names + second.names,
    )


def photo_paths(root: Path) -> list[Path]:
    """The photos `KIND/CATEGORY[/VARIETY]/NAME.jpg` under a folder, sorted.

    Raises `ValueError` when there are none.
    """
    paths = sorted(p for p in root.rglob("*.jpg") if len(p.relative_to(root).parts) >= 3)
    if not paths:
        raise ValueError(f"no photos KIND/CATEGORY/NAME.jpg under {root}: give the dataset's root")
    return paths


def facts_of(path: Path, root: Path) -> Facts:
    """What the folders say: `Fruit/Apple/Granny-Smith/1.jpg` is a green apple."""
    kind, category, *rest = (p.lower().replace("-", " ") for p in path.relative_to(root).parts[:-1])
    variety = rest[0] if rest else None
    return Facts(kind, category, variety, colours_of(category, variety))


def load_photos(root: Path) -> Pictures:
    paths = photo_paths(root)
    with ThreadPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(_decode, paths)))
    names = [path.relative_to(root).as_posix() for path in paths]
    return Pictures(pixels, [facts_of(path, root) for path in paths], names)


def shrink(image: Image.Image) -> Pixels:
    """The centre square at the stored size, shape `(STORED_PX, STORED_PX, 3)`."""
    square = ImageOps.fit(image, (STORED_PX, STORED_PX), Image.Resampling.BICUBIC)
    return np.asarray(square, dtype=np.uint8)


def _decode(path: Path) -> Pixels:
    with Image.open(path) as image:
        return shrink(image.convert("RGB"))
