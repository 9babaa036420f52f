#!/usr/bin/env python
"""Prints how well an encoder finds pictures: how many of the first 16 are right."""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from sample_library import CATEGORIES, draw_picture
from sample_training.drawings import facts_of_drawing
from sample_training.photos import facts_of, load_photos, photo_paths
from sample_training.prompts import Facts
from sample_training.ranking import FIRST, right_among_first
from sample_training.scenes import held_out
from sample_training.searches import SEARCHES, Search, category_searches

_BATCH = 32


@dataclass(frozen=True)
class Library:
    """Embedded pictures, `(n, dim)`, and what is known of each."""

    name: str
    embeddings: NDArray[np.float32]
    facts: list[Facts]

    def only(self, kind: str) -> "Library":
        rows = [i for i, facts in enumerate(self.facts) if facts.kind == kind]
        return Library(kind, self.embeddings[rows], [self.facts[i] for i in rows])


class Encoder:
    """The model as any user of open_clip would load it."""

    def __init__(self, folder: Path) -> None:
        name = f"local-dir:{folder}"
        self._model, _, self._transform = open_clip.create_model_and_transforms(name)
        self._tokenizer = open_clip.get_tokenizer(name)
        self._model.eval()

    @torch.inference_mode()
    def images(self, sources: list[Path] | list[Image.Image]) -> NDArray[np.float32]:
        parts = []
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(sources), _BATCH):
                tensors = list(pool.map(self._open, sources[start : start + _BATCH]))
                parts.append(self._model.encode_image(torch.stack(tensors), normalize=True))
        return np.asarray(torch.cat(parts))

    @torch.inference_mode()
    def text(self, words: str) -> NDArray[np.float32]:
        return np.asarray(self._model.encode_text(self._tokenizer([words]), normalize=True)[0])

    def _open(self, source: Path | Image.Image) -> Any:
        if isinstance(source, Image.Image):
            return self._transform(source)
        with Image.open(source) as image:
            return self._transform(image.convert("RGB"))


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    try:
        encoder = Encoder(options.model)
        libraries = _photo_libraries(encoder, options) if options.photos else []
    except (OSError, ValueError) as error:
        print(f"evaluate_sample_encoder: {error}", file=sys.stderr)
        return 1
    if options.drawn:
        libraries.append(_drawn_library(encoder, options.drawn_seed, options.drawn))
    for library in libraries:
        _print_categories(encoder, library)
        _print_words(encoder, library)
    return 0


def _photo_libraries(encoder: Encoder, options: argparse.Namespace) -> list[Library]:
    """All three top folders together, then each alone."""
    paths = photo_paths(options.photos)
    if options.held_out_only:
        photos = load_photos(options.photos)
        chosen = held_out(photos, options.held_out_only, options.seed)
        paths = [path for path, use in zip(paths, chosen, strict=True) if use]
    began = time.perf_counter()
    embeddings = encoder.images(paths)
    rate = len(paths) / (time.perf_counter() - began)
    print(f"{len(paths)} photos, {rate:.0f} images/s with {options.threads} threads")
    facts = [facts_of(path, options.photos) for path in paths]
    together = Library("photos", embeddings, facts)
    return [together, *(together.only(kind) for kind in sorted({f.kind for f in facts}))]


def _drawn_library(encoder: Encoder, seed: int, per_category: int) -> Library:
    pictures = [
        draw_picture(category, np.random.default_rng([seed, index, number]))
        for index, category in enumerate(CATEGORIES)
        for number in range(per_category)
    ]
    embeddings = encoder.images([picture.image for picture in pictures])
    facts = [facts_of_drawing(picture) for picture in pictures]
    return Library(f"drawn, seed {seed}", embeddings, facts)


def _right(encoder: Encoder, library: Library, search: Search) -> tuple[int, int]:
    """Right pictures among the first, and in the whole library."""
    right = np.array([search.right(facts) for facts in library.facts])
    similarity = library.embeddings @ encoder.text(search.text)
    return right_among_first(similarity, right), int(right.sum())


def _print_categories(encoder: Encoder, library: Library) -> None:
    print(f"\n{library.name}: {len(library.facts)} pictures; right of the first {FIRST}")
    enough = []
    for name, search in category_searches(library.facts):
        found, total = _right(encoder, library, search)
        if total >= FIRST:
            enough.append(found)
        print(f"  {name:22} {found:2}   of {total} in the library")
    if enough:
        print(f"  mean {np.mean(enough):.2f} over the {len(enough)} with at least {FIRST}")


def _print_words(encoder: Encoder, library: Library) -> None:
    for search in SEARCHES:
        found, total = _right(encoder, library, search)
        if total:
            print(f"  {search.text!r:28} {found:2} of {min(FIRST, total)} possible")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / "embeddings" / "sample"
    parser.add_argument("--model", type=Path, default=default, help="folder of the encoder")
    parser.add_argument("--photos", type=Path, help="folder of KIND/CATEGORY[/VARIETY]/NAME.jpg")
    parser.add_argument(
        "--held-out-only",
        type=float,
        default=0.0,
        metavar="FRACTION",
        help="only the photos that training with the same --hold-out and --seed left out",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the hold-out")
    parser.add_argument("--drawn-seed", type=int, default=1000, metavar="N")
    parser.add_argument(
        "--drawn", type=int, default=30, metavar="N", help="drawn per category; 0: none"
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
