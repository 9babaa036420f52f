"""Where a file holds more pictures than it searches quickly, a server is advised."""

from pathlib import Path

import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi.testclient import TestClient
from small_api import small_api

from milvus.entities import ImageRow, image_id
from webapp import library_facts
from webapp.doctor import check_text, size_check
from webapp.library_facts import FILE_HOLDS, outgrown, read_facts
from webapp.presenters import stats_text

COMMAND = "image-search copy --to http://localhost:19530"
HELD = 3


@pytest.fixture
def full(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A store with as many pictures as a file holds well, which are few here."""
    monkeypatch.setattr(library_facts, "FILE_HOLDS", HELD)
    store.is_lite = True
    add(store, HELD)
    return store


def add(store: MemoryStore, upto: int) -> None:
    for n in range(upto):
        key = image_id("/l", str(n))
        row = ImageRow(key, f"/l/{n}", "/l", "", 1, 1, f"{n}", 4, 3)
        store.held[key] = (row, [1.0, 0, 0, 0])  # type: ignore[assignment]


def told(store: MemoryStore, encoder: FakeEncoder, folder: Path) -> object:
    app = small_api(store, encoder, folder)
    return TestClient(app).get("/api/library").json()["move_to_server"]


def test_only_files_with_many_pictures_are_outgrown() -> None:
    assert not outgrown(True, FILE_HOLDS)
    assert outgrown(True, FILE_HOLDS + 1)
    assert not outgrown(False, 10 * FILE_HOLDS)


def test_the_library_view_is_told(full: MemoryStore, encoder: FakeEncoder, tmp_path: Path) -> None:
    assert told(full, encoder, tmp_path) is None
    add(full, HELD + 1)
    assert told(full, encoder, tmp_path) == COMMAND
    full.is_lite = False
    assert told(full, encoder, tmp_path) is None


def test_stats_say_so_in_a_line(full: MemoryStore) -> None:
    assert COMMAND not in stats_text(read_facts(full), "IVF_FLAT", "IP")
    add(full, HELD + 1)
    lines = stats_text(read_facts(full), "IVF_FLAT", "IP").splitlines()
    assert [line for line in lines if COMMAND in line] == [lines[1]]


def test_the_doctor_warns() -> None:
    assert check_text(size_check("images", True, FILE_HOLDS)).startswith("OK")
    warning = check_text(size_check("images", True, FILE_HOLDS + 1))
    assert warning.startswith("WARNING collection: 'images' holds 50,001 pictures")
    assert warning.endswith(COMMAND)
