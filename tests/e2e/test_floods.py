"""Who opens connections and sends little, or sends much at once, keeps nobody else out."""

import contextlib
import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support import BIN

START_S = 120
READY = re.compile(r"serving on (http://\S+)")
FEW_FILES = 256


@dataclass(frozen=True)
class Server:
    """A process, where it listens and what it said."""

    process: subprocess.Popen[bytes]
    address: str
    said: Path

    def connect(self) -> socket.socket:
        parts = urlsplit(self.address)
        return socket.create_connection((parts.hostname or "", parts.port or 80), 30)

    def memory_mb(self) -> float:
        """Resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1000


@contextlib.contextmanager
def started(folder: Path, data: Path, *command: str, files: int | None = None) -> Iterator[Server]:
    """A command of ours that serves, with so many open files at most."""

    def fewer() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    said = folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [BIN / "image-search", *command],
            stderr=out,
            env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
            preexec_fn=fewer,
        )
    try:
        until = time.monotonic() + START_S
        while not (ready := READY.search(said.read_text())):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)
        yield Server(process, ready[1], said)
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str, within_s: float) -> float:
    """Seconds until somebody new is answered, who tries again as people do."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=within_s).status_code in (200, 204):
                return time.monotonic() - began
        assert time.monotonic() - began < within_s, "nobody is answered"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("serve", "--port", "0"), "/healthz"),
        (("encoder", "--port", "0", "--model", "sample"), "/.well-known/live"),
    ],
)
def test_idle_connections_keep_nobody_out(
    indexed: Path, tmp_path: Path, command: tuple[str, ...], path: str
) -> None:
    with started(tmp_path, indexed, *command, files=FEW_FILES) as server:
        answers(server.address + path, START_S)
        with contextlib.ExitStack() as idle:
            opened = []
            for n in range(400):
                connection = idle.enter_context(server.connect())
                opened.append(connection)
                with contextlib.suppress(OSError):  # some are closed at once
                    connection.sendall(b"GET / HTTP/1.1\r\nHo" if n % 2 else b"")
            assert answers(server.address + path, 15) < 15
            # All of them are closed by now, or soon: none has sent a whole head.
            for connection in opened:
                connection.settimeout(30)
                with contextlib.suppress(ConnectionError):
                    while connection.recv(1000):
                        pass
    assert server.said.stat().st_size < 10_000
    assert "Traceback" not in server.said.read_text()


ENCODER = ("encoder", "--port", "0", "--model", "sample", "--service-max-body-mb", "20")


@pytest.mark.parametrize(
    ("command", "path", "small"),
    [
        (("serve", "--port", "0"), "/api/search", {"q": "apple"}),
        (ENCODER, "/vectorize", {"texts": ["apple"]}),
    ],
)
def test_half_sent_bodies_take_little_memory(
    indexed: Path, tmp_path: Path, command: tuple[str, ...], path: str, small: dict[str, object]
) -> None:
    most = 20_000_000
    piece = b"x" * 1_000_000

    def send(connection: socket.socket) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {most}\r\n\r\n"
        with contextlib.suppress(OSError):  # refused
            connection.sendall(head.encode())
            for _ in range(19):
                connection.sendall(piece)

    with started(tmp_path, indexed, *command) as server:
        url = f"{server.address}{path}"
        until = time.monotonic() + START_S
        while httpx.post(url, json=small, timeout=START_S).status_code == 503:
            assert time.monotonic() < until, "the model is not loaded"
            time.sleep(0.2)
        before = server.memory_mb()
        with contextlib.ExitStack() as held:
            half = [held.enter_context(server.connect()) for _ in range(40)]
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(send, half))
            assert server.memory_mb() - before < 200
            half[-1].settimeout(60)
            # 408 where the machine was too busy to send them all within the time.
            assert half[-1].recv(1000).startswith((b"HTTP/1.1 503", b"HTTP/1.1 408"))
            # What is small is answered meanwhile, to the same address.
            assert httpx.post(url, json=small, timeout=60).status_code == 200
