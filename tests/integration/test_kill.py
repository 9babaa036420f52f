"""The indexer killed at random moments, on a real Milvus Lite file: one more run mends all."""

import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from indexer.scan import scan
from indexer.source import FoundFile
from milvus.collection import MilvusCollection
from milvus.connection import Connection

PICTURES = 300
KILLS = 20
# What a kill costs at most: a batch being written, one that waits, one being gathered (of 50
# each), and two of the encoder's (of 4).
ENCODED_AGAIN = 3 * 50 + 2 * 4

# The pipeline on a real store, with an encoder that needs no torch, so that a kill meets it at
# work and not while it loads.
INDEX = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3] + "/tests"]
from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
from fakes import RECORD, FakeEncoder
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.thumbnailing import Thumbnailing
from milvus.collection import MilvusCollection
from milvus.connection import Connection
root, uri = Path(sys.argv[1]), sys.argv[2]
connection = Connection(uri)
store = MilvusCollection(connection)
store.prepare(RECORD)
print("ready", flush=True)
class Encoder(FakeEncoder):
    def encode_images(self, images):
        print(f"encoding {len(images)}", flush=True)
        return super().encode_images(images)
snapshots = Snapshots(Path(uri).parent / "snapshots", uri)
folder = ThumbnailFolder(Path(uri).parent / "thumbnails")
thumbnails = Thumbnailing(folder, Leftovers(folder, uri))
report = index_library(
    Folder(root), store, Encoder, PipelineOptions(), snapshots=snapshots, thumbnails=thumbnails
)
print("done", flush=True)
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


def encoded(process: "subprocess.Popen[str]") -> tuple[int, bool]:
    """The number of pictures that went to the encoder, and whether the run came to its end."""
    assert process.stdout is not None
    words = [line.split() for line in process.stdout]
    return sum(int(line[1]) for line in words if line[0] == "encoding"), ["done"] in words


def wait_until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


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


def thumbnails(uri: Path) -> set[str]:
    """Names of the thumbnails that are there."""
    return {path.stem for path in (uri.parent / "thumbnails").rglob("*.webp")}


def contents(root: Path) -> set[str]:
    """Names of the thumbnails that the folder's pictures have."""
    files = root.rglob("*.png")
    return {blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files}


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


def whole_run(root: Path, uri: Path) -> float:
    """Index everything; the seconds that it took."""
    with start(root, uri) as process:
        wait_until_ready(process)
        began = time.monotonic()
        assert encoded(process) == (PICTURES, True)
        return time.monotonic() - began


def test_killed_at_twenty_moments(root: Path, tmp_path: Path) -> None:
    uri = tmp_path / "milvus.db"
    rng = np.random.default_rng(7)
    whole = whole_run(root, uri)
    assert held(uri) == in_folder(root)
    cut_short = 0
    for moment in moments(rng, whole):
        change(root, rng)
        with start(root, uri) as victim:
            wait_until_ready(victim)
            time.sleep(moment)
            victim.kill()
            _, done = encoded(victim)
            cut_short += not done
        with start(root, uri) as second:
            wait_until_ready(second)
            _, done = encoded(second)
            assert done
        assert held(uri) == in_folder(root)
        assert thumbnails(uri) == contents(root)
    assert cut_short >= KILLS // 4  # the kills did meet it at work


@pytest.mark.parametrize("reached", [4, 100, 200, 280])
def test_a_kill_costs_little_work(root: Path, tmp_path: Path, reached: int) -> None:
    uri = tmp_path / "milvus.db"
    with start(root, uri) as victim:
        wait_until_ready(victim)
        assert victim.stdout is not None
        before = 0
        while before < reached:
            before += int(victim.stdout.readline().split()[1])
        victim.kill()
        before += encoded(victim)[0]  # what it still said
    with start(root, uri) as second:
        wait_until_ready(second)
        after, done = encoded(second)
    assert done
    assert PICTURES <= before + after <= PICTURES + ENCODED_AGAIN
    assert held(uri) == in_folder(root)
