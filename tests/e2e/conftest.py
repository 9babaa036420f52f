"""The real commands, a real library, a real browser."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import Browser, sync_playwright
from support import BIN, ROOT, run

READY = re.compile(r"serving on (http://\S+)")
START_S = 120
POLICY = "Content Security Policy"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of a test's own."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn sample library, with a seed that nothing was trained on."""
    folder = tmp_path_factory.mktemp("drawn") / "library"
    program = ROOT / "scripts" / "make_sample_library.py"
    arguments = [str(folder), "--seed", "20261121", "--per-category", "30"]
    subprocess.run([sys.executable, program, *arguments], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def indexed(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the sample library is indexed."""
    data = tmp_path_factory.mktemp("indexed") / "data"
    ran = run("index-folder", library, "--model", "sample", data=data)
    assert ran.code == 0, ran.err
    return data


@contextlib.contextmanager
def servers() -> Iterator[Callable[..., str]]:
    """Start ``image-search serve`` on a free port; its address. All are stopped at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(data: Path, *options: str, cwd: Path | None = None) -> str:
        process = subprocess.Popen(
            [BIN / "image-search", "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
            cwd=cwd,
        )
        processes.append(process)
        timer = threading.Timer(START_S, process.kill)
        timer.start()
        assert process.stderr is not None
        printed = ""
        for line in process.stderr:
            printed += line
            if ready := READY.search(line):
                timer.cancel()
                return ready[1]
        raise AssertionError(f"the server did not start: {printed}")

    try:
        yield start
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts servers that end with the test; each holds a model in memory."""
    with servers() as start:
        yield start


@pytest.fixture(scope="module")
def serve_all() -> Iterator[Callable[..., str]]:
    """Starts servers for all tests of a file."""
    with servers() as start:
        yield start


# Playwright runs an event loop in this thread, beside which no other test can run one: it ends with
# the file.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real headless Chromium: the system's where there is one, else Playwright's own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            # Root, as in containers, has no sandbox. The rest keeps Chromium from calling home.
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def address(indexed: Path) -> Iterator[str]:
    """A server over the sample library."""
    with servers() as start:
        yield start(indexed)


@pytest.fixture
def visitor(browser: Browser, address: str) -> Iterator[Visitor]:
    """Somebody who has not come to the page yet; what it throws, and what its policy refuses, fails
    the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on("console", lambda said: thrown.append(said.text) if POLICY in said.text else None)
    yield Visitor(page, address)
    context.close()
    assert thrown == []
