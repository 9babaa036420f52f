import io
import os
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from PIL import Image

from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
from indexer.caption import Weights
from indexer.downloads import Downloads
from indexer.errors import NothingFound
from indexer.fetch import Limits
from indexer.manifest import Manifest
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport, total
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.source import Source
from indexer.thumbnailing import Thumbnailing
from webapp.dropping import drop
from webapp.media import Thumbnails

Paint = Callable[..., Path]


def hash_of(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


class Library:
    """A folder that is indexed with thumbnails, into a store in memory."""

    def __init__(self, root: Path, store: MemoryStore, data: Path) -> None:
        self.root = root
        self.store = store
        self.folder = ThumbnailFolder(data / "thumbnails")
        self.leftovers = Leftovers(self.folder, "store")
        self.makes = True
        self.snapshots = Snapshots(data / "snapshots", "store")
        self.encoder = FakeEncoder()

    def index(
        self,
        source: Source | None = None,
        keep_missing: bool = False,
        on_progress: Callable[[IndexReport], None] = lambda report: None,
    ) -> IndexReport:
        return index_library(
            source or Folder(self.root),
            self.store,
            lambda: self.encoder,
            PipelineOptions(keep_missing=keep_missing),
            on_progress,
            self.snapshots,
            Thumbnailing(self.folder, self.leftovers, makes=self.makes),
        )

    def kept(self) -> set[str]:
        """Hashes of the thumbnails that are there."""
        return {path.stem for path in self.folder.folder.rglob("*.webp")}

    def others(self) -> list[Path]:
        """What is in the folder beside thumbnails."""
        files = (path for path in self.folder.folder.rglob("*") if path.is_file())
        return [path for path in files if path.suffix != ".webp"]

    def pictures(self) -> set[str]:
        """Hashes of the files that are there."""
        return {hash_of(path) for path in self.root.rglob("*.png")}


@pytest.fixture
def library(paint: Paint, store: MemoryStore, tmp_path: Path) -> Library:
    first = paint("red/a.png", "red", (800, 600))
    paint("green/b.png", "green")
    paint("green/c.png", "lime", (30, 500))
    return Library(first.parent.parent, store, tmp_path / "data")


def test_indexing_makes_them_and_leaves_nothing_else_behind(library: Library) -> None:
    report = library.index()
    assert report.added == 3
    assert library.kept() == library.pictures()
    assert library.others() == []
    sizes = {}
    for path in library.root.rglob("*.png"):
        with Image.open(library.folder.path(hash_of(path))) as image:
            sizes[path.stem] = (image.format, image.size)
    assert sizes == {"a": ("WEBP", (384, 288)), "b": ("WEBP", (40, 30)), "c": ("WEBP", (23, 384))}


def test_an_unchanged_library_looks_at_no_thumbnail(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    shutil.rmtree(library.folder.folder)

    def refuse(self: object, content_hash: object) -> Path:
        raise AssertionError("a thumbnail was looked at")

    monkeypatch.setattr(ThumbnailFolder, "path", refuse)
    monkeypatch.setattr(MemoryStore, "held_hashes", refuse)
    assert library.index().unchanged == 3


def test_copies_share_one_until_the_last_is_gone(library: Library, tmp_path: Path) -> None:
    library.index()
    red = library.root / "red/a.png"
    key = hash_of(red)
    other = tmp_path / "other"
    shutil.copytree(library.root / "red", other)
    shutil.copy(red, library.root / "copy.png")
    library.index()
    library.index(Folder(other))
    made = library.folder.path(key).stat().st_mtime_ns
    red.unlink()
    assert library.index().removed == 1
    (library.root / "copy.png").unlink()
    assert library.index().removed == 1  # the other library still has it
    assert library.folder.path(key).stat().st_mtime_ns == made
    shutil.copy(library.root / "green/b.png", other / "a.png")
    assert library.index(Folder(other)).updated == 1
    assert key not in library.kept()
    assert library.kept() == library.pictures()
    assert library.others() == []


def test_moved_and_touched_pictures_keep_theirs(library: Library) -> None:
    library.index()
    before = library.kept()
    (library.root / "red/a.png").rename(library.root / "moved.png")
    os.utime(library.root / "green/b.png")
    report = library.index()
    assert (report.moved, report.removed) == (1, 0)
    assert library.kept() == before


def test_replaced_pictures_get_another(library: Library, paint: Paint) -> None:
    library.index()
    old = hash_of(library.root / "red/a.png")
    paint("red/a.png", "blue", (50, 50))
    assert library.index().updated == 1
    assert old not in library.kept()
    assert library.kept() == library.pictures()


def test_pictures_that_are_kept_though_missing_keep_theirs(library: Library) -> None:
    library.index()
    before = library.kept()
    (library.root / "red/a.png").unlink()
    library.index(keep_missing=True)
    assert library.kept() == before
    library.index()
    assert library.kept() == library.pictures()
    assert len(library.kept()) == 2


def test_a_picture_overwritten_with_rubbish_loses_its_own(library: Library) -> None:
    library.index()
    old = hash_of(library.root / "red/a.png")
    (library.root / "red/a.png").write_bytes(b"rubbish")
    library.index()
    assert old not in library.kept()
    assert len(library.kept()) == 2


def test_an_empty_folder_loses_none(library: Library) -> None:
    library.index()
    before = library.kept()
    for folder in ("red", "green"):
        shutil.rmtree(library.root / folder)
    with pytest.raises(NothingFound):
        library.index()
    assert library.kept() == before


def test_what_a_run_that_was_cut_short_made_is_swept_by_the_next(
    library: Library, paint: Paint
) -> None:
    library.index()
    late = paint("late/d.png", "blue", (60, 60))
    key = hash_of(late)

    class Failing(FakeEncoder):
        def encode_images(self, images: object) -> np.ndarray:
            raise RuntimeError("the device went away")

    library.encoder = Failing()
    with pytest.raises(RuntimeError, match="went away"):
        library.index()
    assert key in library.kept()
    old = library.folder.path(key).with_name("tmpabc.part")
    old.write_bytes(b"half")
    os.utime(old, (1, 1))
    young = old.with_name("tmpdef.part")
    young.write_bytes(b"of a page that is just writing it")
    late.unlink()
    library.encoder = FakeEncoder()
    assert library.index().unchanged == 3
    assert library.kept() == library.pictures()
    assert library.others() == [young]


def test_ctrl_c_leaves_it_to_the_run_that_completes_it(library: Library) -> None:
    def stop(report: IndexReport) -> None:
        raise KeyboardInterrupt

    assert library.index(on_progress=stop).interrupted
    shutil.rmtree(library.root / "red")
    library.index()
    assert library.kept() == library.pictures()
    assert library.others() == []


@pytest.mark.parametrize("lost", ["a row deleted", "nothing yet"])
def test_a_run_killed_before_it_deleted_any_is_completed(library: Library, lost: str) -> None:
    library.index()
    (library.root / "red/a.png").unlink()
    key = next(row for row in library.store.rows() if row.category == "red")
    library.leftovers.note([key.content_hash])
    if lost == "a row deleted":
        library.store.delete([key.m_id])
        library.store.set_token(str(library.root), "")
    library.index()
    assert library.kept() == library.pictures()
    assert library.leftovers.noted() == set()


def test_a_missing_one_is_made_by_the_page_and_none_of_a_file_that_is_gone(
    library: Library,
) -> None:
    library.index()
    shutil.rmtree(library.folder.folder)
    page = Thumbnails(library.folder.folder, 10_000_000)
    row = next(row for row in library.store.rows() if row.category == "red")
    with Image.open(io.BytesIO(page.kept(row) or page.made(row))) as image:
        assert image.size == (384, 288)
    assert library.kept() == {row.content_hash}


def test_without_thumbnails_none_are_made_and_those_of_lost_pictures_go(library: Library) -> None:
    library.makes = False
    library.index()
    assert library.kept() == set()
    page = Thumbnails(library.folder.folder, 10_000_000)
    for row in library.store.rows():
        (page.kept(row) or page.made(row))
    assert len(library.kept()) == 3
    (library.root / "red/a.png").unlink()
    library.index()
    assert library.kept() == library.pictures()


def refuse_to_make(folder: Path) -> None:
    """A file where the folder would be: nobody can write below it, not even root."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"")


def test_a_place_that_cannot_be_written_stops_nothing_and_is_told_once(
    library: Library, tmp_path: Path
) -> None:
    refuse_to_make(library.folder.folder)
    report = library.index()
    assert (report.added, report.skipped) == (3, [])
    (problem,) = report.problems
    assert problem.startswith(f"thumbnails cannot be kept in {library.folder.folder} (")
    assert problem in report.as_text()
    assert total([report, report]).problems == [problem]
    row = next(iter(library.store.rows()))
    assert Thumbnails(library.folder.folder, 10_000_000).made(row)[:4] == b"RIFF"
    (library.root / "red/a.png").unlink()
    assert library.index().removed == 1


def test_a_full_disk_is_told_and_leaves_no_half_of_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    library.snapshots = Snapshots(library.root / "nowhere", "store")
    report = library.index()
    assert report.added == 3
    assert "(No space left on device); the page makes them" in report.problems[0]
    assert library.kept() == set()
    assert library.others() == []


def test_thumbnails_that_cannot_be_deleted_are_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    (library.root / "red/a.png").unlink()

    def denied(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    report = library.index()
    assert report.removed == 1
    assert "cannot be deleted in" in report.problems[0]
    assert "(Permission denied)" in report.problems[0]


@pytest.fixture
def dropped(library: Library, tmp_path: Path) -> Iterator[Library]:
    """Two libraries that have a picture in common; what is left then has its thumbnails."""
    other = tmp_path / "other"
    shutil.copytree(library.root / "red", other)
    Image.new("RGB", (9, 9)).save(other / "own.png")
    library.index()
    library.index(Folder(other))
    assert len(library.kept()) == 4
    library.leftovers.note(["abc"])
    library.folder.write("abc", b"an orphan")
    yield library
    assert library.kept() == {row.content_hash for row, _ in library.store.held.values()}
    assert library.others() == []


def test_a_library_that_is_dropped_takes_its_own_along(dropped: Library, tmp_path: Path) -> None:
    drop(dropped.store, str(tmp_path / "other"), dropped.leftovers)
    assert dropped.kept() == dropped.pictures()


def test_a_collection_that_is_dropped_takes_all_along(dropped: Library) -> None:
    drop(dropped.store, None, dropped.leftovers)
    assert dropped.kept() == set()


def test_a_manifests_pictures_have_them_too(library: Library, tmp_path: Path) -> None:
    path = library.root / "photos.csv"
    path.write_text("path,caption\nred/a.png,one\ngreen/b.png,two\n")
    manifest = Manifest(path, Downloads(tmp_path / "downloads", Limits()), Weights(0.7, 0.3))
    assert library.index(manifest).added == 2
    a, b = hash_of(library.root / "red/a.png"), hash_of(library.root / "green/b.png")
    assert library.kept() == {a, b}
    path.write_text("path,caption\nred/a.png,another\n")
    manifest = Manifest(path, Downloads(tmp_path / "downloads", Limits()), Weights(0.7, 0.3))
    assert library.index(manifest).removed == 1
    assert library.kept() == {a}
