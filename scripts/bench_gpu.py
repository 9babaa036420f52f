#!/usr/bin/env python3
"""Check a GPU, then measure it: one command, some minutes, no network.

Checks first: embeddings against those of the CPU in float32, `index-folder` and a search on the
device, memory that runs out, two programs at once on one device. Then images a second of every
stage alone, of the whole with thumbnails and without, and which stage is the limit.

Models but the sample encoder have random weights, which neither speed nor cosines depend on. The
pictures are made on the spot and all distinct, since equal content is encoded once. It needs the
packages of the indexer and no others; where the project is not installed:
PYTHONPATH=. python3 scripts/bench_gpu.py. Exit code: 0 where all checks hold, 1 otherwise.
"""

import argparse
import contextlib
import copy
import functools
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import make_sample_library
import numpy as np
import torch
from bench_indexing import LiteStore, image_operations, matrix_rate, random_built
from PIL import Image

from configs.commandline import quiet_libraries
from embeddings.encoder import Embeddings, Encoder
from embeddings.errors import first_line
from embeddings.images import OpenedImage, open_for, squared
from embeddings.leftovers import Leftovers
from embeddings.load import load_encoder
from embeddings.models import canonical
from embeddings.openclip.encoder import OpenClipEncoder
from embeddings.openclip.precision import DTYPES, choose_device, synchronize
from embeddings.thumbnails import ThumbnailFolder
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from indexer.thumbnailing import Thumbnailing
from milvus.entities import ImageRow, image_id

T = TypeVar("T")
R = TypeVar("R")

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 500, 375
MAX_PIXELS = 200_000_000
LEAST_COSINE = 0.99
TEXTS = ("a photo of a lemon", "red apples on the grass", "two dogs", "night", "", "a " * 90)
QUERIES = 40
LITTLE_MEMORY = 2 << 30  # bytes, for the check of memory that runs out
COMMAND_SECONDS = 120


def main() -> int:
    options = _options()
    quiet_libraries()
    logging.getLogger().setLevel(logging.ERROR)  # open_clip tells of weights that are random
    logging.getLogger("embeddings").setLevel(logging.WARNING)
    torch.manual_seed(0)
    device = choose_device(options.device)
    print(f"{_described(device)}; {os.cpu_count()} cores; torch {torch.__version__}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        photos = make_photos(Path(folder) / "photos", options.images)
        print(f"{len(photos)} distinct JPEG files of {WIDTH} x {HEIGHT} made", flush=True)
        holds = True
        if not options.no_checks:
            for check in checks(options, device, photos, Path(folder)):
                holds = check.shown() and holds
        if not options.only_checks:
            measure(options, device, photos, Path(folder))
    print(f"{time.monotonic() - start:.0f} s in all")
    return 0 if holds else 1


@dataclass(frozen=True)
class Check:
    """Something that must hold, whether it does, and the figures that say so."""

    what: str
    holds: bool
    figures: str

    def shown(self) -> bool:
        print(f"{'ok' if self.holds else 'FAILED':<7} {self.what}: {self.figures}", flush=True)
        return self.holds


def make_photos(folder: Path, count: int) -> list[Path]:
    """Write ``count`` distinct JPEG files with the detail of photos."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(_make_photo, range(count), paths, chunksize=50))
    return paths


def _make_photo(seed: int, path: Path) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
    for cells, weight in ((4, 0.6), (24, 0.3), (120, 0.15)):  # detail falls with its scale
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += weight * np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=90)


def checks(
    options: argparse.Namespace, device: torch.device, photos: Sequence[Path], folder: Path
) -> Iterator[Check]:
    """All checks, one after the other; what one raises fails it and none of the others."""
    images = [Image.open(path).convert("RGB") for path in photos[: options.compared]]
    library = folder / "drawn"
    with contextlib.redirect_stdout(io.StringIO()):
        make_sample_library.main([str(library), "--per-category", "12", "--size", "320"])
    named = {
        f"{name} as on the CPU": functools.partial(_cosines, name, options.device, images)
        for name in ("sample", "ViT-B/32", options.model)
    }
    named["index-folder and search"] = lambda: _commands(options.device, library, folder / "data")
    named["two programs at once"] = lambda: _two_programs(options.device, library, folder)
    if device.type == "cuda":
        named["memory runs out"] = lambda: _memory(device, images)
    for what, run in named.items():
        try:
            holds, figures = run()
        except Exception as error:
            holds, figures = False, f"{type(error).__name__}: {first_line(error)}"
        yield Check(what, holds, figures)


def _cosines(name: str, device: str, images: Sequence[Image.Image]) -> tuple[bool, str]:
    """Compare a model on the device with itself on the CPU in float32."""
    if name == "sample":
        here: Encoder = load_encoder(name, None, models_dir=Path(), device="cpu", precision="fp32")
        there: Encoder = load_encoder(name, None, models_dir=Path(), device=device)
    else:
        built = random_built(canonical(name, None)[0])
        here = OpenClipEncoder(copy.deepcopy(built), device="cpu", precision="fp32")
        there = OpenClipEncoder(built, device=device, precision="auto")
    found = {
        "images": _cosine(here.encode_images(images), there.encode_images(images)),
        "texts": _cosine(here.encode_texts(TEXTS), there.encode_texts(TEXTS)),
    }
    figures = "; ".join(f"{k} mean {v.mean():.5f}, lowest {v.min():.5f}" for k, v in found.items())
    holds = min(float(values.min()) for values in found.values()) >= LEAST_COSINE
    return holds, f"{figures} ({getattr(there, 'precision', 'several devices')})"


def _cosine(a: Embeddings, b: Embeddings) -> np.ndarray:
    return (a * b).sum(axis=1)


def _commands(device: str, library: Path, data: Path) -> tuple[bool, str]:
    """Index the drawn library and search it by the commands that people use."""
    report = json.loads(_run(_index_command(device, library), data).stdout or "{}")
    command = [sys.executable, "-m", "webapp.cli", "search", "red apples", "--json"]
    hits = json.loads(_run([*command, "--device", device], data).stdout or "{}").get("hits", [])
    apples = sum(hit["category"] == "apple" for hit in hits[:8])
    added = report.get("added", 0)
    return (
        added == 12 * len(make_sample_library.CATEGORIES) and apples >= 7,
        f"{added} indexed, {apples} of the best 8 for 'red apples' are apples",
    )


def _two_programs(device: str, library: Path, folder: Path) -> tuple[bool, str]:
    """Index twice at once, into two stores, on one device."""
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(_run, _index_command(device, library), folder / name)
            for name in ("first", "second")
        ]
    codes = [run.result().returncode for run in runs]
    return codes == [0, 0], f"exit codes {codes}"


def _index_command(device: str, library: Path) -> list[str]:
    program = [sys.executable, "-m", "indexer.cli", str(library), "--json"]
    return [*program, "--model", "sample", "--device", device]


def _run(command: Sequence[str], data: Path) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path, "IMAGE_SEARCH_DATA_DIR": str(data)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    if done.returncode:
        print(done.stderr.strip()[-2000:], file=sys.stderr)
    return done


def _memory(device: torch.device, images: Sequence[Image.Image]) -> tuple[bool, str]:
    """Give the process little memory, and a batch that does not fit."""
    built = random_built(canonical("ViT-B/32", None)[0])
    many = [images[number % len(images)] for number in range(8192)]
    encoder = OpenClipEncoder(built, device=str(device), precision="fp32", batch_size=len(many))
    expected = encoder.encode_images(images)
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(device)
    share = (torch.cuda.memory_reserved(device) + LITTLE_MEMORY) / total
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
    try:
        found = encoder.encode_images(many)[: len(images)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    lowest = float(_cosine(expected, found).min())
    figures = f"batches of {encoder.batch_size} instead of {len(many)}, cosine {lowest:.5f}"
    holds = encoder.batch_size < len(many) and lowest > 0.999
    return holds, figures


def measure(
    options: argparse.Namespace, device: torch.device, photos: Sequence[Path], folder: Path
) -> None:
    """Print the table."""
    architecture = canonical(options.model, None)[0]
    built = random_built(architecture)
    operations = image_operations(built)
    start = time.perf_counter()
    encoder = OpenClipEncoder(
        built, device=options.device, precision=options.precision, batch_size=options.batch_size
    )
    encoder.encode_images([Image.new("RGB", (9, 9))])  # measures and warms
    print(
        f"{options.model}: {operations / 1e9:.0f} GFLOP an image, {encoder.precision}, batches of "
        f"{encoder.batch_size}, first result after {time.perf_counter() - start:.1f} s"
    )
    stages = measured_stages(encoder, photos, options.decode_threads)
    whole = {
        "whole, thumbnails off": _whole(encoder, photos, folder, options.decode_threads, False),
        "whole, thumbnails on": _whole(encoder, photos, folder, options.decode_threads, True),
    }
    limit = min(stages, key=lambda name: stages[name])
    for name, rate in {**stages, **whole}.items():
        note = "   the limit" if name == limit else ""
        print(f"{name:<22} {rate:10.0f} images/s{note}")
    peak = matrix_rate(device, DTYPES[encoder.precision]) / operations
    rate = whole["whole, thumbnails off"]
    print(f"{'matrix product':<22} {peak:10.0f} images/s at most")
    print(
        f"the whole reaches {rate / stages[limit]:.2f} of {limit} alone and {rate / peak:.2f} of "
        f"the matrix product; with thumbnails {whole['whole, thumbnails on'] / rate:.2f} of that; "
        f"a million images take {1e6 / rate / 3600:.1f} h"
    )
    times = [
        _seconds(lambda n=n: encoder.encode_texts([f"a photo of {n}"])) for n in range(QUERIES)
    ]
    print(f"a query's text takes {statistics.median(times) * 1000:.1f} ms (p50)")


def measured_stages(
    encoder: OpenClipEncoder, photos: Sequence[Path], threads: int
) -> dict[str, float]:
    """Images a second of each stage alone, in as many threads as the pipeline gives it."""
    transform = encoder.image_transform

    def decoded(data: bytes) -> OpenedImage:
        return open_for(data, transform, MAX_PIXELS)

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        blake2b(data, digest_size=16).hexdigest()
        return data

    rates = {}
    contents, rates["read"] = _mapped(read, photos, threads)
    opened, rates["decode"] = _mapped(decoded, contents, threads)
    squares, rates["resize"] = _mapped(lambda o: squared(o, transform).image, opened, threads)
    del contents, opened
    size = encoder.batch_size
    batches = [squares[start : start + size] for start in range(0, len(squares), size)]
    rates["copy"] = _copied(encoder, batches)
    start = time.perf_counter()
    with ThreadPoolExecutor(encoder.batches_at_once) as pool:
        vectors = list(pool.map(encoder.encode_images, batches))
    rates["encode"] = len(squares) / (time.perf_counter() - start)
    rates["write"] = _written(encoder, np.concatenate(vectors))
    return rates


def _mapped(function: Callable[[T], R], items: Sequence[T], threads: int) -> tuple[list[R], float]:
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(function, items))
    return results, len(items) / (time.perf_counter() - start)


def _copied(encoder: OpenClipEncoder, batches: Sequence[Sequence[Image.Image]]) -> float:
    """Pack batches as bytes and bring them to the device."""
    start = time.perf_counter()
    for batch in batches:
        encoder.upload(batch)
    synchronize(encoder.device)
    return sum(map(len, batches)) / (time.perf_counter() - start)


def _written(encoder: Encoder, vectors: Embeddings) -> float:
    rows = [
        ImageRow(image_id("bench", str(n)), f"/{n}.jpg", "bench", "", n, n, f"{n:032x}", 1, 1)
        for n in range(len(vectors))
    ]
    with LiteStore(encoder.model_id, encoder.dim) as store:
        start = time.perf_counter()
        for first in range(0, len(rows), 50):
            store.collection.upsert(rows[first : first + 50], list(vectors[first : first + 50]))
        return len(rows) / (time.perf_counter() - start)


def _whole(
    encoder: OpenClipEncoder, photos: Sequence[Path], folder: Path, threads: int, makes: bool
) -> float:
    """The indexer's pipeline from files to the store."""
    kept = ThumbnailFolder(folder / "thumbnails")
    thumbnails = Thumbnailing(kept, Leftovers(kept, "bench"), makes=makes)
    with LiteStore(encoder.model_id, encoder.dim) as store:
        start = time.perf_counter()
        report = index_library(
            Folder(photos[0].parent),
            store.collection,
            lambda: encoder,
            PipelineOptions(decode_threads=threads),
            thumbnails=thumbnails,
        )
        seconds = time.perf_counter() - start
    assert report.added == len(photos), report
    return len(photos) / seconds


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _described(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _fast_folder() -> str | None:
    """A folder in memory, where there is one: disks are not what is measured."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", help="default: the GPU, where there is one")
    parser.add_argument("--model", default="ViT-L/14@336px")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch-size", type=int, help="default: what suits the device")
    parser.add_argument("--decode-threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--compared", type=int, default=8, help="pictures for the cosines")
    parser.add_argument("--only-checks", action="store_true")
    parser.add_argument("--no-checks", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
