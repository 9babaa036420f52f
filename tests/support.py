"""Places and small helpers that several test files use."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PHOTOS = Path(os.environ.get("TEST_PHOTOS", ROOT.parent / "shared" / "photos")) / "grocery"
BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error; fails where there is more, such as a traceback."""
        lines = [line for line in self.err.splitlines() if not line.startswith("loading ")]
        assert len(lines) == 1, self.err
        return lines[0]


def run(*command: object, data: Path, **environment: str) -> Ran:
    """Run one of our commands with a data folder of its own."""
    program, *arguments = map(str, command)
    ran = subprocess.run(
        [BIN / program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data), **environment},
        cwd=data.parent,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)
