"""The library's routes on the real server: what is indexed, and indexing from the page."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock
from support import BIN, ROOT, run

WAIT_S = 180
SAMPLE = ("--config", str(ROOT / "configs" / "sample.toml"))
# One picture after another, so that a run can be met in its middle.
SLOW = {"IMAGE_SEARCH_MODEL__BATCH_SIZE": "1", "IMAGE_SEARCH_INDEXING__WRITE_BATCH": "1"}

Serve = Callable[..., str]


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client


@pytest.fixture
def few(library: Path, tmp_path: Path) -> Path:
    """Two categories, some pictures each, and a file that is damaged."""
    folder = tmp_path / "photos" / "few"
    for name in ("lemon", "apple"):
        (folder / name).mkdir(parents=True)
        for path in sorted((library / name).iterdir())[:6]:
            shutil.copy(path, folder / name)
    (folder / "apple" / "damaged.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


def index(client: httpx.Client, address: str, folder: object) -> httpx.Response:
    return client.post(f"{address}/api/index", json={"folder": str(folder)})


def when(
    client: httpx.Client, address: str, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The state of indexing as soon as something holds of it."""
    deadline = time.monotonic() + WAIT_S
    while not holds(state := client.get(f"{address}/api/index").json()):
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
    return dict(state)


def ended(client: httpx.Client, address: str) -> dict[str, Any]:
    return when(client, address, lambda state: state["state"] != "running")


def test_facts_montage_and_map(
    indexed: Path, library: Path, serve: Serve, client: httpx.Client
) -> None:
    address = serve(indexed)
    facts = client.get(f"{address}/api/library").json()
    pictures = list(library.rglob("*.jpg"))
    assert facts["images"] == len(pictures) == 300
    assert facts["bytes"] == sum(path.stat().st_size for path in pictures)
    names = sorted(path.name for path in library.iterdir() if path.is_dir())
    assert facts["categories"] == [{"name": name, "count": 30} for name in names]
    assert [(one["path"], one["count"]) for one in facts["libraries"]] == [(str(library), 300)]
    assert (facts["model"]["name"], facts["model"]["dim"]) == ("sample", 768)
    assert (facts["index_type"], facts["metric_type"]) == ("IVF_FLAT", "IP")
    assert facts["indexing"] == {"allowed": False, "folders": []}
    assert facts["oldest"] <= facts["newest"]

    shown = client.get(f"{address}/api/library/montage", params={"category": "lemon"}).json()
    assert (shown["category"], shown["count"], len(shown["pictures"])) == ("lemon", 30, 9)
    assert len({picture["id"] for picture in shown["pictures"]}) == 9
    assert all(Path(picture["path"]).parent.name == "lemon" for picture in shown["pictures"])
    thumbnail = client.get(address + shown["pictures"][0]["thumbnail_url"])
    assert thumbnail.headers["content-type"] == "image/webp"

    drawn = client.get(f"{address}/api/library/map").json()
    assert (drawn["sampled"], drawn["of"], len(drawn["points"])) == (300, 300, 300)
    assert max(max(abs(p["x"]), abs(p["y"])) for p in drawn["points"]) == 1
    assert 1 > drawn["explained"][0] >= drawn["explained"][1] > 0
    # A map is worth looking at where pictures of a category lie together.
    middles = {
        name: [
            sum(p[axis] for p in drawn["points"] if p["category"] == name) / 30
            for axis in ("x", "y")
        ]
        for name in names
    }
    near = [
        min(names, key=lambda n, p=p: abs(p["x"] - middles[n][0]) + abs(p["y"] - middles[n][1]))  # type: ignore[misc]
        == p["category"]
        for p in drawn["points"]
    ]
    assert sum(near) / len(near) > 3 / len(names)
    assert client.get(f"{address}/api/library/map").json() == drawn


def test_counts_follow_an_indexer_in_a_terminal(
    few: Path, data: Path, serve: Serve, client: httpx.Client
) -> None:
    assert run("index-folder", few, "--model", "sample", data=data).code == 0
    address = serve(data)
    assert client.get(f"{address}/api/stats").json()["categories"] == {"apple": 6, "lemon": 6}
    # As many as before, but others.
    (few / "kiwi").mkdir()
    (few / "apple" / "damaged.jpg").unlink()
    moved = sorted((few / "apple").iterdir())[0]
    moved.rename(few / "kiwi" / moved.name)
    assert run("index-folder", few, "--model", "sample", data=data).code == 0
    assert client.get(f"{address}/api/stats").json()["categories"] == {
        "apple": 5, "kiwi": 1, "lemon": 6,
    }  # fmt: skip
    assert client.get(f"{address}/api/library").json()["categories"][2]["name"] == "kiwi"


def test_a_folder_is_indexed_from_the_page(
    few: Path, data: Path, serve: Serve, client: httpx.Client
) -> None:
    address = serve(data, *SAMPLE, "--allow-indexing", str(few.parent))
    assert client.get(f"{address}/api/library").status_code == 503
    (choice,) = client.get(f"{address}/api/index/folders").json()["folders"]
    below = client.get(f"{address}/api/index/folders", params={"below": choice["path"]}).json()
    assert [folder["name"] for folder in below["folders"]] == ["few"]
    answer = index(client, address, below["folders"][0]["path"])
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    state = ended(client, address)
    assert (state["state"], state["error"], state["folder"]) == ("done", None, str(few))
    assert (state["done"], state["total"]) == (13, 13)
    assert (state["report"]["added"], state["report"]["skipped_count"]) == (12, 1)
    (skipped,) = state["report"]["skipped"]
    assert skipped["path"] == str(few / "apple" / "damaged.jpg")
    facts = client.get(f"{address}/api/library").json()
    assert (facts["images"], facts["model"]["name"]) == (12, "sample")
    assert facts["indexing"] == {"allowed": True, "folders": [str(few.parent)]}
    found = client.get(f"{address}/api/search", params={"q": "a photo of a lemon"}).json()["hits"]
    assert found[0]["category"] == "lemon"
    # Again, by a relative name: nothing to do.
    index(client, address, "few")
    assert ended(client, address)["report"]["unchanged"] == 12


def test_searching_goes_on_while_a_folder_is_indexed_and_stopping_keeps_what_is_done(
    few: Path, library: Path, data: Path, serve: Serve, client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run("index-folder", few, "--model", "sample", data=data).code == 0
    for name, value in SLOW.items():
        monkeypatch.setenv(name, value)
    # The collection's model is taken, whatever the settings say.
    address = serve(data, "--allow-indexing", str(library))
    client.get(f"{address}/api/search", params={"q": "lemon"})
    index(client, address, library)
    state = when(client, address, lambda state: state["done"] > 0 or state["state"] != "running")
    assert (state["state"], state["total"]) == ("running", 300)
    answer = client.get(f"{address}/api/search", params={"q": "a photo of a lemon"})
    assert answer.status_code == 200
    assert len(answer.json()["hits"]) > 0
    assert index(client, address, library).status_code == 409
    assert client.get(f"{address}/api/index").json()["state"] == "running"
    assert client.delete(f"{address}/api/index").json()["stopping"] is True
    state = ended(client, address)
    assert (state["state"], state["error"]) == ("stopped", None)
    assert 0 < state["report"]["added"] < 300
    stats = client.get(f"{address}/api/stats").json()
    assert stats["libraries"] == {str(few): 12, str(library): state["report"]["added"]}


def test_a_run_that_waits_for_another_one_says_so_and_can_be_stopped(
    few: Path, data: Path, serve: Serve, client: httpx.Client
) -> None:
    address = serve(data, *SAMPLE, "--allow-indexing", str(few))
    data.mkdir(exist_ok=True)
    with FileLock(data / "milvus.db.lock"):
        (data / "milvus.db.lock.holder").write_text("4711")
        index(client, address, few)
        when(client, address, lambda state: "process 4711 is indexing" in state["note"])
        client.delete(f"{address}/api/index")
        assert ended(client, address)["state"] == "stopped"
    assert client.get(f"{address}/api/library").status_code == 503


def test_what_cannot_be_indexed_says_why(
    few: Path, data: Path, serve: Serve, client: httpx.Client
) -> None:
    (few.parent / "empty").mkdir()
    address = serve(data, *SAMPLE, "--allow-indexing", str(few.parent))
    index(client, address, "empty")
    state = ended(client, address)
    assert state["state"] == "failed"
    assert state["error"].startswith(f"no picture in {few.parent / 'empty'}")


def test_folders_that_are_not_allowed_are_refused(
    few: Path, library: Path, data: Path, serve: Serve, client: httpx.Client
) -> None:
    (few / "out").symlink_to(library)
    (few / "inside").symlink_to(few / "lemon")
    address = serve(data, *SAMPLE, "--allow-indexing", str(few))
    outside = (library, few.parent, "/", "..", f"{few}/../few", "out", few / "out" / "lemon", "/no")
    answers = [index(client, address, folder) for folder in outside]
    assert [answer.status_code for answer in answers] == [403] * len(outside)
    assert len({answer.text for answer in answers}) == 1
    assert index(client, address, few / "no such").status_code == 400
    assert client.get(f"{address}/api/index").json()["state"] == "idle"
    names = client.get(f"{address}/api/index/folders", params={"below": str(few)}).json()
    assert [folder["name"] for folder in names["folders"]] == ["apple", "inside", "lemon"]
    refusing = serve(data)
    answer = index(client, refusing, few)
    assert answer.status_code == 403
    assert "--allow-indexing" in answer.json()["error"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_indexer_ends_with_its_server(
    library: Path, data: Path, client: httpx.Client, how: signal.Signals
) -> None:
    command = [BIN / "image-search", "serve", "--port", "0", *SAMPLE]
    with subprocess.Popen(
        [*command, "--allow-indexing", str(library)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **SLOW, "IMAGE_SEARCH_DATA_DIR": str(data)},
    ) as server:
        try:
            assert server.stderr is not None
            line = next(line for line in server.stderr if "serving on" in line)
            address = re.findall(r"http://\S+", line)[0]
            index(client, address, library)
            when(client, address, lambda state: state["done"] > 0)
            server.send_signal(how)
            server.wait(60)
        finally:
            server.kill()
    # The next indexer would wait for one that still runs, and say so. A server that is killed
    # cannot stop its indexer, which then ends by itself: nobody hears its progress.
    ran = run("index-folder", library, "--model", "sample", "--json", data=data)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["unchanged"] > 0
    assert report["added"] > 0
    if how is signal.SIGTERM:
        assert "is indexing" not in ran.err
