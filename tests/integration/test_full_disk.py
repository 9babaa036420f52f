"""A disk that fills up while a store, thumbnails, snapshots or downloads are written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import RECORD
from killing import Scene, heard, scene
from picture_server import serving
from small_disk import CAN_MOUNT, SmallDisk, files_up_to

from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
from indexer.downloads import Downloads
from indexer.errors import IndexingError
from indexer.fetch import Limits
from indexer.snapshot import Snapshots
from indexer.thumbnailing import Thumbnailing
from milvus import lite_files
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.errors import StoreUnwritable

# Enough to begin, and not for the rows of 300 pictures.
ROOM = 30_000
KINDS = ["limit", "disk"] if CAN_MOUNT else ["limit"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk", 96)
    yield made
    made.unmount()


def run_without_room(at: Scene, disk: SmallDisk | None) -> None:
    """An indexer that meets the end of the disk, or of what a file may hold."""
    if disk is not None:
        disk.leave(ROOM)
        with at.start(TEST_ROOM_BYTES="0") as process:
            assert not heard(process).done
        disk.free()
    else:
        with files_up_to(ROOM), at.start() as process:
            assert not heard(process).done


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_keeps_what_it_had_and_one_more_run_makes_it_whole(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    disk = request.getfixturevalue("disk") if kind == "disk" else None
    uri = (disk.folder if disk else tmp_path) / "milvus.db"
    at = scene(tmp_path, str(uri), seed=17)
    at.whole_run()
    before = at.check()
    at.draw(300, first=300)
    run_without_room(at, disk)
    assert "milvus.errors.StoreUnwritable: the store " in at.said()
    connection = Connection(str(uri))
    assert MilvusCollection(connection).count() >= before
    connection.close()
    at.whole_run()
    assert at.check() == before + 300


def test_a_store_is_not_begun_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MilvusCollection(Connection(str(tmp_path / "milvus.db")))
    store.prepare(RECORD)
    monkeypatch.setattr(lite_files, "ROOM_BYTES", 10**18)
    with pytest.raises(StoreUnwritable, match=r"no space left but .* needed; make room"):
        store.flush()
    store.close()


def test_a_snapshot_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots", "store")
    rows = {number: (number, number, 0) for number in range(1000)}
    with files_up_to(4000):
        assert snapshots.save("/l", rows) == ""
    assert list((tmp_path / "snapshots").iterdir()) == []
    token = snapshots.save("/l", rows)
    assert snapshots.load("/l", token) == rows
    assert len(list((tmp_path / "snapshots").iterdir())) == 1


def test_thumbnails_that_cannot_be_kept_are_told_once_and_leave_nothing(tmp_path: Path) -> None:
    folder = ThumbnailFolder(tmp_path / "thumbnails")
    thumbnails = Thumbnailing(folder, Leftovers(folder, "store"))
    thumbnails.begin()
    with files_up_to(2000):
        thumbnails.keep("ab12", bytes(5000))
        assert not thumbnails.is_wanted("cd34")
    assert "thumbnails cannot be kept" in thumbnails.problem
    assert [path for path in folder.folder.rglob("*") if path.suffix in (".part", ".webp")] == []
    thumbnails.begin()
    assert thumbnails.is_wanted("ab12")
    thumbnails.keep("ab12", bytes(5000))
    assert folder.path("ab12").is_file()


def test_a_download_that_cannot_be_kept_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    with serving() as server:
        url = server.url("picture/red")
        downloads = Downloads(tmp_path / "downloads", Limits(allow_private=True))
        with files_up_to(20), pytest.raises(IndexingError, match="cannot keep downloads in"):
            downloads.picture(url)
        assert [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()] == []
        assert downloads.picture(url).stat().st_size > 20


def test_downloads_that_a_kill_left_half_done_are_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    old, new = folder / "old.part", folder / "new.part"
    for partial in (old, new):
        partial.write_bytes(b"half")
    os.utime(old, (0, 0))
    with serving() as server:
        downloads = Downloads(folder, Limits(allow_private=True))
        assert downloads.picture(server.url("picture/red")).is_file()
    assert (old.exists(), new.exists()) == (False, True)
