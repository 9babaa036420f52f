import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import RECORD, FakeEncoder, MemoryStore

from indexer.errors import NothingFound
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.source import Skipped
from milvus.errors import StoreUnavailable
from milvus.runs import MAX_BYTES, MAX_PATH, MAX_REASON, first_skipped, from_text, to_text

Paint = Callable[..., Path]
RUN = IndexReport(
    found=9, added=1, updated=2, moved=3, removed=4, unchanged=5,
    skipped=[Skipped("/a\udcff\n.jpg", "the file is empty")], seconds=1.23456, model_id="m",
).as_last_run()  # fmt: skip


@pytest.fixture
def root(paint: Paint) -> Path:
    paint("green/b.png", "green")
    return paint("red/a.png").parent.parent


def index(
    root: Path,
    store: MemoryStore,
    encoder: FakeEncoder | None = None,
    on_progress: Callable[[IndexReport], None] = lambda report: None,
) -> IndexReport:
    return index_library(
        Folder(root),
        store,
        lambda: encoder or FakeEncoder(),
        PipelineOptions(),
        on_progress,
        Snapshots(root.parent / "snapshots", "store"),
    )


def test_each_run_is_noted(root: Path, store: MemoryStore) -> None:
    (root / "bad.jpg").write_bytes(b"")
    before = datetime.now(UTC).replace(microsecond=0)
    report = index(root, store)
    run = store.last_runs()[str(root)]
    assert before <= datetime.fromisoformat(run.finished_at) <= datetime.now(UTC)
    assert (run.found, run.added, run.unchanged, run.interrupted) == (3, 2, 0, False)
    assert run.skipped == ((str(root / "bad.jpg"), "the file is empty"),)
    assert (run.skipped_count, run.model_id) == (1, RECORD.model_id)
    assert report.model_id == RECORD.model_id
    assert 0 < run.seconds == round(report.seconds, 3)
    index(root, store)
    run = store.last_runs()[str(root)]
    assert (run.added, run.unchanged, run.skipped_count) == (0, 2, 1)


def test_an_unchanged_library_is_one_write_and_a_changed_one_no_more_than_before(
    root: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("set_token", "note_run", "rows", "upsert", "flush", "held_hashes"):
        real = getattr(MemoryStore, name)

        def counted(*given: object, _name: str = name, _real: Callable[..., object] = real):  # type: ignore[no-untyped-def]
            calls.append(_name)
            return _real(*given)

        monkeypatch.setattr(MemoryStore, name, counted)
    index(root, store)
    assert calls == ["rows", "set_token", "upsert", "flush", "note_run"]
    calls.clear()
    index(root, store)
    assert calls == ["note_run"]


def test_a_run_that_was_stopped_is_noted_as_such(root: Path, store: MemoryStore) -> None:
    def stop(report: IndexReport) -> None:
        raise KeyboardInterrupt

    assert index(root, store, on_progress=stop).interrupted
    run = store.last_runs()[str(root)]
    assert (run.interrupted, run.added) == (True, 1)
    assert not index(root, store).interrupted
    assert not store.last_runs()[str(root)].interrupted


def test_a_run_that_failed_is_noted_where_that_can_be(root: Path, store: MemoryStore) -> None:
    class Failing(FakeEncoder):
        def encode_images(self, images: object) -> None:
            raise RuntimeError("the device went away")

    with pytest.raises(RuntimeError, match="went away"):
        index(root, store, Failing())
    assert store.last_runs()[str(root)].interrupted

    def away(*_: object) -> None:
        raise StoreUnavailable("no answer")

    store.note_run = away  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="went away"):
        index(root, store, Failing())
    with pytest.raises(StoreUnavailable):
        index(root, store)


def test_a_run_that_finds_nothing_leaves_the_last_one(root: Path, store: MemoryStore) -> None:
    index(root, store)
    before = store.last_runs()
    for path in root.rglob("*.png"):
        path.unlink()
    with pytest.raises(NothingFound):
        index(root, store)
    assert store.last_runs() == before


def test_a_run_as_text_and_back() -> None:
    assert RUN.skipped == (("/a\\udcff\\n.jpg", "the file is empty"),)
    assert RUN.seconds == 1.235
    assert from_text(to_text("/l ü", RUN)) == ("/l ü", RUN)


@pytest.mark.parametrize("path", ["/" + "ü" * 5000 + ".jpg", "/short.jpg"])
def test_what_is_skipped_is_bounded(path: str) -> None:
    skipped = first_skipped((path, "why " * 500) for _ in range(10_000))
    assert len(skipped) == 50
    assert all(len(p) <= MAX_PATH and len(reason) <= MAX_REASON for p, reason in skipped)
    assert all(p.endswith(".jpg") for p, _ in skipped)
    text = to_text("/l", replace(RUN, skipped_count=10_000, skipped=skipped))
    assert len(text.encode()) <= MAX_BYTES
    noted = from_text(text)
    assert noted is not None
    assert noted[1].skipped_count == 10_000
    assert 10 <= len(noted[1].skipped) < 50
    few = first_skipped((f"/photos/{n}.jpg", "the file is empty") for n in range(60))
    noted = from_text(to_text("/l", replace(RUN, skipped=few)))
    assert noted is not None
    assert len(noted[1].skipped) == 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '{"library": "/l"}',
        '{"library": "/l", "run": {"found": 3}}',
        json.dumps({"library": "/l", "run": {**asdict(RUN), "found": "many"}}),
        json.dumps({"library": "/l", "run": {**asdict(RUN), "skipped": [["a"]]}}),
        "[" * 100_000,
    ],
)
def test_damaged_and_older_texts_say_nothing(text: str) -> None:
    assert from_text(text) is None


def test_what_a_later_version_adds_is_passed_over() -> None:
    text = json.dumps({"library": "/l", "run": {**asdict(RUN), "new": 1}, "new": 2})
    assert from_text(text) == ("/l", RUN)
