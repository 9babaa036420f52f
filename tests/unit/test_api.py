import base64
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from embeddings.errors import WeightsNotFound
from milvus.entities import ImageRow
from milvus.errors import StoreUnavailable
from webapp.api import build_api
from webapp.auth import BasicAuth
from webapp.media import Thumbnails
from webapp.search import SearchService


@pytest.fixture
def picture(paint: Callable[..., Path]) -> Path:
    return paint("red/big.png", "red", (800, 600))


@pytest.fixture
def app(store: MemoryStore, encoder: FakeEncoder, picture: Path, tmp_path: Path) -> FastAPI:
    status = picture.stat()
    row = ImageRow(
        2**62 + 1, str(picture), str(picture.parent.parent), "red",
        status.st_mtime_ns, status.st_size, "cafe", 800, 600,
    )  # fmt: skip
    store.upsert([row], [np.array([1, 0, 0, 0], dtype=np.float32)])
    return build_api(
        SearchService(store, lambda record: encoder),
        Thumbnails(tmp_path / "thumbnails", 10_000_000),
        index_type="IVF_FLAT",
        metric_type="IP",
        default_top_k=16,
        max_query_chars=1000,
    )


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)


def test_search(client: TestClient, picture: Path) -> None:
    answer = client.get("/api/search", params={"q": "red", "top_k": 3})
    assert answer.status_code == 200
    (hit,) = answer.json()["hits"]
    assert hit["path"] == str(picture)
    assert hit["score"] > 0.99
    assert (hit["width"], hit["height"], hit["category"]) == (800, 600, "red")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "type a few words"),
        ({"q": "x" * 5000}, "5,000 characters"),
        ({"q": "a", "top_k": "0"}, "top_k must be between"),
        ({"q": "a", "top_k": "many"}, "top_k: Input should be a valid integer"),
    ],
)
def test_bad_queries_are_400(client: TestClient, params: dict[str, str], reason: str) -> None:
    answer = client.get("/api/search", params=params)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_a_store_that_is_away_is_503(client: TestClient, store: MemoryStore) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("no answer from Milvus")

    store.search = away  # type: ignore[method-assign, assignment]
    answer = client.get("/api/search", params={"q": "red"})
    assert (answer.status_code, answer.json()) == (503, {"error": "no answer from Milvus"})


def test_nothing_indexed_and_a_missing_model_are_503(
    client: TestClient, store: MemoryStore, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: SearchService, record: object) -> None:
        raise WeightsNotFound("no weights")

    monkeypatch.setattr(SearchService, "_load", missing)
    answer = client.get("/api/search", params={"q": "red"})
    assert (answer.status_code, answer.json()) == (503, {"error": "no weights"})
    store.record = None
    answer = client.get("/api/stats")
    assert answer.status_code == 503
    assert "index-folder FOLDER" in answer.json()["error"]


def test_stats_and_health(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/api/stats").json()["categories"] == {"red": 1}


def test_thumbnail_and_original(client: TestClient, picture: Path, tmp_path: Path) -> None:
    (hit,) = client.get("/api/search", params={"q": "red"}).json()["hits"]
    for _ in range(2):  # made, then kept
        thumbnail = client.get(hit["thumbnail_url"])
        assert thumbnail.headers["content-type"] == "image/webp"
        assert "max-age" in thumbnail.headers["cache-control"]
    (kept,) = (tmp_path / "thumbnails").rglob("*.webp")
    with Image.open(kept) as image:
        assert image.size == (384, 288)
    original = client.get(hit["image_url"])
    assert original.content == picture.read_bytes()
    assert original.headers["content-type"] == "image/png"
    assert original.headers["x-content-type-options"] == "nosniff"


def test_a_picture_that_changed_or_went_is_404(client: TestClient, picture: Path) -> None:
    (hit,) = client.get("/api/search", params={"q": "red"}).json()["hits"]
    assert client.get(hit["thumbnail_url"]).status_code == 200  # and it is kept
    os.utime(picture, (1, 1))
    answer = client.get(hit["image_url"])
    assert (answer.status_code, "has changed" in answer.json()["error"]) == (404, True)
    assert client.get(hit["thumbnail_url"]).status_code == 404
    picture.unlink()
    assert "is gone" in client.get(hit["thumbnail_url"]).json()["error"]


def test_a_link_in_place_of_a_picture_is_not_followed_to_other_files(
    client: TestClient, picture: Path
) -> None:
    (hit,) = client.get("/api/search", params={"q": "red"}).json()["hits"]
    picture.unlink()
    picture.symlink_to("/etc/passwd")
    for url in (hit["image_url"], hit["thumbnail_url"]):
        assert client.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/media/1/image", "/media/x/image", "/media/..%2f..%2fetc/image"])
def test_only_ids_that_are_indexed_lead_to_a_file(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (400, 404)


def test_a_password_guards_every_route(app: FastAPI) -> None:
    client = TestClient(BasicAuth(app, "me:pass:word"))
    for path in ("/", "/healthz", "/api/search?q=red", "/api/openapi.json", "/media/1/image"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    for wrong in ("me:pass", "me:pass:wor", "you:pass:word", ":", ""):
        token = base64.b64encode(wrong.encode()).decode()
        assert (
            client.get("/healthz", headers={"Authorization": f"Basic {token}"}).status_code == 401
        )
    for garbage in ("Basic !", "Basic", "Bearer x", b"Basic \xff"):
        assert client.get("/healthz", headers={"Authorization": garbage}).status_code == 401
    assert client.get("/healthz", auth=("me", "pass:word")).status_code == 200
