#!/usr/bin/env python3
"""Measure a run over an unchanged library, the store really holding it.

Makes a folder of small pictures, indexes it into Milvus Lite with an encoder that costs nothing
(the run that is measured encodes nothing), and prints the files a second of: a plain walk that
reads every file's metadata; the next run of the indexer; and the same without its snapshot, which
reads all rows from the store instead.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from configs.commandline import quiet_libraries
from embeddings.encoder import Embeddings
from embeddings.images import ImageTransform
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord


class FreeEncoder:
    """Gives every picture a random direction."""

    dim = 768
    model_id = "bench/free"
    batch_size = 256
    batches_at_once = 1
    image_transform = ImageTransform((8, 8))
    _random = np.random.default_rng(0)

    def vectors(self, count: int) -> Embeddings:
        rows = self._random.standard_normal((count, self.dim), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self.vectors(len(images))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self.vectors(len(texts))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    quiet_libraries()
    folder = Path(tempfile.mkdtemp())
    try:
        _bench(folder, options.files, options.rounds)
    finally:
        shutil.rmtree(folder)
    return 0


def _bench(folder: Path, files: int, rounds: int) -> None:
    root = folder / "library"
    make_pictures(root, files)
    connection = Connection(str(folder / "milvus.db"), timeout=120)
    store = MilvusCollection(connection)
    store.prepare(ModelRecord(FreeEncoder.model_id, FreeEncoder.dim, "bench", None))
    snapshots = Snapshots(folder / "snapshots", "bench")
    encoder = FreeEncoder()

    def index(kept: Snapshots | None) -> int:
        return index_library(
            Folder(root), store, lambda: encoder, PipelineOptions(), snapshots=kept
        ).unchanged

    start = time.perf_counter()
    index(snapshots)
    print(f"{files:,} files indexed at {files / (time.perf_counter() - start):,.0f} a second")
    assert store.count() == files
    ways: list[tuple[str, Callable[[], int]]] = [
        ("plain walk with metadata", lambda: _walk(root)),
        ("run over unchanged files", lambda: index(snapshots)),
        ("  without its snapshot", lambda: index(None)),
    ]
    plain = 0.0
    for name, way in ways:
        rates = []
        for _ in range(rounds):
            start = time.perf_counter()
            assert way() == files
            rates.append(files / (time.perf_counter() - start))
        rate = statistics.median(rates)
        plain = plain or rate
        print(f"{name:<26} {rate:10,.0f} files/s   {plain / rate:6.2f} x the plain walk's time")
    connection.close()


def make_pictures(root: Path, files: int) -> None:
    """Small pictures of different content, a thousand in a folder."""
    for number in range(files):
        path = root / f"{number // 1000:03}" / f"{number:07}.bmp"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        colour = (number & 255, number >> 8 & 255, number >> 16 & 255)
        Image.new("RGB", (2, 2), colour).save(path)


def _walk(root: Path) -> int:
    count = 0
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118  # the plain way is meant
            count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())
