"""Where the program that holds a Milvus Lite file serves it: a line in a file beside it."""

import os
import re
from pathlib import Path

HOST = "127.0.0.1"
# The file may be what a power cut left, or anything: nobody is sent to another machine by it.
ADDRESS = re.compile(r"http://127\.0\.0\.1:([0-9]{1,5})")


def address(port: int) -> str:
    """Where a holder on this port serves."""
    return f"http://{HOST}:{port}"


def publish(path: Path, port: int) -> None:
    """Tell others the port of the holder of a file. Raises OSError."""
    final = endpoint_file(path)
    partial = final.with_name(f"{final.name}.{os.getpid()}")
    partial.write_text(address(port), encoding="ascii")
    partial.replace(final)


def published_port(path: Path) -> int | None:
    """The holder's port; None where there is no file that says it."""
    try:
        text = endpoint_file(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    found = ADDRESS.fullmatch(text.strip())
    port = int(found[1]) if found else 0
    return port if 0 < port < 2**16 else None


def endpoint_file(path: Path) -> Path:
    """The file beside a store."""
    return path.with_name(path.name + ".endpoint")
