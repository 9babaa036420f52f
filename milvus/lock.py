"""One writer at a time: writers to one collection must take turns, and each sees a whole state."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from milvus.errors import StoreUnwritable


@contextlib.contextmanager
def writing(path: Path, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; wait where another process holds it, after ``on_wait`` was told who.

    The system frees the lock when a process ends in any way. Raises StoreUnwritable where the file
    cannot be made.
    """
    holder = path.with_name(path.name + ".holder")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait(_read(holder))
            lock.acquire()
        holder.write_text(str(os.getpid()), encoding="ascii")
    except OSError as error:
        raise StoreUnwritable(
            f"{path} cannot be written: {error.strerror or error}; "
            "give another --data-dir or --milvus-uri"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _read(holder: Path) -> str:
    try:
        return f"process {holder.read_text(encoding='ascii')}"
    except OSError:
        return "another process"
