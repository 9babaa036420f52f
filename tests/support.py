"""Places and small helpers that several test files use."""

import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PHOTOS = Path(os.environ.get("TEST_PHOTOS", ROOT.parent / "shared" / "photos")) / "grocery"
BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
