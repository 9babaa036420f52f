#!/usr/bin/env python3
"""Draws the sample library: pictures of ten fruit categories, with captions, from a seed.

The same seed and size give the same bytes on one set of numpy and Pillow versions.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
from sample_library import CATEGORIES, draw_picture

JPEG_QUALITY = 88
SMALLEST, LARGEST = 64, 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder
    try:
        _make_folders(folder)
        written, unchanged = _draw_all(folder, options.per_category, options.seed, options.size)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"make_sample_library: cannot write to {folder}: {reason}", file=sys.stderr)
        return 1
    print(f"{written + unchanged} pictures in {folder}: {written} written, {unchanged} unchanged")
    return 0


def picture_bytes(category: str, number: int, seed: int, size: int) -> tuple[bytes, str]:
    """The JPEG and the caption of one picture; they depend on nothing but the arguments."""
    # crc32 and not the category's place in the list: a new category leaves the others as they are.
    rng = np.random.default_rng([seed, zlib.crc32(category.encode()), number])
    picture = draw_picture(category, rng, size)
    buffer = io.BytesIO()
    picture.image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), picture.caption


def _make_folders(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(0, "it is a file; give a folder", str(folder))
    for category in CATEGORIES:
        (folder / category).mkdir(parents=True, exist_ok=True)


def _draw_all(folder: Path, per_category: int, seed: int, size: int) -> tuple[int, int]:
    """Draws and writes everything; returns how many pictures were written and left as they were."""
    jobs = [(c, n) for c in CATEGORIES for n in range(1, per_category + 1)]
    paths = [f"{c}/{c}_{n:03d}.jpg" for c, n in jobs]
    work = [
        (str(folder / path), c, n, seed, size) for path, (c, n) in zip(paths, jobs, strict=True)
    ]
    processes = min(os.cpu_count() or 1, len(work))
    if processes > 1 and len(work) > 20:
        with ProcessPoolExecutor(processes) as pool:
            results = list(pool.map(_draw_one, work, chunksize=max(1, len(work) // 40)))
    else:
        results = [_draw_one(item) for item in work]
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["path", "caption"])
    rows.writerows((path, caption) for path, (_, caption) in zip(paths, results, strict=True))
    _write_if_different(folder / "captions.csv", table.getvalue().encode("utf-8"))
    written = sum(changed for changed, _ in results)
    return written, len(results) - written


def _draw_one(item: tuple[str, str, int, int, int]) -> tuple[bool, str]:
    path, category, number, seed, size = item
    content, caption = picture_bytes(category, number, seed, size)
    return _write_if_different(Path(path), content), caption


def _write_if_different(path: Path, content: bytes) -> bool:
    """Writes the file unless it has these bytes already, so that its mtime tells of a change."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.write_bytes(content)
    return True


class _OneLineParser(argparse.ArgumentParser):
    """Says a usage error in one line; the usage itself is in --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="make_sample_library",
        description=(
            f"Draw pictures of {len(CATEGORIES)} fruit categories into FOLDER/CATEGORY/ and "
            "write FOLDER/captions.csv (path,caption). Files that would not change are left alone; "
            "other files in FOLDER are never touched."
        ),
        epilog="Categories: " + ", ".join(CATEGORIES) + ".",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="made if it does not exist")
    parser.add_argument(
        "--per-category",
        metavar="N",
        type=_between(1, 100_000),
        default=30,
        help="pictures in each category (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=_between(0, 2**32 - 1),
        default=0,
        help="another seed gives other pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        metavar="PIXELS",
        type=_between(SMALLEST, LARGEST),
        default=480,
        help="the longer side of each picture (default: %(default)s)",
    )
    return parser


def _between(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`; argparse shows its error in one line."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not from {low} to {high}")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
