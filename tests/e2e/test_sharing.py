"""Several programs at once: writers take turns, and a watched folder is followed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from filelock import FileLock
from support import BIN, ROOT, run

GIVE_UP_S = 180

# index-folder with a model that needs no weights and takes a minute for its second batch.
SLOW_MODEL = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
from fakes import FakeEncoder
import embeddings.load
class Slow(FakeEncoder):
    def encode_images(self, images):
        if self.batches:
            time.sleep(1)  # the first batch is handed to the store
            print("the long batch", file=sys.stderr, flush=True)
            time.sleep(60)
        return super().encode_images(images)
embeddings.load.load_encoder = lambda *args, **kwargs: Slow(batch_size=2)
from indexer.cli import main
sys.exit(main())
"""


@pytest.fixture
def few(library: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "few"
    (folder / "lemon").mkdir(parents=True)
    for path in sorted((library / "lemon").iterdir())[:5]:
        shutil.copy(path, folder / "lemon")
    return folder


def popen(*command: object, data: Path) -> "subprocess.Popen[str]":
    """Start a command that Ctrl+C reaches; one that hangs is killed after a while."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    watchdog = threading.Timer(GIVE_UP_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    return process


def start(folder: Path, data: Path, *options: str) -> "subprocess.Popen[str]":
    return popen(BIN / "index-folder", folder, "--model", "sample", *options, data=data)


def read_until(stream: IO[str] | None, words: str) -> str:
    assert stream is not None
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"{words!r} never came")


def images(data: Path) -> int:
    stats = json.loads(run("image-search", "stats", "--json", data=data).out)
    return int(stats["images"])


def test_the_second_indexer_waits_and_says_for_whom(few: Path, data: Path) -> None:
    data.mkdir()
    with FileLock(data / "milvus.db.lock"):
        (data / "milvus.db.lock.holder").write_text("4711")
        second = start(few, data)
        assert "process 4711 is indexing" in read_until(second.stderr, "waiting for it to finish")
    with second:
        read_until(second.stderr, "5 added")
        assert second.wait(60) == 0
    assert images(data) == 5


def test_ctrl_c_does_not_wait_for_a_long_batch(few: Path, data: Path) -> None:
    with popen(sys.executable, "-c", SLOW_MODEL, ROOT / "tests", few, "--json", data=data) as slow:
        read_until(slow.stderr, "the long batch")
        slow.send_signal(signal.SIGINT)
        assert slow.wait(30) == 1
        assert slow.stdout is not None
        report = json.loads(slow.stdout.read())
        assert "stopped early" in read_until(slow.stderr, "2 added")
    assert (report["interrupted"], report["added"]) == (True, 2)
    assert images(data) == 2


def test_a_watched_folder_is_followed(few: Path, library: Path, data: Path) -> None:
    with start(few, data, "--watch") as watcher:
        read_until(watcher.stderr, "5 added")
        read_until(watcher.stderr, "watching for changes")
        time.sleep(1)  # the watch itself begins after it was announced
        shutil.copytree(library / "apple", few / "apple")
        changed = time.monotonic()
        read_until(watcher.stderr, "30 added")
        assert time.monotonic() - changed < 30
        assert images(data) == 35
        shutil.rmtree(few / "lemon")
        read_until(watcher.stderr, "5 removed")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(30) == 0
    assert images(data) == 30


def test_one_library_of_two_is_dropped(few: Path, library: Path, data: Path) -> None:
    ran = run("index-folder", few, library / "apple", "--model", "sample", data=data)
    assert ran.code == 0, ran.err
    assert images(data) == 35
    ran = run("image-search", "drop", "--library", few, "--yes", data=data)
    assert (ran.code, "removed 5 pictures" in ran.err) == (0, True)
    assert images(data) == 30
    ran = run("image-search", "drop", "--library", few, "--yes", data=data)
    assert (ran.code, "nothing of" in ran.line) == (1, True)
    # What is left is still known, and what was dropped comes back when it is indexed again.
    ran = run("index-folder", few, library / "apple", "--model", "sample", "--json", data=data)
    report = json.loads(ran.out)
    assert (report["added"], report["unchanged"]) == (5, 30)
