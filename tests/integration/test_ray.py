"""Indexing on a real Ray cluster of two small machines, against the same run without one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from PIL import Image
from support import BIN, ROOT, free_port, run

from embeddings.encoder import Embeddings
from indexer.errors import WorkersFailed
from indexer.on_ray import RayOptions, RayWorkers
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection

PICTURES = 60
SAMPLE = ("--model", "sample", "--precision", "fp32", "--json")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster: two nodes of one processor each, on this machine."""
    from ray.cluster_utils import Cluster

    nodes = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 2**27}
    started = Cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        # The machines have the program, and the encoder of a test below.
        paths = (ROOT, ROOT / "tests", ROOT / "tests" / "integration")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        try:
            started.add_node(**nodes)
            started.add_node(**nodes)
            yield started.address
        finally:
            started.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures of noise, two of them equal, and a file that is none."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "library"
    for number in range(PICTURES):
        path = folder / f"c{number % 3}" / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((600, 450)).save(path)
    (folder / "same.jpg").write_bytes((folder / "c0" / "000.jpg").read_bytes())
    (folder / "damaged.jpg").write_bytes(b"rubbish")
    return folder


class Index:
    """A collection on the server that the real command fills, with a data folder of its own."""

    def __init__(self, server: str, name: str, folder: Path, *options: str) -> None:
        self.server = server
        self.name = name
        self.data = folder / name
        self.options = (*SAMPLE, "--milvus-uri", server, "--milvus-collection", name, *options)

    def index(self, root: Path) -> str:
        """What the command prints."""
        ran = run("index-folder", root, *self.options, data=self.data)
        assert ran.code == 0, ran.err
        return ran.out

    def held(self) -> dict[int, tuple[Any, np.ndarray]]:
        with contextlib.closing(Connection(self.server, timeout=30)) as connection:
            entities = MilvusCollection(connection, self.name).entities()
            return {row.m_id: (row, embedding) for row, embedding in entities}

    def thumbnails(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.data.rglob("*.webp")}


def report(out: str) -> dict[str, Any]:
    """What was done; not how long it took."""
    said = json.loads(out.splitlines()[-1])
    del said["seconds"]
    return dict(said)


def assert_same(one: Index, other: Index) -> None:
    first, second = one.held(), other.held()
    assert first.keys() == second.keys()
    for key, (row, embedding) in first.items():
        assert second[key][0] == row
        np.testing.assert_allclose(second[key][1], embedding, atol=1e-5)
    assert one.thumbnails() == other.thumbnails()


def on_ray(address: str) -> tuple[str, ...]:
    return ("--ray", address, "--ray-workers", "2")


def parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def below(ancestor: int, title: str) -> list[int]:
    """Processes with that title that a process started, or those that it did."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = above = int(entry.name)
            if title not in (entry / "cmdline").read_text():
                continue
            while above not in (0, ancestor):
                above = parent(above)
            if above == ancestor:
                found.append(pid)
    return found


@contextlib.contextmanager
def indexing(index: Index, root: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command, which has written some of the pictures and not all."""
    process = subprocess.Popen(
        [BIN / "index-folder", root, *index.options, "--progress-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(index.data)},
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["done"] > 1:
                assert json.loads(line)["done"] < PICTURES / 2
                break
        yield process


def test_the_index_is_that_of_a_plain_run_though_a_worker_is_killed(
    milvus_server: str, cluster: str, root: Path, tmp_path: Path
) -> None:
    plain = Index(milvus_server, "plain", tmp_path)
    spread = Index(milvus_server, "spread", tmp_path, *on_ray(cluster), "--batch-size", "2")
    first = report(plain.index(root))
    with indexing(spread, root) as process:
        victim, *_ = below(os.getpid(), "ray::RemoteWorker")
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert (report(out), first["added"]) == (first, PICTURES + 1)
    assert all(line.startswith("{") for line in out.splitlines())  # nothing of Ray's
    said = [line.split()[0] for line in err.splitlines()]
    # A busy machine may start the workers late enough for the indexer to say that it waits.
    assert [word for word in said if word != "waiting"] == ["loading", "62", "skipped"], err
    assert_same(plain, spread)
    assert len(spread.thumbnails()) == PICTURES

    again = report(spread.index(root))
    assert (again["unchanged"], again["found"]) == (PICTURES + 1, PICTURES + 2)

    a, b, moved, changed, *_ = sorted((root / "c1").iterdir())
    a.rename(root / "kept")
    b.rename(a)
    (root / "kept").rename(b)
    moved.rename(root / "moved.jpg")
    changed.write_bytes((root / "c2" / "002.jpg").read_bytes())
    (root / "c0" / "003.jpg").unlink()
    then = report(spread.index(root))
    assert then == report(plain.index(root))
    assert (then["moved"], then["updated"], then["removed"]) == (1, 3, 1)
    assert_same(plain, spread)


def test_ctrl_c_ends_a_run_and_the_ray_that_it_started(
    milvus_server: str, root: Path, tmp_path: Path
) -> None:
    index = Index(milvus_server, "stopped", tmp_path, *on_ray("local"), "--batch-size", "2")
    with indexing(index, root) as process:
        parts = below(process.pid, "raylet")
        assert parts
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 1
    assert json.loads(out.splitlines()[-1])["interrupted"]
    assert "run the same command again" in err
    assert not any("raylet" in title(pid) for pid in parts)


def title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


class Deadly(FakeEncoder):
    """Ends its process when it looks at a black picture."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        if any(not np.asarray(image).any() for image in images):
            os._exit(1)
        return super().encode_images(images)


def test_a_picture_that_ends_every_worker_is_skipped_alone(
    cluster: str, paint: Callable[..., Path], store: MemoryStore
) -> None:
    for number in range(11):
        paint(f"{number:02}.png")
    deadly = paint("deadly.png")
    Image.new("RGB", (40, 30)).save(deadly)
    options = RayOptions(cluster, 2, False, None, 10**6, 10**7)
    workers = RayWorkers(options, Deadly, lambda ready: None, lambda line: None)
    with contextlib.closing(workers):
        done = index_library(Folder(deadly.parent), store, workers, PipelineOptions())
    assert [(skip.path, skip.reason) for skip in done.skipped] == [
        (str(deadly), "its worker died each time that it was opened")
    ]
    assert (done.added, len(store.held)) == (11, 11)


def load_what_is_not_there() -> FakeEncoder:
    raise AssertionError("it is not loaded here")


def test_a_machine_without_the_program_is_told(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name that the workers cannot import, as where the program is not installed.
    monkeypatch.setattr(load_what_is_not_there, "__module__", "not_installed")
    monkeypatch.setitem(sys.modules, "not_installed", sys.modules[__name__])
    options = RayOptions(cluster, 1, False, None, 10**6, 10**7)
    workers = RayWorkers(options, load_what_is_not_there, lambda ready: None, lambda line: None)
    with (
        contextlib.closing(workers),
        pytest.raises(WorkersFailed, match=r"cannot start \(ModuleNotFoundError: .*not_installed"),
    ):
        workers.begin()


def test_what_is_wrong_is_told_in_one_line(cluster: str, root: Path, tmp_path: Path) -> None:
    def line(*options: str, **environment: str) -> str:
        ran = run("index-folder", root, *options, data=tmp_path / "data", **environment)
        assert (ran.code, ran.out) == (1, "")
        return ran.line

    nobody = f"127.0.0.1:{free_port()}"
    assert line(*SAMPLE, "--ray", nobody) == (
        f"index-folder: no Ray cluster answers at {nobody} (Connection refused); start one with "
        "ray start --head, or use --ray local"
    )
    (tmp_path / "without" / "ray").mkdir(parents=True)
    (tmp_path / "without" / "ray" / "__init__.py").write_text("raise ImportError\n")
    path = f"{tmp_path / 'without'}{os.pathsep}{ROOT}"
    assert "pip install 'text-image-search[ray]'" in line(*SAMPLE, "--ray", PYTHONPATH=path)
    broken = ("--model", "ViT-B/32", "--pretrained", str(root / "damaged.jpg"))
    assert line(*broken, "--ray", cluster) == line(*broken)
