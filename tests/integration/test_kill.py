"""The indexer killed at random moments, on a real Milvus Lite file: one more run mends all."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from indexer.scan import FoundFile, scan
from milvus.collection import MilvusCollection
from milvus.connection import Connection

PICTURES = 300
KILLS = 20

# The pipeline on a real store, with an encoder that needs no torch, so that a kill meets it at
# work and not while it loads.
INDEX = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3] + "/tests"]
from fakes import RECORD, FakeEncoder
from indexer.pipeline import PipelineOptions, index_library
from indexer.snapshot import Snapshots
from milvus.collection import MilvusCollection
from milvus.connection import Connection
root, uri = Path(sys.argv[1]), sys.argv[2]
connection = Connection(uri)
store = MilvusCollection(connection)
store.prepare(RECORD)
print("ready", flush=True)
snapshots = Snapshots(Path(uri).parent / "snapshots", uri)
report = index_library(root, store, FakeEncoder, PipelineOptions(), snapshots=snapshots)
print(report.encoded, flush=True)
connection.close()
"""


def start(root: Path, uri: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", INDEX, root, uri, ROOT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        path = folder / f"c{number % 7}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    return folder


def held(uri: Path) -> list[tuple[str, int, int]]:
    connection = Connection(str(uri))
    rows = MilvusCollection(connection).rows()
    found = sorted((row.path, row.size, row.mtime_ns) for row in rows)
    connection.close()
    return found


def in_folder(root: Path) -> list[tuple[str, int, int]]:
    files = (item for item in scan(root) if isinstance(item, FoundFile))
    return sorted((file.path, file.size, file.mtime_ns) for file in files)


def change(root: Path, rng: np.random.Generator) -> None:
    """Add, alter, move and delete some files, so that every run has all kinds of work."""
    paths = sorted(root.rglob("*.png"))
    gone, altered, moved = (paths[i] for i in rng.choice(len(paths), 3, replace=False))
    gone.unlink()
    moved.rename(moved.with_name(f"moved-{rng.integers(10**9)}.png"))
    new = [root / f"new-{rng.integers(10**9)}.png" for _ in range(60)]
    for path in (altered, *new):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)


def moments(rng: np.random.Generator, whole: float) -> Iterator[float]:
    for _ in range(KILLS):
        yield float(rng.uniform(0, whole))


def test_killed_at_twenty_moments(root: Path, tmp_path: Path) -> None:
    uri = tmp_path / "milvus.db"
    rng = np.random.default_rng(7)
    with start(root, uri) as whole_run:
        assert whole_run.stdout is not None
        assert whole_run.stdout.readline() == "ready\n"
        began = time.monotonic()
        assert whole_run.stdout.readline() == f"{PICTURES}\n"
        whole = time.monotonic() - began
    assert held(uri) == in_folder(root)
    cut_short = 0
    for moment in moments(rng, whole):
        change(root, rng)
        with start(root, uri) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "ready\n"
            time.sleep(moment)
            victim.kill()
            cut_short += victim.stdout.read() == ""
        with start(root, uri) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "ready\n"
            assert second.stdout.readline().strip().isdigit()
        assert held(uri) == in_folder(root)
    assert cut_short >= KILLS // 4  # the kills did meet it at work
