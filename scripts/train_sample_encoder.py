#!/usr/bin/env python
"""Trains the small shipped encoder from nothing, on a folder of photos and on drawn pictures."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from sample_training.drawings import draw_library
from sample_training.loop import Progress, Recipe, Trainer
from sample_training.photos import Pictures, load_photos
from sample_training.scenes import held_out
from sample_training.weights import save

_SAVE_EVERY = 10


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    try:
        photos = _training_photos(options.photos, options.hold_out, options.seed)
    except (OSError, ValueError) as error:
        print(f"train_sample_encoder: {error}", file=sys.stderr)
        return 1
    drawings = draw_library(options.drawings, options.seed, options.threads)
    print(f"{len(photos)} photos, {len(drawings)} drawings", file=sys.stderr)
    recipe = Recipe(epochs=options.epochs, seed=options.seed)
    trainer = Trainer(photos, drawings, recipe)

    def report(progress: Progress) -> None:
        print(
            f"epoch {progress.epoch}/{progress.epochs}  loss {progress.loss:.3f}  "
            f"{progress.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        # Something usable is on disk long before the end.
        if progress.epoch % _SAVE_EVERY == 0:
            save(trainer.finished(), options.out)

    save(trainer.run(report), options.out)
    return 0


def _training_photos(root: Path, hold_out: float, seed: int) -> Pictures:
    photos = load_photos(root)
    if not hold_out:
        return photos
    return photos.pick(np.flatnonzero(~held_out(photos, hold_out, seed)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of KIND/CATEGORY[/VARIETY]/NAME.jpg")
    parser.add_argument("--out", type=Path, required=True, help="folder for config and weights")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--epochs", type=_positive, default=Recipe.epochs, metavar="N")
    parser.add_argument(
        "--hold-out",
        type=_share,
        default=0.0,
        metavar="FRACTION",
        help="of the photos, whole shelves, not to train on (default: none)",
    )
    parser.add_argument(
        "--drawings", type=_positive, default=400, metavar="N", help="drawn pictures per category"
    )
    parser.add_argument("--threads", type=_positive, default=2, metavar="N")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a fraction from 0 up to 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
