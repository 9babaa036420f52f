"""Requests as an attacker writes them, and the routes that they are tried on."""

import functools
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from support import ROOT

ANSWER_S = 20


@dataclass(frozen=True)
class Answer:
    """What came back, to the last byte."""

    status: int
    head: bytes
    body: bytes


def ask(
    address: str, target: bytes, method: str = "GET", *headers: str, body: bytes = b""
) -> Answer:
    """Send a request target as it is; every client would tidy it up."""
    parts = urlsplit(address)
    lines = [f"Host: {parts.netloc}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    head = method.encode() + b" " + target + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode()
    with socket.create_connection((parts.hostname or "", parts.port or 80), ANSWER_S) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    answered, _, content = received.partition(b"\r\n\r\n")
    return Answer(int(answered.split()[1]), answered, content)


@functools.cache
def routes() -> list[tuple[str, str]]:
    """(method, path) of every route of the application, Gradio's with them.

    Listed by a process of its own: Gradio leaves threads and event loops behind.
    """
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "list_routes.py"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    )
    return [(method, path) for method, path in json.loads(ran.stdout)]


def filled(path: str, value: str) -> str:
    """A route's path with a value in place of each of its parameters."""
    return re.sub(r"\{[^}]*\}", lambda _: value, path)


def spellings(path: Path) -> list[str]:
    """Ways to write a file's path that have led astray one server or another."""
    absolute = str(path)
    below = absolute.lstrip("/")
    up = 14
    return [
        absolute,
        "/" + absolute,
        "../" * up + below,
        "/" + "../" * up + below,
        "%2e%2e/" * up + below,
        "..%2f" * up + quote(below, safe=""),
        "%2e%2e%2f" * up + quote(below, safe=""),
        "%252e%252e%252f" * up + quote(quote(below, safe=""), safe=""),
        "..\\" * up + below.replace("/", "\\"),
        "..%5c" * up + below.replace("/", "%5c"),
        "%c0%ae%c0%ae/" * up + below,
        "..;/" * up + below,
        "....//" * up + below,
        quote(absolute, safe=""),
        absolute + "%00.webp",
        absolute + "?.webp",
        "file://" + absolute,
        "~/" + "../" * up + below,
    ]
