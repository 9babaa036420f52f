"""What visitors send stays in memory."""

import tempfile

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from webapp.uploads import read_query

MOST = 5_000_000


def test_uploaded_pictures_touch_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[object] = []
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled.append)
    app = FastAPI()

    @app.post("/")
    async def sizes(request: Request) -> list[int]:
        return [len(image) for image in (await read_query(request, MOST)).images]

    sent = [b"a" * 100, b"b" * 1_200_000, b"c" * 3_000_000]
    with TestClient(app) as client:
        answer = client.post("/", files=[("image", ("a.jpg", content)) for content in sent])
    assert answer.json() == [len(content) for content in sent]
    assert rolled == []
