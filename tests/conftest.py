"""What all tests share: fakes, pictures made on the fly, and the rule about skipped tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from PIL import Image
from support import PHOTOS

MUST_RUN_ALL = bool(os.environ.get("REQUIRE_ALL_TESTS"))


class SkippedTests:
    """Fails a run that skipped tests which must run; also where several processes share them."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A clone without the real photos may leave out their tests, and no others.
        excused = "photos" in report.keywords and not PHOTOS.is_dir()
        if report.skipped and not hasattr(report, "wasxfail") and not excused:
            self._skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("tests that must run and did not", red=True)
            for name in self._skipped:
                terminalreporter.line(name)


def pytest_configure(config: pytest.Config) -> None:
    if MUST_RUN_ALL and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkippedTests())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them, and none of their data."""
    for name in list(os.environ):
        if name.upper().startswith("IMAGE_SEARCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("IMAGE_SEARCH_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def photos() -> Path:
    """The folder of real grocery photos."""
    if not PHOTOS.is_dir():
        pytest.skip(f"no real photos at {PHOTOS}")
    return PHOTOS


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture of one colour, with a little of its name in it so that no two are equal."""

    def write(name: str, colour: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size, colour)
        image.putpixel((0, 0), tuple(np.frombuffer(name.encode()[-3:].rjust(3), np.uint8).tolist()))
        image.save(path)
        return path

    return write
