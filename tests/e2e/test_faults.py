"""A page killed while a visitor indexes, a data folder that may not be written, and photos that
nothing ever changes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import servers
from killing import PICTURES
from page_killing import page_scene
from small_disk import CAN_MOUNT, SmallDisk
from support import BIN, run

GIVE_UP_S = 240
WITHOUT_RIGHTS = ("/usr/bin/setpriv", "--bounding-set=-dac_override", "--")


def report_of(*command: object, data: Path) -> dict[str, Any]:
    ran = run("index-folder", *command, "--model", "sample", "--json", data=data)
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads(ran.out)
    return report


def test_a_page_killed_while_a_visitor_indexes(tmp_path: Path) -> None:
    scene = page_scene(tmp_path, str(tmp_path / "milvus.db"), seed=5)
    assert scene.kill_when(lambda state, _: state["done"] >= 10)
    scene.whole_run()
    assert scene.check() == PICTURES
    doctor = run("image-search", "doctor", "--milvus-uri", scene.uri, data=scene.data)
    assert "PROBLEM" not in doctor.out, doctor.out
    assert "all there" in doctor.out


@pytest.fixture
def some(library: Path, tmp_path: Path) -> Path:
    """A few pictures of the library."""
    folder = tmp_path / "some"
    for category in ("lemon", "apple"):
        (folder / category).mkdir(parents=True)
        for path in sorted((library / category).iterdir())[:5]:
            shutil.copy2(path, folder / category)
    return folder


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """Makes ``tmp_path/disk`` a place that may only be read, for root too; or not."""
    folder = tmp_path / "disk"
    if CAN_MOUNT:
        disk = SmallDisk(folder, 96)
        yield disk.only_read
        disk.only_read(False)
        disk.unmount()
        return

    def only_read(yes: bool) -> None:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222 if yes else path.stat().st_mode | 0o200)

    folder.mkdir()
    yield only_read
    only_read(False)


def test_a_data_folder_that_may_only_be_read(
    some: Path, tmp_path: Path, locked: Callable[[bool], None]
) -> None:
    data = tmp_path / "disk" / "data"
    assert report_of(some, data=data)["added"] == 10
    labels = tmp_path / "labels"
    labels.write_text("lemon\napple\n")
    locked(True)
    # Root without the right to mount, as in many containers, may write everywhere but for this.
    as_others = WITHOUT_RIGHTS if os.geteuid() == 0 and not CAN_MOUNT else ()
    for command in (
        ("index-folder", some, "--model", "sample"),
        ("image-search", "search", "lemon"),
        ("image-search", "label", "--labels", labels, "--write"),
        ("image-search", "drop", "--yes"),
        ("image-search", "stats"),
    ):
        ran = run(*as_others, BIN / command[0], *command[1:], data=data)
        assert ran.code == 1, (command, ran)
        assert str(data) in ran.line
        assert any(why in ran.line.lower() for why in ("read-only", "permission denied")), ran.line
    doctor = run(*as_others, BIN / "image-search", "doctor", data=data)
    assert doctor.code == 1
    assert "PROBLEM store: cannot be used" in doctor.out
    locked(False)
    assert report_of(some, data=data)["unchanged"] == 10


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Everything about a folder's files that a program could change; when they were read, not."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (content, about.st_mtime_ns, about.st_mode, about.st_ino)
    return found


def test_nothing_ever_changes_the_photos(some: Path, data: Path, tmp_path: Path) -> None:
    (some / "lemon" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    next(iter((some / "apple").iterdir())).chmod(0o444)
    labels = tmp_path / "labels"
    labels.write_text("lemon\napple\n")
    before = state_of(some)
    assert report_of(some, data=data)["added"] == 10
    shutil.rmtree(data / "thumbnails")  # so that the page makes them
    with servers() as start, httpx.Client(timeout=GIVE_UP_S) as visitor:
        address = start(data)
        hits = visitor.get(f"{address}/api/search", params={"q": "lemon"}).json()["hits"]
        assert len(hits) == 10
        for hit in hits:
            assert visitor.get(address + hit["thumbnail_url"]).status_code == 200
            assert visitor.get(address + hit["image_url"]).content == Path(hit["path"]).read_bytes()
    for command in (
        ("image-search", "label", "--labels", labels, "--write"),
        ("image-search", "search", "--like", hits[0]["path"]),
        ("image-search", "doctor"),
    ):
        assert run(*command, data=data).code == 0, command
    watch_for_a_moment(some, data)
    assert run("image-search", "drop", "--yes", data=data).code == 0
    assert state_of(some) == before


def watch_for_a_moment(folder: Path, data: Path) -> None:
    process = subprocess.Popen(
        [BIN / "index-folder", folder, "--model", "sample", "--watch"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
        # One that was started in the background ignores Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stderr is not None
        assert any("watching for changes" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
