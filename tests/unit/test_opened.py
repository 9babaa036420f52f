"""Answers that end early: the visitor sees that something is missing, and no log is filled."""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from webapp.http_server import BoundedServer
from webapp.opened import OpenedFile

SIZE = 50_000_000


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, SIZE)
    return path


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """A real server for an application; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = BoundedServer(app)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def address(picture: Path) -> Iterator[str]:
    app = FastAPI()

    @app.api_route("/", methods=["GET", "HEAD"])
    def image() -> OpenedFile:
        return OpenedFile(picture.open("rb"), picture, {})

    with serving(app) as address:
        yield address


def test_it_is_sent_whole_and_in_parts(address: str) -> None:
    assert len(httpx.get(address).content) == SIZE
    assert httpx.head(address).headers["content-length"] == str(SIZE)
    part = httpx.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(10))


def test_a_server_that_ends_beside_a_slow_answer_says_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.http_server.SHUTDOWN_S", 1)
    app = FastAPI()

    asked = threading.Event()

    @app.get("/")
    async def slow() -> None:
        asked.set()
        await asyncio.sleep(60)

    with contextlib.ExitStack() as visitor, serving(app) as address:
        monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
        port = int(address.rpartition(":")[2])
        connection = visitor.enter_context(socket.create_connection(("127.0.0.1", port)))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert asked.wait(30)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("change", [lambda size: size // 2, lambda size: size * 2])
def test_one_that_changes_meanwhile_is_cut_and_nothing_is_said(
    address: str,
    picture: Path,
    change: Callable[[int], int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    with httpx.stream("GET", address) as answer:
        parts = answer.iter_raw()
        next(parts)
        os.truncate(picture, change(SIZE))
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message"):
            list(parts)
    assert not caplog.records
    assert len(httpx.get(address).content) == change(SIZE)
