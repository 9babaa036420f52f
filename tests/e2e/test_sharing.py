"""Several programs at once: writers take turns, and a watched folder is followed."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest
from filelock import FileLock
from support import BIN, run


@pytest.fixture
def few(library: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "few"
    (folder / "lemon").mkdir(parents=True)
    for path in sorted((library / "lemon").iterdir())[:5]:
        shutil.copy(path, folder / "lemon")
    return folder


def start(folder: Path, data: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / "index-folder", folder, "--model", "sample", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


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
