import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from PIL import Image

from embeddings.encoder import Embeddings
from embeddings.errors import DeviceFailed
from indexer.errors import NothingFound
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport, followed_by, total
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.source import Skipped

Paint = Callable[..., Path]


class Library:
    """A folder of painted pictures, indexed into a store in memory."""

    def __init__(self, root: Path, store: MemoryStore, encoder: FakeEncoder) -> None:
        self.root = root
        self.store = store
        self.encoder = encoder
        self.snapshots: Snapshots | None = None
        self.write_batch = 50

    def index(
        self,
        on_progress: Callable[[IndexReport], None] = lambda report: None,
        keep_missing: bool = False,
    ) -> IndexReport:
        options = PipelineOptions(write_batch=self.write_batch, keep_missing=keep_missing)
        return index_library(
            Folder(self.root),
            self.store,
            lambda: self.encoder,
            options,
            on_progress,
            self.snapshots,
        )

    def held(self) -> dict[str, str]:
        """Category by path below the root, as the store has it."""
        rows = self.store.rows()
        return {str(Path(row.path).relative_to(self.root)): row.category for row in rows}


@pytest.fixture(params=["without a snapshot", "with a snapshot"])
def library(
    request: pytest.FixtureRequest,
    paint: Paint,
    store: MemoryStore,
    encoder: FakeEncoder,
    tmp_path: Path,
) -> Library:
    first = paint("red/a.png")
    paint("green/b.png", "green")
    paint("green/c.png", "lime")
    library = Library(first.parent.parent, store, encoder)
    if request.param == "with a snapshot":
        library.snapshots = Snapshots(tmp_path / "snapshots", "store")
    return library


def counts(report: IndexReport) -> dict[str, int]:
    names = ("found", "added", "updated", "moved", "removed", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_everything_is_indexed_and_flushed_once(library: Library) -> None:
    report = library.index()
    assert counts(report) == {"found": 3, "added": 3}
    assert library.held() == {"red/a.png": "red", "green/b.png": "green", "green/c.png": "green"}
    assert library.store.flushes == 1
    row = next(row for row in library.store.rows() if row.category == "red")
    assert (row.width, row.height, row.library) == (40, 30, str(library.root))


def test_a_second_run_adds_nothing_and_encodes_nothing(library: Library) -> None:
    library.index()
    before = dict(library.store.held)
    library.encoder.batches.clear()
    assert counts(library.index()) == {"found": 3, "unchanged": 3}
    assert library.encoder.batches == []
    assert library.store.flushes == 1
    assert library.store.held.keys() == before.keys()


def test_batches_of_the_encoder_and_of_the_store(library: Library, paint: Paint) -> None:
    for number in range(120):
        paint(f"many/{number:03}.png", "blue", (20 + number, 30))
    library.index()
    assert library.store.writes == [50, 50, 23]
    assert library.encoder.batches == [4] * 30 + [3]


def test_changed_files_are_replaced(library: Library, paint: Paint) -> None:
    library.index()
    paint("red/a.png", "blue", (50, 50))
    report = library.index()
    assert counts(report) == {"found": 3, "updated": 1, "unchanged": 2}
    row = next(row for row in library.store.rows() if row.category == "red")
    assert (row.width, row.height) == (50, 50)
    assert len(library.held()) == 3


def test_touched_files_are_read_once_more_and_then_left_alone(library: Library) -> None:
    library.index()
    library.encoder.batches.clear()
    os.utime(library.root / "red/a.png")
    assert counts(library.index()) == {"found": 3, "unchanged": 3}
    assert library.store.writes[-1] == 1  # the new time was noted
    writes = len(library.store.writes)
    library.index()
    assert len(library.store.writes) == writes
    assert library.encoder.batches == []


def test_moved_files_keep_their_embedding(library: Library) -> None:
    library.index()
    library.encoder.batches.clear()
    (library.root / "new").mkdir()
    (library.root / "red/a.png").rename(library.root / "new/renamed.png")
    assert counts(library.index()) == {"found": 3, "moved": 1, "unchanged": 2}
    assert library.held()["new/renamed.png"] == "new"
    assert "red/a.png" not in library.held()
    assert library.encoder.batches == []


def assert_every_embedding_is_fresh(library: Library) -> None:
    for row, embedding in library.store.held.values():
        with Image.open(row.path) as image:
            (fresh,) = FakeEncoder().encode_images([image])
        np.testing.assert_allclose(embedding, fresh, atol=1e-6, err_msg=row.path)


def test_two_pictures_that_swap_names_swap_embeddings(library: Library) -> None:
    library.index()
    a, b = library.root / "red/a.png", library.root / "green/b.png"
    a.rename(library.root / "c.tmp")
    b.rename(a)
    (library.root / "c.tmp").rename(b)
    library.write_batch = 1  # the first is in the store when the second is looked at
    assert counts(library.index()) == {"found": 3, "updated": 2, "unchanged": 1}
    assert_every_embedding_is_fresh(library)


def test_renumbered_pictures_keep_their_own_embeddings(library: Library, paint: Paint) -> None:
    for number in range(60):
        paint(f"many/{number:03}.png", f"rgb({number * 4}, {255 - number * 4}, 90)")
    library.index()
    for number in reversed(range(60)):
        path = library.root / f"many/{number:03}.png"
        path.rename(library.root / f"many/{number + 1:03}.png")
    paint("many/000.png", "blue")
    library.write_batch = 1
    library.index()
    assert len(library.held()) == 64
    assert_every_embedding_is_fresh(library)


def test_copies_share_an_embedding(library: Library) -> None:
    library.index()
    library.encoder.batches.clear()
    shutil.copy(library.root / "red/a.png", library.root / "copy.png")
    assert counts(library.index()) == {"found": 4, "added": 1, "unchanged": 3}
    assert library.encoder.batches == []
    assert library.held()["copy.png"] == ""


def test_one_file_moved_to_two_places_is_moved_once(library: Library) -> None:
    library.index()
    for name in ("one.png", "two.png"):
        shutil.copy(library.root / "red/a.png", library.root / name)
    (library.root / "red/a.png").unlink()
    report = library.index()
    assert counts(report) == {"found": 4, "added": 1, "moved": 1, "unchanged": 2}
    assert len(library.held()) == 4


def test_vanished_files_are_removed(library: Library) -> None:
    library.index()
    (library.root / "red/a.png").unlink()
    assert counts(library.index()) == {"found": 2, "removed": 1, "unchanged": 2}
    assert sorted(library.held()) == ["green/b.png", "green/c.png"]


def test_vanished_files_are_kept_when_asked_and_removed_by_a_later_run(library: Library) -> None:
    library.index()
    (library.root / "red/a.png").unlink()
    assert counts(library.index(keep_missing=True)) == {"found": 2, "unchanged": 2}
    assert len(library.held()) == 3
    assert counts(library.index()) == {"found": 2, "removed": 1, "unchanged": 2}
    assert len(library.held()) == 2


def test_an_unchanged_library_with_a_snapshot_reads_no_rows(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.snapshots = Snapshots(tmp_path / "snapshots", "store")
    library.index()
    library.index()

    def refuse(self: object, library: str | None = None) -> None:
        raise AssertionError("the rows were read")

    monkeypatch.setattr(MemoryStore, "rows", refuse)
    assert counts(library.index()) == {"found": 3, "unchanged": 3}


@pytest.mark.parametrize("damage", ["other token", "truncated", "missing", "another store"])
def test_a_snapshot_that_is_not_the_stores_is_passed_over(
    library: Library, tmp_path: Path, damage: str
) -> None:
    library.snapshots = Snapshots(tmp_path / "snapshots", "store")
    library.index()
    (file,) = (tmp_path / "snapshots").iterdir()
    if damage == "other token":
        library.store.set_token(str(library.root), "")  # as a run that was killed leaves it
        library.store.delete([next(iter(library.store.held))])
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "missing":
        file.unlink()
    else:
        library.snapshots = Snapshots(tmp_path / "snapshots", "other")
    report = library.index()
    assert report.added == (1 if damage == "other token" else 0)
    assert len(library.held()) == 3
    assert library.index().unchanged == 3


def test_an_empty_folder_removes_nothing(library: Library) -> None:
    library.index()
    for folder in ("red", "green"):
        shutil.rmtree(library.root / folder)
    with pytest.raises(NothingFound, match="no picture in"):
        library.index()
    assert len(library.held()) == 3


@pytest.mark.parametrize("bytes_", [b"", b"no picture"])
def test_a_bad_file_is_named_and_stops_nothing(library: Library, bytes_: bytes) -> None:
    (library.root / "red/bad.jpg").write_bytes(bytes_)
    report = library.index()
    assert counts(report) == {"found": 4, "added": 3}
    assert [Path(s.path).name for s in report.skipped] == ["bad.jpg"]
    assert "bad.jpg" in report.as_text()


def test_a_picture_that_was_overwritten_with_rubbish_is_no_longer_found(library: Library) -> None:
    library.index()
    (library.root / "red/a.png").write_bytes(b"rubbish")
    report = library.index()
    assert (report.removed, len(report.skipped)) == (1, 1)
    assert "red/a.png" not in library.held()


def test_places_that_cannot_be_listed_keep_their_pictures(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    real = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("/red"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    report = library.index()
    assert report.removed == 0
    assert [s.reason for s in report.skipped] == ["cannot be listed: Permission denied"]
    assert "red/a.png" in library.held()


def test_a_file_that_cannot_be_read_keeps_its_picture(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    os.utime(library.root / "red/a.png")

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    report = library.index()
    assert [s.reason for s in report.skipped] == ["cannot be read: Permission denied"]
    assert (report.removed, len(library.held())) == (0, 3)


def test_libraries_live_side_by_side(library: Library, tmp_path: Path) -> None:
    library.index()
    other = tmp_path / "other"
    shutil.copytree(library.root, other)
    index_library(Folder(other), library.store, lambda: library.encoder, PipelineOptions())
    assert library.store.count() == 6
    shutil.rmtree(other / "red")
    index_library(Folder(other), library.store, lambda: library.encoder, PipelineOptions())
    assert library.store.count() == 5


def test_ctrl_c_keeps_what_is_done_and_the_next_run_completes_it(
    library: Library, paint: Paint
) -> None:
    for number in range(30):
        paint(f"many/{number:03}.png", "blue", (20 + number, 30))

    def stop(report: IndexReport) -> None:
        if report.added == 8:
            raise KeyboardInterrupt

    report = library.index(stop)
    assert report.interrupted
    assert "stopped early" in report.as_text()
    assert 8 <= library.store.count() < 33
    assert library.store.flushes == 1
    library.index()
    assert len(library.held()) == 33


def test_an_error_of_the_store_ends_the_run(library: Library) -> None:
    def refuse(rows: object, embeddings: object) -> None:
        raise ConnectionError("the store went away")

    library.store.upsert = refuse  # type: ignore[method-assign]
    with pytest.raises(ConnectionError, match="went away"):
        library.index()


def test_the_report_as_json_and_the_sum_of_two() -> None:
    one = IndexReport(found=2, added=1, skipped=[Skipped("/a\udcff\n", "why")], seconds=1.0)
    both = total([one, IndexReport(found=1, unchanged=1, model_id="m", interrupted=True)])
    assert both.as_json() == {
        "found": 3,
        "added": 1,
        "updated": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 1,
        "skipped": [{"path": "/a\\udcff\\n", "reason": "why"}],
        "seconds": 1.0,
        "model_id": "m",
        "interrupted": True,
    }


def test_runs_that_follow_each_other_add_up_their_work_and_not_their_state() -> None:
    first = IndexReport(found=3, added=2, skipped=[Skipped("a", "why")])
    later = IndexReport(found=4, added=1, unchanged=2, skipped=[Skipped("a", "why")])
    both = followed_by(first, later)
    assert counts(both) == {"found": 4, "added": 3, "unchanged": 2}
    assert len(both.skipped) == 1


def test_what_others_noted_stays_with_an_embedding(library: Library) -> None:
    library.index()
    held = library.store.held
    for key, (row, vector) in list(held.items()):
        held[key] = (replace(row, extras={"label": Path(row.path).stem}), vector)
    (library.root / "red/a.png").rename(library.root / "moved.png")
    shutil.copy(library.root / "green/b.png", library.root / "copy.png")
    os.utime(library.root / "green/c.png")
    assert counts(library.index()) == {"found": 4, "added": 1, "moved": 1, "unchanged": 2}
    labels = {Path(row.path).name: row.extras["label"] for row in library.store.rows()}
    assert labels == {"moved.png": "a", "copy.png": "b", "b.png": "b", "c.png": "c"}


def test_a_file_that_is_too_large_is_not_read(library: Library) -> None:
    report = index_library(
        Folder(library.root), library.store, lambda: library.encoder, PipelineOptions(max_bytes=20)
    )
    assert len(report.skipped) == report.found > 0
    assert all("(setting max_file_mb)" in skipped.reason for skipped in report.skipped)


class TwoAtOnce(FakeEncoder):
    """Encodes a batch only when another one is there, too: a device that must be kept busy."""

    def __init__(self) -> None:
        super().__init__(batch_size=2)
        self.batches_at_once = 2
        self._both = threading.Barrier(2, timeout=20)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        self._both.wait()
        return super().encode_images(images)


def test_a_device_has_the_next_batch_while_it_computes_one(
    paint: Paint, store: MemoryStore
) -> None:
    colours = ["red", "green", "blue", "yellow", "white", "black", "orange", "purple"]
    paths = [paint(f"all/{number}.png", colour) for number, colour in enumerate(colours)]
    root = paths[0].parent.parent
    encoder = TwoAtOnce()
    report = index_library(Folder(root), store, lambda: encoder, PipelineOptions())
    assert (report.added, report.encoded) == (8, 8)
    alone = MemoryStore()
    one_at_once = FakeEncoder()
    index_library(Folder(root), alone, lambda: one_at_once, PipelineOptions())
    ids = [row.m_id for row in alone.rows()]
    ours, theirs = store.embeddings(ids), alone.embeddings(ids)
    assert len(ours) == 8
    assert all(np.array_equal(ours[key], theirs[key]) for key in ids)


class Failing(FakeEncoder):
    """A device that stops working at its third batch."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        if len(self.batches) == 2:
            raise DeviceFailed("cuda failed while it encoded")
        return super().encode_images(images)


def test_a_device_that_fails_ends_the_run_and_the_next_one_completes_it(
    library: Library, paint: Paint
) -> None:
    for number in range(20):
        paint(f"more/{number}.png", (number * 10, 90, 200))
    failing, library.write_batch = Failing(batch_size=4), 2
    working, library.encoder = library.encoder, failing
    with pytest.raises(DeviceFailed):
        library.index()
    held = len(library.held())
    assert 4 <= held <= 8
    library.encoder = working
    report = library.index()
    assert (report.found, report.unchanged, report.added) == (23, held, 23 - held)
    assert sum(working.batches) == 23 - held
    assert len(library.held()) == 23
