"""An indexer killed at any moment, on Milvus Lite or a server: one more run must make all whole.

The quick tests and ``scripts/torture_kills.py`` share this. The pipeline is the real one on a real
store, with an encoder that needs no torch, so that a kill meets it at work and not while it loads.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from fakes import FakeEncoder
from PIL import Image
from support import ROOT

from embeddings.encoder import Embeddings, Encoder
from embeddings.images import open_image, open_square
from embeddings.thumbnails import thumbnail_of
from indexer.scan import scan
from indexer.source import FoundFile
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.lite import is_lite

PICTURES = 300
NEW_EACH_ROUND = 60
# A server's rows must be equal after float32 went over the wire, and they are.
TOLERANCE = 1e-6
# A round that begins with nothing at all: the kill may meet the collection being made.
FROM_NOTHING_EVERY = 5

INDEX = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
from fakes import RECORD, FakeEncoder
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.thumbnailing import Thumbnailing
from milvus import lite_files
from milvus.collection import MilvusCollection
from milvus.connection import Connection
lite_files.ROOM_BYTES = int(os.environ.get("TEST_ROOM_BYTES", lite_files.ROOM_BYTES))
root, data, uri, name = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5]
print("ready", flush=True)
connection = Connection(uri, timeout=60)
store = MilvusCollection(connection, name)
store.prepare(RECORD)
print("prepared", flush=True)
class Encoder(FakeEncoder):
    def encode_images(self, images):
        print(f"encoding {len(images)}", flush=True)
        return super().encode_images(images)
snapshots = Snapshots(data / "snapshots", f"{uri} {name}")
folder = ThumbnailFolder(data / "thumbnails")
thumbnails = Thumbnailing(folder, Leftovers(folder, f"{uri} {name}"))
index_library(
    Folder(root), store, Encoder, PipelineOptions(), snapshots=snapshots, thumbnails=thumbnails
)
print("done", flush=True)
connection.close()
"""


@dataclass
class Heard:
    """What a run said until it ended."""

    encoded: int
    done: bool


@dataclass
class Scene:
    """A library, and the store that an indexer keeps equal to it."""

    root: Path
    data: Path
    """Snapshots and thumbnails."""
    uri: str
    rng: np.random.Generator
    collection: str = "images"

    def draw(self, count: int = PICTURES, first: int = 0) -> None:
        """Make the library, or more of it."""
        for number in range(first, first + count):
            self._paint(self.root / f"c{number % 7}" / f"{number}.png")

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        """An indexer that has said that it begins."""
        log = (self.data.parent / "stderr").open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", INDEX, ROOT, self.root, self.data, self.uri, self.collection],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        log.close()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", self.said()
        return process

    def said(self) -> str:
        """What the last indexer had to complain about."""
        return (self.data.parent / "stderr").read_text()[-2000:]

    def whole_run(self) -> float:
        """Index to the end; the seconds that it took."""
        with self.start() as process:
            began = time.monotonic()
            assert heard(process).done, self.said()
            return time.monotonic() - began

    def kill_after(self, seconds: float) -> bool:
        """Start an indexer and kill it; whether that cut it short."""
        with self.start() as victim:
            time.sleep(seconds)
            victim.kill()
            return not heard(victim).done

    def change(self) -> None:
        """Add, alter, move, copy, swap and delete files: every run has all kinds of work."""
        paths = sorted(self.root.rglob("*.png"))
        chosen = (paths[i] for i in self.rng.choice(len(paths), 6, replace=False))
        gone, altered, moved, copied, one, other = chosen
        gone.unlink()
        moved.rename(moved.with_name(f"moved-{self._number()}.png"))
        shutil.copy(copied, copied.with_name(f"copy-{self._number()}.png"))
        aside = one.with_name("aside")
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
        new = (self.root / f"new-{self._number()}.png" for _ in range(NEW_EACH_ROUND))
        for path in (altered, *new):
            self._paint(path)

    def forget(self) -> None:
        """Remove the store, and what is kept beside it."""
        if is_lite(self.uri):
            shutil.rmtree(self.uri, ignore_errors=True)
        else:
            connection = Connection(self.uri, timeout=60)
            store = MilvusCollection(connection, self.collection)
            if store.exists():
                store.drop()
            connection.close()
        shutil.rmtree(self.data)
        self.data.mkdir()

    def check(self) -> int:
        """The store holds exactly the folder: rows, vectors and thumbnails; the number of them."""
        hashes = self.check_store()
        kept = {p.stem: p.read_bytes() for p in (self.data / "thumbnails").rglob("*.webp")}
        assert set(kept) == hashes
        files = [Path(item.path) for item in scan(self.root) if isinstance(item, FoundFile)]
        wrong = [path for path in files if kept[content_hash(path)] != thumbnail(path)]
        assert not wrong, wrong
        return len(files)

    def check_store(self) -> set[str]:
        """The same without thumbnails; the hashes of the contents."""
        connection = Connection(self.uri, timeout=60)
        store = MilvusCollection(connection, self.collection)
        stored, count = list(store.entities()), store.count()
        connection.close()
        assert count == len(stored)
        found = {f.path: f for f in scan(self.root) if isinstance(f, FoundFile)}
        rows = sorted((row.path, row.size, row.mtime_ns) for row, _ in stored)
        assert rows == sorted((f.path, f.size, f.mtime_ns) for f in found.values())
        fresh = self.encode([Path(row.path) for row, _ in stored])
        kept = np.array([vector for _, vector in stored]).reshape(fresh.shape)
        wrong = np.flatnonzero(np.abs(fresh - kept).max(axis=1, initial=0) > TOLERANCE)
        assert not wrong.size, [stored[at][0].path for at in wrong]
        hashes = {content_hash(Path(path)) for path in found}
        assert {row.content_hash for row, _ in stored} == hashes
        return hashes

    def encode(self, paths: list[Path]) -> Embeddings:
        """Vectors of files as nothing but the files say."""
        return encode(FakeEncoder(), paths)

    def _paint(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A colour of its own for each, so that another picture's vector is not nearly the same.
        noise = self.rng.integers(0, 60, (40, 40, 3)) + self.rng.integers(0, 196, 3)
        Image.fromarray(noise.astype(np.uint8)).save(path)

    def _number(self) -> int:
        return int(self.rng.integers(10**12))


def scene(folder: Path, uri: str, seed: int, collection: str = "images") -> Scene:
    """A drawn library in a folder, and a store that knows nothing of it yet."""
    made = Scene(folder / "library", folder / "data", uri, np.random.default_rng(seed), collection)
    made.data.mkdir(parents=True, exist_ok=True)
    made.draw()
    return made


def killed_rounds(
    at: Scene, kills: int, on_round: Callable[[float, bool], None] = lambda moment, cut: None
) -> list[bool]:
    """Kill that many indexers, each followed by a run to the end and a look at everything.

    For each whether it was cut short; ``on_round`` gets that with the moment, in seconds. Raises
    AssertionError for what is not whole.
    """
    whole = at.whole_run()
    at.check()
    at.change()
    usual = at.whole_run()
    at.check()
    cut_short = []
    for number in range(kills):
        from_nothing = number % FROM_NOTHING_EVERY == FROM_NOTHING_EVERY - 1
        moment = float(at.rng.uniform(0, whole if from_nothing else usual))
        if from_nothing:
            at.forget()
        at.change()
        cut_short.append(at.kill_after(moment))
        on_round(moment, cut_short[-1])
        at.whole_run()
        at.check()
    return cut_short


def heard(process: "subprocess.Popen[str]") -> Heard:
    """Wait until a run ends."""
    assert process.stdout is not None
    words = [line.split() for line in process.stdout]
    encoded = sum(int(word[1]) for word in words if word[0] == "encoding")
    return Heard(encoded, ["done"] in words)


def encode(encoder: Encoder, paths: list[Path]) -> Embeddings:
    """Vectors of files, one call for all."""
    opened = (open_square(path.read_bytes(), encoder.image_transform, 10**6) for path in paths)
    return encoder.encode_images([square.image for square in opened])


def thumbnail(path: Path) -> bytes:
    """A file's thumbnail as nothing but the file says."""
    data = path.read_bytes()
    return thumbnail_of(data, open_image(data, max_pixels=10**6), 10**6)


def content_hash(path: Path) -> str:
    """The name that a file's thumbnail has."""
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()
