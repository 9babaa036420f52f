"""Indexing from the page, with a stand-in for the indexer: a process that says what it is told."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi.testclient import TestClient
from small_api import small_api

from milvus.errors import StoreUnavailable
from webapp.allowed_folders import AllowedFolders
from webapp.indexing import INDEXER, Indexing

WAIT_S = 30
PROGRESS = {
    "library": "/l", "total": 9, "done": 4, "added": 3, "updated": 1, "moved": 0, "removed": 0,
    "unchanged": 0, "skipped": 0,
}  # fmt: skip
REPORT = {
    "found": 9, "added": 8, "updated": 0, "moved": 0, "removed": 0, "unchanged": 0,
    "skipped": [{"path": "/l/bad.jpg", "reason": "damaged"}], "seconds": 1.0, "model_id": "fake/1",
    "interrupted": False,
}  # fmt: skip

SAYS = f"""
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
print("loading fake …", file=sys.stderr)
print(json.dumps({PROGRESS}), flush=True)
"""
# What libraries print is passed over, even where it looks like a report.
CHATTER = """
for line in ("a library says something", '{"skipped": null}', '{"skipped": 3}', "[" * 100_000):
    print(line)
"""
DONE = f"{SAYS}{CHATTER}print(json.dumps({REPORT}))"
FAILED = f"{SAYS}\nprint('index-folder: no picture in /l', file=sys.stderr)\nsys.exit(1)"
CRASHED = f"{SAYS}\nimport os\nos.kill(os.getpid(), 9)"
SILENT = "import sys; sys.exit(3)"
# Begins, and ends as the indexer does when it is interrupted.
STOPPABLE = f"""
import time
try:
    {SAYS.strip().replace(chr(10), chr(10) + "    ")}
    time.sleep({WAIT_S})
except KeyboardInterrupt:
    print(json.dumps({dict(REPORT, interrupted=True)}))
    sys.exit(1)
"""
STUBBORN = f"""
{SAYS.replace("default_int_handler", "SIG_IGN")}
import time
time.sleep({WAIT_S})
"""
TELLS_ITS_CALL = f"""{SAYS}
import os
told = json.dumps({{"argv": sys.argv, "variable": os.environ.get("GIVEN"), "cwd": os.getcwd()}})
print(told, file=sys.stderr)
"""

Start = Callable[..., TestClient]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    (photos / "2026").mkdir(parents=True)
    return photos


@pytest.fixture
def start(
    photos: Path, tmp_path: Path, store: MemoryStore, encoder: FakeEncoder
) -> Iterator[Start]:
    """The API with a stand-in whose program is given."""
    made: list[Indexing] = []

    def start(program: str = DONE, *, allowed: tuple[Path, ...] = (photos,), **more: Any):  # type: ignore[no-untyped-def]
        more = {"grace_s": WAIT_S, **more}
        command = (sys.executable, "-c", program)
        indexing = Indexing(AllowedFolders(allowed), command=command, **more)
        made.append(indexing)
        app = small_api(store, encoder, tmp_path / "thumbnails", indexing=indexing)
        return TestClient(app)

    yield start
    for indexing in made:
        indexing.close()


def when(client: TestClient, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The state as soon as something holds of it."""
    deadline = time.monotonic() + WAIT_S
    while not holds(state := client.get("/api/index").json()):
        assert time.monotonic() < deadline, state
        time.sleep(0.01)
    return dict(state)


def ended(client: TestClient) -> dict[str, Any]:
    return when(client, lambda state: state["state"] != "running")


def test_a_folder_is_indexed(start: Start, photos: Path) -> None:
    calls: list[str] = []
    client = start(on_end=lambda: calls.append(client.get("/api/index").json()["state"]))
    assert client.get("/api/index").json() == {
        "state": "idle", "folder": None, "done": 0, "total": 0, "report": None, "error": None,
        "note": "", "stopping": False,
    }  # fmt: skip
    answer = client.post("/api/index", json={"folder": "2026"})
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["folder"]) == ("running", str(photos / "2026"))
    state = ended(client)
    assert (state["state"], state["error"]) == ("done", None)
    assert (state["done"], state["total"]) == (4, 9)
    assert state["report"] == {**REPORT, "skipped_count": 1}
    assert calls == ["running"]  # told before the end is
    assert client.post("/api/index", json={"folder": str(photos)}).status_code == 202
    assert ended(client)["folder"] == str(photos)


def test_progress_while_it_runs(start: Start) -> None:
    client = start(STOPPABLE)
    client.post("/api/index", json={"folder": "2026"})
    state = when(client, lambda state: bool(state["done"] and state["note"]))
    assert (state["state"], state["done"], state["total"]) == ("running", 4, 9)
    assert state["note"] == "loading fake …"
    assert state["report"] == {
        "added": 3, "updated": 1, "moved": 0, "removed": 0, "unchanged": 0, "skipped_count": 0,
    }  # fmt: skip


def test_one_at_a_time(start: Start) -> None:
    client = start(STOPPABLE)
    client.post("/api/index", json={"folder": "2026"})
    answer = client.post("/api/index", json={"folder": "2026"})
    assert answer.status_code == 409
    assert "is being indexed" in answer.json()["error"]
    client.delete("/api/index")
    ended(client)
    assert client.post("/api/index", json={"folder": "2026"}).status_code == 202


def test_stopping_keeps_what_is_done(start: Start) -> None:
    client = start(STOPPABLE)
    assert client.delete("/api/index").json()["state"] == "idle"
    client.post("/api/index", json={"folder": "2026"})
    when(client, lambda state: bool(state["done"]))
    answer = client.delete("/api/index")
    assert (answer.status_code, answer.json()["stopping"]) == (202, True)
    client.delete("/api/index")  # again: no second Ctrl+C
    state = ended(client)
    assert (state["state"], state["error"], state["stopping"]) == ("stopped", None, False)
    assert (state["report"]["added"], state["report"]["interrupted"]) == (8, True)


def test_what_does_not_stop_is_made_to(start: Start) -> None:
    client = start(STUBBORN, grace_s=0.2)
    client.post("/api/index", json={"folder": "2026"})
    when(client, lambda state: bool(state["done"]))
    client.delete("/api/index")
    assert ended(client)["state"] == "stopped"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (FAILED, "no picture in /l"),
        (CRASHED, "the indexer was killed by signal 9"),
        (SILENT, "the indexer ended with exit code 3"),
        ("raise ValueError('odd')", "ValueError: odd"),
    ],
)
def test_failures_are_one_line(start: Start, program: str, error: str) -> None:
    client = start(program)
    client.post("/api/index", json={"folder": "2026"})
    state = ended(client)
    assert (state["state"], state["error"]) == ("failed", error)


def test_an_indexer_that_cannot_be_started_is_told(start: Start, photos: Path) -> None:
    client = start(environment=dict)
    indexing = Indexing(AllowedFolders([photos]), dict, command=("/no/such/program",))
    state = indexing.start("2026")
    assert (state.phase, state.error) == (
        "failed",
        "the indexer cannot be started: No such file or directory",
    )
    assert indexing.start("2026").phase == "failed"  # and not still running
    assert client.get("/api/index").json()["state"] == "idle"


def test_very_many_skipped_files_are_cut(start: Start) -> None:
    many = dict(REPORT, skipped=[{"path": f"/{n}", "reason": "bad"} for n in range(3000)])
    client = start(f"import json\nprint(json.dumps({many}))")
    client.post("/api/index", json={"folder": "2026"})
    report = ended(client)["report"]
    assert (len(report["skipped"]), report["skipped_count"]) == (1000, 3000)


def test_settings_travel_in_the_environment(start: Start, photos: Path) -> None:
    client = start(TELLS_ITS_CALL, environment=lambda: {**os.environ, "GIVEN": "secret"})
    client.post("/api/index", json={"folder": "2026"})
    told = json.loads(ended(client)["note"])
    assert told == {
        "argv": ["-c", str(photos / "2026")], "variable": "secret", "cwd": str(Path.cwd()),
    }  # fmt: skip
    assert "indexer.cli" in INDEXER


def test_a_store_that_is_away_is_503(start: Start) -> None:
    def away() -> dict[str, str]:
        raise StoreUnavailable("no answer from Milvus")

    client = start(environment=away)
    answer = client.post("/api/index", json={"folder": "2026"})
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "no answer from Milvus", "kind": "store_away"},
    )
    assert client.get("/api/index").json()["state"] == "idle"


def test_where_nothing_is_allowed(start: Start, photos: Path) -> None:
    client = start(allowed=())
    for answer in (
        client.post("/api/index", json={"folder": str(photos)}),
        client.get("/api/index/folders"),
        client.get("/api/index/folders", params={"below": str(photos)}),
    ):
        assert answer.status_code == 403
        assert "--allow-indexing FOLDER" in answer.json()["error"]
    assert client.get("/api/index").json()["state"] == "idle"


def test_refusals(start: Start, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (photos / "out").symlink_to(tmp_path / "secret")
    (photos / "note.txt").write_text("x")
    client = start()
    messages = set()
    for folder in (
        str(tmp_path / "secret"), str(tmp_path / "no such"), "../secret", f"{photos}/../secret",
        "out", str(photos / "out"), "/",
    ):  # fmt: skip
        answer = client.post("/api/index", json={"folder": folder})
        assert answer.status_code == 403, folder
        messages.add(answer.json()["error"])
        assert client.get("/api/index/folders", params={"below": folder}).status_code == 403
    assert len(messages) == 1
    for folder in ("note.txt", "no such", "a\0b"):
        answer = client.post("/api/index", json={"folder": folder})
        assert (answer.status_code, list(answer.json())) == (400, ["error", "kind"])
    assert client.get("/api/index").json()["state"] == "idle"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"not json", "application/json", 400),
        (b'{"folder": 3}', "application/json", 400),
        (b'{"folder": "2026", "other": 1}', "application/json", 400),
        (b'{"folder": "2026"}', "text/plain", 400),  # what another site's page may send
        (b'{"folder": "2026"}', "", 400),
        (b'{"folder": "' + b"x" * 100_000 + b'"}', "application/json", 413),
    ],
)
def test_bodies_that_are_refused(start: Start, content: bytes, kind: str, status: int) -> None:
    client = start()
    answer = client.post("/api/index", content=content, headers={"content-type": kind})
    assert (answer.status_code, list(answer.json())) == (status, ["error", "kind"])
    assert client.get("/api/index").json()["state"] == "idle"


def test_folders_to_choose_from(start: Start, photos: Path) -> None:
    (photos / "2026" / "summer").mkdir()
    client = start()
    assert client.get("/api/index/folders").json() == {
        "below": None,
        "folders": [{"name": str(photos), "path": str(photos)}],
        "more": False,
    }
    assert client.get("/api/index/folders", params={"below": "2026"}).json() == {
        "below": str(photos / "2026"),
        "folders": [{"name": "summer", "path": str(photos / "2026" / "summer")}],
        "more": False,
    }
    assert client.get("/api/index/folders", params={"below": "none"}).status_code == 400


def test_the_servers_end_stops_it(start: Start) -> None:
    client = start(STOPPABLE)
    with client:
        client.post("/api/index", json={"folder": "2026"})
        when(client, lambda state: bool(state["done"]))
    assert client.get("/api/index").json()["state"] == "stopped"
    answer = client.post("/api/index", json={"folder": "2026"})
    assert (answer.status_code, answer.json()["error"]) == (409, "the server is ending")
