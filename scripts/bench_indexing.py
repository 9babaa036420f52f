#!/usr/bin/env python3
"""Measure indexing against the plain ways, and against what this machine can do at all.

Prints images a second of five things, from one run on one machine, in turns:

  pipeline    this program: decode in threads, batches, the precision that --precision chose;
              without thumbnails, as the others
  thumbnails  the same with them, which is its default
  plain       what most tutorials show: open, open_clip's transform, one at a time, float32,
              inserts of 50
  dataloader  open_clip with a torch DataLoader, batches of 32, float32
  ceiling     the machine's matrix-product rate in the pipeline's precision over the model's
              operations for an image

and, for decoding alone, the pipeline's way against open_clip's transform on one thread.

Random weights are used, and allowed here only: speed does not depend on them.
"""

import argparse
import functools
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from configs.commandline import quiet_libraries
from embeddings.leftovers import Leftovers
from embeddings.models import canonical
from embeddings.openclip.building import Built
from embeddings.openclip.encoder import OpenClipEncoder
from embeddings.openclip.precision import DTYPES, choose_device, synchronize
from embeddings.thumbnails import ThumbnailFolder
from indexer.pipeline import PipelineOptions, index_library
from indexer.prepare import prepare
from indexer.scan import Folder, scan
from indexer.source import FoundFile
from indexer.thumbnailing import Thumbnailing
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord, image_id


def main() -> int:
    options = _options()
    quiet_libraries()
    torch.manual_seed(0)
    files = [f for f in scan(options.folder.resolve()) if isinstance(f, FoundFile)]
    if not files:
        print(f"bench_indexing: no picture in {options.folder}", file=sys.stderr)
        return 1
    files = list(itertools.islice(itertools.cycle(files), options.images))
    bench = Bench(options, files)
    bench.describe()
    _decoding(options, bench)
    bench.indexing()
    return 0


@dataclass
class Bench:
    """One model on one device over one list of files."""

    options: argparse.Namespace
    files: list[FoundFile]

    def __post_init__(self) -> None:
        self.built = random_built(canonical(self.options.model, None)[0])
        self.model = self.built.model
        self.transform = open_clip.transform.image_transform_v2(
            open_clip.transform.PreprocessCfg(**self.built.preprocess), is_train=False
        )
        self.device = choose_device(self.options.device)
        self.operations = image_operations(self.built)

    def describe(self) -> None:
        print(
            f"{self.options.model}: {self.operations / 1e9:.1f} GFLOP an image; {len(self.files)} "
            f"images; device {self.device}; torch {torch.__version__}, "
            f"{torch.get_num_threads()} threads"
        )

    def indexing(self) -> None:
        rounds = range(self.options.rounds)
        plain_files = self.files[: self.options.plain_images]
        rates: dict[str, list[float]] = {"plain": [], "dataloader": [], "pipeline": []}
        self.model.to(self.device)
        for _ in rounds:
            rates["plain"].append(_rate(self.plain, plain_files))
            rates["dataloader"].append(_rate(self.dataloader, plain_files))
        encoder = OpenClipEncoder(
            self.built,
            device=self.options.device,
            precision=self.options.precision,
            batch_size=self.options.batch_size,
        )
        encoder.encode_images([Image.new("RGB", (9, 9))])  # measures and warms
        rates["thumbnails"] = []
        for _ in rounds:
            for name in ("pipeline", "thumbnails"):
                makes = name == "thumbnails"
                run = functools.partial(self.pipeline, encoder=encoder, makes_thumbnails=makes)
                rates[name].append(_rate(run, self.files))
        peak = matrix_rate(self.device, DTYPES[encoder.precision])
        ceiling = peak / self.operations
        plain = statistics.median(rates["plain"])
        for name, values in rates.items():
            median = statistics.median(values)
            spread = f"{min(values):.1f} to {max(values):.1f}"
            print(f"{name:<11} {median:8.1f} images/s   {median / plain:5.2f} x plain   ({spread})")
        share = statistics.median(rates["pipeline"]) / ceiling
        print(
            f"{'ceiling':<11} {ceiling:8.1f} images/s   {peak / 1e9:.0f} GFLOP/s in "
            f"{encoder.precision}; the pipeline reaches {share:.2f} of it"
        )

    def plain(self, files: Sequence[FoundFile]) -> None:
        """The tutorial's loop."""
        with LiteStore(self.built.model_id, self._dim()) as store:
            waiting: list[dict[str, Any]] = []
            for number, file in enumerate(files):
                with Image.open(file.path) as image, torch.inference_mode():
                    pixels = self.transform(image).unsqueeze(0).to(self.device)
                    features = self.model.encode_image(pixels)
                    features /= features.norm(dim=-1, keepdim=True)
                waiting.append(_entity(number, file, features[0].float().cpu().numpy()))
                if len(waiting) == 50:
                    store.insert(waiting)
                    waiting = []
            store.insert(waiting)

    def dataloader(self, files: Sequence[FoundFile]) -> None:
        """open_clip behind a DataLoader."""
        loader = torch.utils.data.DataLoader(
            _Photos(files, self.transform), batch_size=32, num_workers=os.cpu_count() or 1
        )
        with LiteStore(self.built.model_id, self._dim()) as store, torch.inference_mode():
            for number, batch in enumerate(loader):
                features = self.model.encode_image(batch.to(self.device), normalize=True)
                rows = features.float().cpu().numpy()
                part = files[number * 32 : number * 32 + 32]
                entities = [_entity(number * 32 + i, f, rows[i]) for i, f in enumerate(part)]
                store.insert(entities)

    def pipeline(
        self, files: Sequence[FoundFile], encoder: OpenClipEncoder, makes_thumbnails: bool
    ) -> None:
        """This program, on a folder that holds the files under other names."""
        with (
            tempfile.TemporaryDirectory() as folder,
            LiteStore(encoder.model_id, encoder.dim) as store,
        ):
            root = Path(folder) / "library"
            root.mkdir()
            kept = ThumbnailFolder(Path(folder) / "thumbnails")
            thumbnails = Thumbnailing(kept, Leftovers(kept, "bench"), makes=makes_thumbnails)
            for number, file in enumerate(files):
                (root / f"{number:07}{Path(file.path).suffix}").symlink_to(file.path)
            pipeline = PipelineOptions(decode_threads=self.options.decode_threads)
            report = index_library(
                Folder(root), store.collection, lambda: encoder, pipeline, thumbnails=thumbnails
            )
            assert report.added == len(files), report

    def _dim(self) -> int:
        return int(self.model.encode_text(self.built.tokenizer(["a"]).to(self.device)).shape[1])


class _Photos(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, files: Sequence[FoundFile], transform: Callable[..., torch.Tensor]) -> None:
        self._files = files
        self._transform = transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self._files[index].path) as image:
            return self._transform(image)


class LiteStore:
    """A Milvus Lite collection in a folder of its own."""

    def __init__(self, model_id: str, dim: int) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._connection = Connection(str(self._folder / "milvus.db"))
        self.collection = MilvusCollection(self._connection)
        self.collection.prepare(ModelRecord(model_id, dim, "bench", None))

    def insert(self, entities: list[dict[str, Any]]) -> None:
        if entities:
            self._connection.call(lambda client: client.insert("images", entities))

    def __enter__(self) -> "LiteStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.collection.flush()
        self._connection.close()
        shutil.rmtree(self._folder)


def _entity(number: int, file: FoundFile, embedding: np.ndarray) -> dict[str, Any]:
    return {
        "m_id": image_id("bench", str(number)),
        "embedding": embedding,
        "path": file.path,
        "library": "bench",
        "category": file.category,
        "mtime_ns": file.mtime_ns,
        "size": file.size,
        "content_hash": "",
        "width": 0,
        "height": 0,
    }


def _rate(run: Callable[[Sequence[FoundFile]], None], files: Sequence[FoundFile]) -> float:
    start = time.perf_counter()
    run(files)
    return len(files) / (time.perf_counter() - start)


def random_built(architecture: str) -> Built:
    """A model of open_clip's with random weights, in float32 on the CPU."""
    model = open_clip.create_model(architecture, load_weights=False).eval()
    preprocess = open_clip.get_model_preprocess_cfg(model)
    tokenizer = open_clip.get_tokenizer(architecture)
    return Built(model, tokenizer, preprocess, f"{architecture}/random")


def image_operations(built: Built) -> int:
    """Operations for one image, 2 for a multiplication and addition.

    Counted on a model that was neither moved nor cast.
    """
    size = built.preprocess["size"]
    side = size if isinstance(size, int) else size[0]
    # Torch's fused attention hides its products from the counter, a third of them all.
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        built.model.encode_image(torch.zeros(1, 3, side, side))
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product, the best of several."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)

    def once() -> float:
        start = time.perf_counter()
        for _ in range(10):
            a @ b
        synchronize(device)
        return (time.perf_counter() - start) / 10

    once()
    return float(2 * side**3 / min(once() for _ in range(5)))


def _decoding(options: argparse.Namespace, bench: Bench) -> None:
    """Open and shrink alone: the pipeline's threads against open_clip's transform on one."""
    encoder_transform = OpenClipEncoder(
        bench.built, device="cpu", precision="fp32", batch_size=1
    ).image_transform

    def ours(files: Sequence[FoundFile]) -> None:
        with ThreadPoolExecutor(options.decode_threads) as threads:
            list(
                threads.map(lambda f: prepare(f, encoder_transform, lambda h: False, 10**9), files)
            )

    def plain(files: Sequence[FoundFile]) -> None:
        for file in files:
            with Image.open(file.path) as image:
                bench.transform(image)

    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.jpg"
        with Image.open(bench.files[0].path) as image:
            image.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC).save(large)
        status = large.stat()
        file = FoundFile(str(large), "large.jpg", "", status.st_size, status.st_mtime_ns)
        for name, files in (("as they are", bench.files[:200]), ("12 megapixels", [file] * 24)):
            pairs = [(_rate(ours, files), _rate(plain, files)) for _ in range(options.rounds)]
            ours_rate = statistics.median(a for a, _ in pairs)
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"decoding, {name}: {ours_rate:.1f} images/s, {ratio:.2f} x plain")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of pictures")
    parser.add_argument("--model", default="ViT-B/32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch-size", type=int, help="default: what suits the device")
    parser.add_argument("--decode-threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--images", type=int, default=400, help="for the pipeline")
    parser.add_argument("--plain-images", type=int, default=60, help="for the slow ways")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
