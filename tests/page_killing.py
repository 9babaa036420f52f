"""A page killed while a visitor indexes from it and others search: one more run mends all.

The quick test and ``scripts/torture_kills.py --victim page`` share this. All is the real thing: the
commands, the sample encoder, the store.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from killing import Scene, encode
from support import BIN, run

from embeddings.encoder import Embeddings
from embeddings.load import load_encoder

GIVE_UP_S = 240
BETWEEN_SEARCHES_S = 0.05
SETTINGS = {
    "IMAGE_SEARCH_MODEL__NAME": "sample",
    # One format of numbers for all processes: "auto" may take another in each.
    "IMAGE_SEARCH_MODEL__PRECISION": "fp32",
    "IMAGE_SEARCH_SERVER__REQUESTS_PER_MINUTE": "0",
}


class PageScene(Scene):
    """A library that visitors index from the page; the settings' own data folder."""

    def whole_run(self) -> float:
        """Index to the end by the command; the seconds that it took."""
        began = time.monotonic()
        ran = run("index-folder", self.root, "--json", data=self.data, **self._settings())
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert not report["skipped"], ran.out
        return time.monotonic() - began

    def kill_after(self, seconds: float) -> bool:
        """Index from the page and kill the server meanwhile; whether that cut the run short."""
        return self.kill_when(lambda _, passed: passed >= seconds)

    def kill_when(self, reached: Callable[[dict[str, Any], float], bool]) -> bool:
        """The same, when the answer of ``/api/index`` and the seconds since the run was asked for
        say so, or when it is done."""
        state: dict[str, Any] = {}
        answered: Counter[int] = Counter()
        with self._served() as (process, address), httpx.Client(timeout=GIVE_UP_S) as visitor:
            begun = visitor.post(f"{address}/api/index", json={"folder": str(self.root)})
            assert begun.status_code == 202, begun.text
            began = time.monotonic()
            others = threading.Thread(target=_search, args=(address, answered))
            others.start()

            def is_moment() -> bool:
                state.update(visitor.get(f"{address}/api/index").json())
                assert state["state"] in ("running", "done"), state
                return state["state"] == "done" or reached(state, time.monotonic() - began)

            try:
                until(is_moment)
                children = below(process.pid)
            finally:
                process.kill()
                others.join(GIVE_UP_S)
        # As long as nothing is indexed, or the model is being loaded, they are told so.
        assert set(answered) <= {200, 503}, answered
        until(lambda: not any(is_alive(child) for child in children))
        return bool(state["state"] == "running")

    def encode(self, paths: list[Path]) -> Embeddings:
        """Vectors of files as nothing but the files say."""
        encoder = load_encoder("sample", None, models_dir=self.data, precision="fp32")
        return encode(encoder, paths)

    def _settings(self) -> dict[str, str]:
        return {**SETTINGS, "IMAGE_SEARCH_MILVUS__URI": self.uri}

    @contextlib.contextmanager
    def _served(self) -> Iterator[tuple["subprocess.Popen[str]", str]]:
        """A server and its address; it is killed at the end."""
        given = ("--port", "0", "--allow-indexing", str(self.root))
        process = subprocess.Popen(
            [BIN / "image-search", "serve", *given],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._settings(), "IMAGE_SEARCH_DATA_DIR": str(self.data)},
        )
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "serving on" in line:
                    yield process, line.split()[2]
                    break
            else:
                raise AssertionError("the server did not start")
        finally:
            process.kill()
            process.wait(30)
            process.stderr.close()


def page_scene(folder: Path, uri: str, seed: int) -> PageScene:
    """A drawn library in a folder, and a store that knows nothing of it yet."""
    made = PageScene(folder / "library", folder / "data", uri, np.random.default_rng(seed))
    made.data.mkdir(parents=True)
    made.draw()
    return made


def _search(address: str, answered: Counter[int]) -> None:
    """Search until the server is gone; counts the statuses."""
    with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=GIVE_UP_S) as visitor:
        while True:
            answer = visitor.get(f"{address}/api/search", params={"q": "lemon"})
            answered[answer.status_code] += 1
            time.sleep(BETWEEN_SEARCHES_S)


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def below(pid: int) -> set[int]:
    """The processes that a process started, and theirs."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | below(child)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
