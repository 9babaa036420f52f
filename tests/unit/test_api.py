import base64
import os
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from small_api import small_api

from embeddings.errors import WeightsNotFound
from milvus.entities import ImageRow
from milvus.errors import StoreUnavailable
from webapp.accounts import Accounts
from webapp.auth import BasicAuth
from webapp.checking import PasswordChecks
from webapp.loaded import EncoderLoader
from webapp.query_body import moment_ns


@pytest.fixture
def picture(paint: Callable[..., Path]) -> Path:
    return paint("red/big.png", "red", (800, 600))


@pytest.fixture
def app(store: MemoryStore, encoder: FakeEncoder, picture: Path, tmp_path: Path) -> FastAPI:
    status = picture.stat()
    row = ImageRow(
        2**62 + 1, str(picture), str(picture.parent.parent), "red",
        status.st_mtime_ns, status.st_size,
        blake2b(picture.read_bytes(), digest_size=16).hexdigest(), 800, 600,
    )  # fmt: skip
    store.upsert([row], [np.array([1, 0, 0, 0], dtype=np.float32)])
    return small_api(store, encoder, tmp_path / "thumbnails")


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
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer from Milvus")

    store.search = away  # type: ignore[method-assign, assignment]
    answer = client.get("/api/search", params={"q": "red"})
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "no answer from Milvus", "kind": "store_away"},
    )


def test_nothing_indexed_and_a_missing_model_are_503(
    client: TestClient, store: MemoryStore, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: EncoderLoader, record: object) -> None:
        raise WeightsNotFound("no weights")

    monkeypatch.setattr(EncoderLoader, "_load", missing)
    answer = client.get("/api/search", params={"q": "red"})
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "no weights", "kind": "no_model"},
    )
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


def test_a_browser_keeps_a_thumbnail_by_its_address_until_the_picture_is_another(
    client: TestClient, store: MemoryStore, picture: Path
) -> None:
    (hit,) = client.get("/api/search", params={"q": "red"}).json()["hits"]
    url = hit["thumbnail_url"]
    bare, _, version = url.partition("?v=")
    first = client.get(url)
    assert first.headers["cache-control"] == "private, max-age=86400"
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for other in (bare, url + "e"):
        assert client.get(other).headers["cache-control"] == "private, no-cache"
    Image.new("RGB", (80, 60), "blue").save(picture)
    content_hash = blake2b(picture.read_bytes(), digest_size=16).hexdigest()
    status = picture.stat()
    ((key, (row, vector)),) = store.held.items()
    another = replace(
        row, content_hash=content_hash, size=status.st_size, mtime_ns=status.st_mtime_ns
    )
    store.held[key] = (another, vector)
    (hit,) = client.get("/api/search", params={"q": "red"}).json()["hits"]
    assert hit["thumbnail_url"] == f"{bare}?v={content_hash[:16]}" != f"{bare}?v={version}"
    new = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (new.status_code, new.headers["cache-control"]) == (200, "private, no-cache")


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
    client = TestClient(BasicAuth(app, PasswordChecks(Accounts("me:pass:word"))))
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


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"q": "a", "nonsense": "1"}, 400, "nonsense: there is no such field"),
        ({"minus": "red"}, 400, "only what to leave out"),
        ({"like": "5"}, 404, "no picture has the id 5"),
        ({"like": "five"}, 400, "like.0"),
        ({"like": str(2**64)}, 400, "like.0"),
        ({"q": "a", "min_score": "0.5", "certainty": "0.5"}, 400, "give one of min_score"),
        ({"q": "a", "min_score": "nan"}, 400, "min_score is a cosine"),
        ({"q": "a", "offset": "-1"}, 400, "offset must be between"),
        ({"q": "a", "after": "yesterday"}, 400, "after: 'yesterday' is no date"),
        ({"q": "a", "min_width": str(2**70)}, 400, "min_width"),
        ({"q": "a", "min_width": "-1"}, 400, "min_width"),
        ({"q": "a", "fold": "2"}, 400, "fold is a cosine"),
    ],
)
def test_what_an_address_cannot_ask(
    client: TestClient, params: dict[str, str], status: int, reason: str
) -> None:
    answer = client.get("/api/search", params=params)
    assert (answer.status_code, reason in answer.json()["error"]) == (status, True), answer.text


def test_an_address_asks_for_more_than_words(client: TestClient) -> None:
    params = {"q": "blue", "plus": "red", "minus": "blue", "after": "1999-01-01", "category": "red"}
    (hit,) = client.get("/api/search", params=params).json()["hits"]
    assert hit["score"] > 0.99
    assert (hit["library"] != "", hit["modified"] > "1999", hit["copies"]) == (True, True, [])
    answer = client.get("/api/search", params={"q": "red", "before": "1999-01-01T00:00:00+02:00"})
    assert answer.json()["hits"] == []
    assert answer.json()["notes"] == ["no picture passes the filter"]


def test_a_query_as_json(client: TestClient, picture: Path) -> None:
    image = base64.b64encode(picture.read_bytes()).decode()
    body = {
        "terms": [{"text": "blue", "weight": 0.1}, {"image": image}],
        "move_to": {"concepts": ["red"], "force": 0.5},
        "filter": {"categories": ["red"], "min_width": 800},
        "certainty": 0.9,
        "top_k": 5,
        "fold": None,
    }
    answer = client.post("/api/search", json=body)
    assert answer.status_code == 200, answer.text
    assert [hit["path"] for hit in answer.json()["hits"]] == [str(picture)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "type a few words"),
        ({"q": "red", "filter": {"colour": "red"}}, "filter.colour: there is no such field"),
        ({"terms": [{"text": "red", "id": 3}]}, "one of them"),
        ({"terms": [{"image": "?"}]}, "not valid base64"),
        ({"terms": [{"image": "aGVsbG8="}]}, "picture cannot be used"),
        ({"terms": [{"text": "red", "weight": 1e300}]}, "a weight is a number"),
        ({"terms": "red"}, "terms: "),
        ({"q": "red", "move_to": {"concepts": ["a"], "force": 2}}, "force is between 0 and 1"),
        ([], "should be an object"),
    ],
)
def test_json_that_cannot_be_asked(client: TestClient, body: object, reason: str) -> None:
    answer = client.post("/api/search", json=body)
    assert (answer.status_code, reason in answer.json()["error"]) == (400, True), answer.text


def test_a_picture_is_uploaded(client: TestClient, picture: Path) -> None:
    files = {"image": ("mine.png", picture.read_bytes())}
    (hit,) = client.post("/api/search", files=files).json()["hits"]
    assert hit["score"] > 0.99
    mixed = client.post("/api/search", files=files, data={"query": '{"q": "blue", "top_k": 1}'})
    assert mixed.json()["hits"][0]["score"] == pytest.approx(0.5**0.5, abs=0.01)
    for wrong, reason in (
        ({"files": {"image": ("a.png", b"rubbish")}}, "picture cannot be used"),
        ({"files": files, "data": {"query": "{"}}, "Invalid JSON"),
        ({"files": files, "data": {"query": "[" * 50_000}}, "Invalid JSON"),
        ({"files": files, "data": {"query": "[]"}}, "Input should be an object"),
        ({"files": files, "data": {"other": "x"}}, "other: a form holds"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, "not text/plain"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "form cannot be"),
    ):
        answer = client.post("/api/search", **wrong)  # type: ignore[arg-type]
        assert (answer.status_code, reason in answer.json()["error"]) == (400, True), answer.text


@pytest.mark.parametrize(
    "charset",
    ["punycode", "utf-7", "undefined", "unicode_escape", '"utf-16"', '"a\0b"', "nonsense"],
)
def test_nobody_chooses_how_a_form_is_decoded(
    client: TestClient, picture: Path, charset: str
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n'
    content = head + b'{"q": "blue"}\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    for given, status in ((f"{kind}; charset={charset}", 400), (f"{kind}; charset=UTF-8", 200)):
        answer = client.post("/api/search", content=content, headers={"Content-Type": given})
        assert (answer.status_code, "sent in utf-8" in answer.text) == (status, status == 400)


@pytest.mark.parametrize(
    "place", ['"terms":[', '"filter":{"labels":[', '"move_to":{"force":1,"objects":[']
)
def test_of_what_is_wrong_in_a_query_the_first_is_told(client: TestClient, place: str) -> None:
    ends = {"[": "]", "{": "}"}
    end = "".join(ends[sign] for sign in reversed(place) if sign in ends)
    body = f'{{"q":"a",{place}{"[]," * 15_000}[]{end}}}'
    tracemalloc.start()
    answer = client.post("/api/search", content=body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status_code, ".0: Input should be" in answer.text) == (400, True)
    assert peak < 10 * len(body)  # a word for each of them takes five hundred times as much
    answer = client.post("/api/search", content=b'{"terms":[' + b"1," * 40_000 + b"1]}")
    assert (answer.status_code, "at most 20,000 commas" in answer.text) == (400, True)


def test_what_is_too_large_is_413(client: TestClient) -> None:
    large = b"x" * 200_000
    for sent in (
        {"content": large, "headers": {"Content-Type": "application/json"}},
        {"files": {"image": ("a.png", large)}},
    ):
        answer = client.post("/api/search", **sent)  # type: ignore[arg-type]
        assert (answer.status_code, "larger than 0.1 MB" in answer.text) == (413, True)


def test_the_documentation_page_asks_no_other_host(client: TestClient) -> None:
    page = client.get("/api/docs").text
    hosts = set(re.findall(r"https?://([^/\"']+)", page))
    assert hosts <= {"testserver"}
    for address in re.findall(r'(?:src|href)="http://testserver([^"]+)"', page):
        assert client.get(address).status_code == 200
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"get", "post"} <= paths["/api/search"].keys()
    assert "$defs" not in client.get("/api/openapi.json").text


def test_any_date_of_the_calendar_can_be_asked(client: TestClient) -> None:
    for after, count in (("0001-01-02", 1), ("2300-01-01", 0), ("9999-12-31", 0)):
        answer = client.get("/api/search", params={"q": "red", "after": after})
        assert (answer.status_code, len(answer.json()["hits"])) == (200, count), answer.text
    assert moment_ns("2026-01-31T12:00:00.5+00:00", "after") == 1769860800_500_000_000


def test_the_description_has_the_errors_that_are_answered(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert set(described["components"]["schemas"]) == {"Error"}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            assert "422" not in responses, path
            assert all(r["content"] == error for code, r in responses.items() if code >= "400")
    for path in ("/media/{image_id}/thumbnail", "/media/{image_id}/image"):
        responses = described["paths"][path]["get"]["responses"]
        assert {"200", "400", "404", "503"} <= set(responses)
        (kind,) = responses["200"]["content"]
        assert kind.startswith("image/")
    for wrong in ("/api/images/x", "/media/x/image", "/api/search?top_k=x"):
        answer = client.get(wrong)
        assert (answer.status_code, set(answer.json())) == (400, {"error", "kind"})
