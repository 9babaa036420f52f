"""What the page is given: its files, its words, and what it must know to start."""

import json
import re
import socket
from pathlib import Path

import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi import FastAPI
from fastapi.testclient import TestClient

from configs.settings import ServerSettings
from webapp.page_data import PageLimits, page_assets, page_routes
from webapp.search import SearchService
from webapp.serving import listen

WEBAPP = Path(__file__).parents[2] / "webapp"
TABLES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((WEBAPP / "i18n").glob("*.json"))
}


@pytest.fixture
def client(store: MemoryStore, encoder: FakeEncoder) -> TestClient:
    app = FastAPI()
    service = SearchService(store, lambda record: encoder)
    app.include_router(page_routes(service, PageLimits(16, 1000, 5_000_000)))
    return TestClient(app)


def test_every_file_is_served_and_kept_until_it_changes(client: TestClient) -> None:
    names = set(page_assets())
    assert {"app.js", "page.css", "en.json", "zh-CN.json", "icon-192.png"} <= names
    for name in names:
        answer = client.get(f"/page/files/{name}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        known = {"If-None-Match": answer.headers["etag"]}
        assert client.get(f"/page/files/{name}", headers=known).status_code == 304
    assert client.get("/page/files/app.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/manifest.json").headers["content-type"].startswith("application/manifest")


@pytest.mark.parametrize("name", ["ui.py", "..%2fui.py", "../ui.py", "%2e%2e%2fcli.py", "none.js"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/page/files/{name}").status_code == 404


def test_the_start_tells_what_there_is(client: TestClient, store: MemoryStore) -> None:
    known = client.get("/page/start").json()
    assert known == {
        "model": "not_yet",
        "top_k": 16,
        "max_query_chars": 1000,
        "max_upload_bytes": 5_000_000,
        "images": len(store.held),
        "problem": None,
        "user": None,
    }


def test_the_start_tells_what_is_the_matter(encoder: FakeEncoder) -> None:
    app = FastAPI()
    store = MemoryStore()
    store.record = None
    empty = SearchService(store, lambda record: encoder)
    app.include_router(page_routes(empty, PageLimits(16, 1000, 5_000_000)))
    known = TestClient(app).get("/page/start").json()
    assert (known["images"], known["problem"]["kind"]) == (0, "nothing_indexed")


def test_scripts_import_only_what_is_there() -> None:
    imported = [
        name
        for path in (WEBAPP / "assets").glob("*.js")
        for name in re.findall(r'from "\./([^"]+)"', path.read_text())
    ]
    assert len(imported) > 20
    assert set(imported) <= set(page_assets())


def test_both_languages_say_everything() -> None:
    english, chinese = TABLES["en"], TABLES["zh-CN"]
    assert {key for key in english if not key.endswith(".one")} == set(chinese)
    for key, text in chinese.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_every_word_of_the_page_is_in_the_tables() -> None:
    assets = WEBAPP / "assets"
    marked = [
        key
        for path in assets.glob("*.html")
        for key in re.findall(r'data-i18n(?:-\w+)?="([^"]+)"', path.read_text())
    ]
    written = [
        key
        for path in assets.glob("*.js")
        for key in re.findall(r'\bt\("([a-z_.]+)"', path.read_text())
    ]
    assert (len(marked), len(written)) > (40, 40)
    assert {*marked, *written} <= set(TABLES["en"])


def test_answers_do_not_wait_for_acknowledgements() -> None:
    # asyncio sets TCP_NODELAY only where the socket names its protocol: 1 ms an answer, not 44.
    with listen(ServerSettings(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
