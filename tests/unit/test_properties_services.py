"""Any request to the API or the encoder service has an answer that says what is wrong."""

import base64
import contextlib
import io
import json
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from properties import examples
from pydantic import ValidationError
from small_api import small_api

from embeddings.service import Limits, Vectorizer, build_service
from embeddings.wire import Meta, VectorizeAnswer
from webapp.allowed_folders import AllowedFolders
from webapp.bodies import BodyLimit
from webapp.errors import BadFolder, NotAllowed

TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "\0", "..", "/", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NESTED = st.sampled_from(
    ["[" * 100_000, '{"a":' * 100_000, '{"texts":[' + "[" * 5000, "9" * 10_000]
)
KINDS = st.sampled_from(
    ["application/json", "application/json; charset=utf-16", "", "text/plain", "application/xml",
     "multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary=",
     ";"]
)  # fmt: skip
BODY = st.binary(max_size=200) | (JSON.map(json.dumps) | NESTED).map(str.encode)


def _png() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = _png()
IMAGE = st.sampled_from([PICTURE, PICTURE[:40], "", "=", "AAAA", PICTURE + "\n"]) | TEXT


@pytest.fixture
def encoder_service(encoder: FakeEncoder) -> TestClient:
    loading: Future[Vectorizer] = Future()
    loading.set_result(Vectorizer(encoder, max_pixels=1_000_000))
    app = build_service(loading, model="fake", limits=Limits(100_000, 6))
    return TestClient(BodyLimit(app, 100_000))


@pytest.fixture
def api(store: MemoryStore, encoder: FakeEncoder, tmp_path: Path) -> TestClient:
    app = small_api(
        store, encoder, tmp_path / "thumbnails", allowed=[tmp_path], max_pixels=1_000_000
    )
    return TestClient(app)


def is_told(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text[:500]
    if answer.status_code >= 400:
        assert answer.json()["error"]


@given(BODY)
@examples(80)
def test_vectorize_of_anything(encoder_service: TestClient, body: bytes) -> None:
    is_told(encoder_service.post("/vectorize", content=body), 200, 400, 413, 422)


@given(st.none() | st.lists(TEXT, max_size=8), st.none() | st.lists(IMAGE, max_size=8))
@examples(80)
def test_vectorize(
    encoder_service: TestClient, texts: list[str] | None, images: list[str] | None
) -> None:
    content = json.dumps({"texts": texts, "images": images})
    answer = encoder_service.post("/vectorize", content=content)
    is_told(answer, 200, 400, 413, 422)
    if answer.status_code == 200:
        parsed = VectorizeAnswer.model_validate_json(answer.content)
        assert len(parsed.text_vectors) == len(parsed.texts_cut) == len(texts or ())
        assert len(parsed.image_vectors) == len(images or ())


@given(BODY, KINDS)
@examples(80)
def test_posted_searches(api: TestClient, body: bytes, kind: str) -> None:
    answer = api.post("/api/search", content=body, headers={"Content-Type": kind} if kind else None)
    is_told(answer, 200, 400, 413)


@given(st.lists(st.tuples(TEXT, TEXT | st.binary(max_size=50)), max_size=4), st.binary(max_size=80))
@examples(60)
def test_posted_forms(api: TestClient, parts: list[tuple[str, str | bytes]], rest: bytes) -> None:
    lines = [
        b'--x\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n'
        % (
            name.encode("utf-8", "replace"),
            v.encode("utf-8", "replace") if isinstance(v, str) else v,
        )
        for name, v in parts
    ]
    content = b"".join(lines) + rest + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    is_told(api.post("/api/search", content=content, headers=kind), 200, 400)


@given(BODY)
@examples(60)
def test_indexing_of_anything(api: TestClient, body: bytes) -> None:
    answer = api.post("/api/index", content=body, headers={"Content-Type": "application/json"})
    is_told(answer, 400, 403, 413)


@given(st.integers() | TEXT)
@examples(80)
def test_ids(api: TestClient, key: int | str) -> None:
    name = str(key).encode("utf-8", "replace").hex("%") if isinstance(key, str) else str(key)
    name = f"%{name}" if isinstance(key, str) and name else name
    for address in (f"/api/images/{name}", f"/media/{name}/thumbnail", f"/media/{name}/image"):
        answer = api.get(address)
        assert answer.status_code in (400, 404, 307), answer.text


@given(TEXT | st.lists(st.sampled_from(["a", "..", ".", "link", "", "~", "x" * 300])).map("/".join))
@examples(80)
def test_no_name_leads_out_of_the_allowed_folders(name: str) -> None:
    with tempfile.TemporaryDirectory() as outside:
        root = Path(outside) / "root"
        (root / "a" / "a").mkdir(parents=True)
        (root / "link").symlink_to(outside)
        (root / "a" / "link").symlink_to("..")
        allowed = AllowedFolders([root])
        for written in (name, f"{root}/{name}", f"{outside}/{name}"):
            with contextlib.suppress(NotAllowed, BadFolder):
                assert allowed.find(written).resolve().is_relative_to(root.resolve())


@given(JSON | st.dictionaries(st.sampled_from(list(Meta.model_fields)), JSON))
@examples(80)
def test_what_a_service_may_say_of_itself(said: Any) -> None:
    with contextlib.suppress(ValidationError):
        meta = Meta.model_validate_json(json.dumps(said))
        assert Meta.model_validate_json(meta.model_dump_json()) == meta
