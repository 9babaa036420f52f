"""Milvus Lite, shared: the first program that opens a file serves it to the others.

Milvus Lite runs inside one process, on a loopback port, and locks its file. So the process that
holds the lock writes its port beside the file; another one that finds the file locked connects
there. When the holder leaves, whoever asks next opens the file itself.
"""

import atexit
import contextlib
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from milvus.errors import StoreDamaged, StoreError, StoreLocked, StoreUnwritable
from milvus.lite_endpoint import HOST, address, endpoint_file, publish, published_port
from milvus.lite_files import LOCK, check_files, check_place

# A holder writes its port as soon as it has recovered the file, which takes seconds when large.
WAIT_FOR_HOLDER_S = 10.0
# Milvus Lite gathers writes in memory and turns them into Python objects, ten times as large, to
# write them out. Its own limit of 128 MiB takes more than a gigabyte then, and several seconds.
MEMTABLE_LIMIT = ("MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES", str(8 * 1024 * 1024))
_held: dict[Path, tuple[object, object, str]] = {}
_lock = threading.Lock()


def is_lite(uri: str) -> bool:
    """Whether an address is a local file rather than a server.

    Raises StoreError for what is neither, such as ``host:port``, which would make a file of that
    name, and for an address that holds a password, which messages would show.
    """
    if re.match(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+(/|$)", uri):
        raise StoreError(f"{uri} is neither a file nor a full address; write http://{uri}")
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return True
    if scheme not in ("http", "https", "tcp", "grpc"):
        raise StoreError(f"{scheme}:// is no address of Milvus; write http://HOST:PORT, or a path")
    if "@" in rest.partition("/")[0]:
        raise StoreError("give user and password as --milvus-token, not in --milvus-uri")
    return False


def lite_address(path: Path) -> str:
    """The address of the server of a Milvus Lite file, started here unless another has it.

    Raises StoreUnwritable, StoreDamaged or StoreLocked.
    """
    path = path.absolute()
    deadline = time.monotonic() + WAIT_FOR_HOLDER_S
    while True:
        with _lock:
            if path in _held:
                return _held[path][2]
            if _open(path):
                return _held[path][2]
        port = published_port(path)
        if port and _answers(port):
            return address(port)
        if time.monotonic() > deadline:
            raise StoreLocked(
                f"{path} is in use by another program that does not share it; "
                "stop that program, or give another --milvus-uri"
            )
        time.sleep(0.1)


def release(path: Path) -> None:
    """Stop serving a file, if this process does; what was written is safe on the disk."""
    with _lock:
        held = _held.pop(path.absolute(), None)
    if held is None:
        return
    server, database, _ = held
    endpoint_file(path.absolute()).unlink(missing_ok=True)
    server.stop(grace=2).wait(2)  # type: ignore[attr-defined]
    database.close()  # type: ignore[attr-defined]


@contextlib.contextmanager
def without_clustering_warnings() -> Iterator[None]:
    """Drop the line that FAISS prints, from C, when k-means gets few rows for its cells.

    It means nothing here: with as many cells as a search reads, results are exact however the
    rows fall into them. Whatever else is printed meanwhile is passed on afterwards.
    """
    with tempfile.TemporaryFile() as caught:
        saved = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if not line.startswith("WARNING clustering"):
                    sys.stderr.write(line + "\n")


def _open(path: Path) -> bool:
    """Open and serve a file; False where another process holds it."""
    os.environ.setdefault(*MEMTABLE_LIMIT)  # read when milvus_lite is imported
    from milvus_lite.adapter.grpc.server import start_server_in_thread
    from milvus_lite.db import MilvusLite
    from milvus_lite.exceptions import DataDirLockedError

    try:
        check_place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if (path / LOCK).exists():
            with MilvusLite(str(path)):  # opens no collection; holds the lock meanwhile
                # A killed holder's port may be another program's by now.
                endpoint_file(path).unlink(missing_ok=True)
                check_files(path)
        server, database, port = start_server_in_thread(str(path), HOST, 0)
    except DataDirLockedError:
        return False
    except StoreError:
        raise
    except OSError as error:
        raise StoreUnwritable(
            f"the store {path} cannot be opened: {error.strerror or error}; "
            "give another --data-dir or --milvus-uri"
        ) from error
    except Exception as error:  # what a damaged file makes the engine raise is not foreseeable
        raise StoreDamaged(
            f"the store {path} cannot be read ({type(error).__name__}: {error}); it was left as "
            "it is: move it away and index again, or give another --milvus-uri"
        ) from error
    _held[path] = (server, database, address(port))
    atexit.register(release, path)
    with contextlib.suppress(OSError):  # without it the file is only not shared
        publish(path, port)
    return True


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
