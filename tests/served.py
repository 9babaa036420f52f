"""``image-search serve`` as a process before a store that comes and goes, and what it answers."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import BIN, free_port

GIVE_UP_S = 240


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """``image-search serve`` as a process; its address."""
    port = free_port()
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen(
        [BIN / "image-search", "serve", "--port", str(port), "--milvus-timeout", "5", *options],
        stderr=log,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(folder / "data")},
    )
    try:
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def answer(address: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(address, timeout=60) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def wait_for(ask: Callable[[], tuple[int, dict[str, Any]]], status: int) -> dict[str, Any]:
    """The first answer of that status."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        got, body = ask()
        if got == status:
            return body
        assert time.monotonic() < deadline, (got, body)
        time.sleep(0.3)
