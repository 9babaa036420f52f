#!/usr/bin/env python3
"""Measure how well a model finds captioned pictures, beside what CLIP's paper reports.

Indexes the pictures of a split as index-folder would, and prints recall at 1, 5 and 10 in percent:

  text → image   each caption searches the store for its picture
  image → text   each picture searches all captions, exactly, for any of its own

CAPTIONS is in the form of Karpathy's splits: dataset_flickr30k.json, dataset_coco.json.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
2021, table 13, zero-shot: ViT-L/14@336px over the whole test split, with "a photo of" before each
caption (here: --prompt "a photo of {}").
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caption_retrieval.captions import CaptionsError, NotThere, Split, read_split
from caption_retrieval.recall import KS, Recalls, measure

from configs.commandline import (
    DONE,
    OneLineParser,
    add_settings,
    one_line_errors,
    quiet_libraries,
    settings_from,
)
from configs.settings import Settings
from configs.sources import SettingsError
from embeddings.encoder import Encoder
from embeddings.errors import EncoderError
from embeddings.load import load_encoder
from indexer.command.progress import Progress
from indexer.errors import IndexingError, NotAFolder
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import check_root
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord
from milvus.errors import StoreError
from milvus.store import ImageStore

PROGRAM = "evaluate_retrieval"
TIMEOUT_S = 120.0
# By dataset: pictures of the test split, then percentages at 1, 5 and 10.
PAPER = {
    "flickr30k": (1000, (68.7, 90.6, 95.2), (88.0, 98.7, 99.4)),
    "coco": (5000, (37.8, 62.4, 72.2), (58.4, 81.5, 88.1)),
}


@dataclass(frozen=True)
class Outcome:
    """What was measured over a split."""

    split: Split
    model_id: str
    prompt: str
    text_to_image: Recalls
    image_to_text: Recalls

    def as_json(self) -> dict[str, Any]:
        """Recalls in percent; ``paper`` is null but for a test split that the paper has."""
        paper = self._paper()
        return {
            "dataset": self.split.dataset,
            "split": self.split.name,
            "pictures": self.split.count(),
            "captions": self._captions(),
            "model_id": self.model_id,
            "prompt": self.prompt,
            "text_to_image": _named(_percent(self.text_to_image)),
            "image_to_text": _named(_percent(self.image_to_text)),
            "paper": paper
            and {
                "pictures": paper[0],
                "text_to_image": _named(paper[1]),
                "image_to_text": _named(paper[2]),
            },
        }

    def as_text(self) -> str:
        """A table for people."""
        paper = self._paper()
        lines = [
            f"{self.split.dataset or 'captions'}, {self.split.name}: {self.split.count()} pictures,"
            f" {self._captions()} captions as {self.prompt!r}; {self.model_id}",
            f"{'':<14}" + "".join(f"{f'R@{k}':>8}" for k in KS),
            _row("text → image", _percent(self.text_to_image)),
            *([_row("  CLIP's paper", paper[1])] if paper else []),
            _row("image → text", _percent(self.image_to_text)),
            *([_row("  CLIP's paper", paper[2])] if paper else []),
        ]
        if paper:
            lines.append(
                f"CLIP's paper: ViT-L/14@336px, {paper[0]} pictures, captions as 'a photo of {{}}'"
            )
        return "\n".join(lines)

    def _paper(self) -> tuple[int, tuple[float, ...], tuple[float, ...]] | None:
        return PAPER.get(self.split.dataset) if self.split.name == "test" else None

    def _captions(self) -> int:
        return sum(len(picture.captions) for picture in self.split.pictures)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(options)
    quiet_libraries()
    failures = (CaptionsError, IndexingError, StoreError, EncoderError)
    with one_line_errors(PROGRAM, (NotAFolder, NotThere), failures):
        images = check_root(options.images)
        split = read_split(options.captions, images, options.split, options.limit)
        outcome = _evaluate(split, settings, options.prompt, options.store)
        print(json.dumps(outcome.as_json()) if options.json else outcome.as_text())
    return DONE


def index(split: Split, encoder: Encoder, store: ImageStore, settings: Settings) -> None:
    """Make the store hold the split. Raises CaptionsError unless it then holds all of it."""
    options = PipelineOptions(
        write_batch=settings.indexing.write_batch,
        decode_threads=settings.indexing.decode_threads or os.cpu_count() or 2,
        max_pixels=settings.indexing.max_pixels,
        max_bytes=settings.indexing.max_file_mb * 1_000_000,
    )
    with Progress(split.name, split.count()) as progress:
        report = index_library(split, store, lambda: encoder, options, progress)
    if report.interrupted:
        raise KeyboardInterrupt
    if report.skipped:
        first = report.skipped[0]
        raise CaptionsError(
            f"{len(report.skipped)} of {report.found} pictures cannot be read, the first: "
            f"{first.path}: {first.reason}"
        )


def _evaluate(split: Split, settings: Settings, prompt: str, folder: Path | None) -> Outcome:
    model = settings.model
    print(f"loading {model.name} …", file=sys.stderr)
    encoder = load_encoder(
        model.name,
        model.pretrained,
        models_dir=settings.models_dir,
        device=model.device,
        precision=model.precision,
        batch_size=model.batch_size,
    )
    with tempfile.TemporaryDirectory() as temporary:
        # A file for everything that embeddings depend on.
        stem = re.sub(r"[^\w.-]+", "-", f"{encoder.model_id} {model.device} {model.precision}")
        file = (folder or Path(temporary)) / f"{stem}.db"
        with closing(MilvusCollection(Connection(str(file), timeout=TIMEOUT_S))) as store:
            store.prepare(ModelRecord(encoder.model_id, encoder.dim, model.name, model.pretrained))
            index(split, encoder, store, settings)
            return Outcome(split, encoder.model_id, prompt, *measure(split, encoder, store, prompt))


def _percent(recalls: Recalls) -> list[float]:
    return [round(100 * recalls[k], 2) for k in KS]


def _named(percentages: Sequence[float]) -> dict[str, float]:
    return {f"R@{k}": value for k, value in zip(KS, percentages, strict=True)}


def _row(name: str, percentages: Sequence[float]) -> str:
    return f"{name:<14}" + "".join(f"{value:8.1f}" for value in percentages)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of the pictures")
    parser.add_argument("captions", metavar="CAPTIONS", type=Path, help="JSON file of the splits")
    parser.add_argument(
        "--split", default="test", help="train takes in COCO's restval (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help="only the split's first N pictures"
    )
    parser.add_argument(
        "--prompt",
        type=_prompt,
        default="{}",
        help="what to encode, {} being the caption (default: the caption as it is)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FOLDER",
        help="keep the embeddings there for the next run (default: a temporary folder)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    service = ("model.encoder_url", "model.encoder_auth")  # what is measured is a model here
    add_settings(parser, "model", "indexing.decode_threads", without=service)
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _prompt(text: str) -> str:
    if "{}" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no {{}} for the caption")
    return text


if __name__ == "__main__":
    sys.exit(main())
