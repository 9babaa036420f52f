"""The files of indexed pictures, opened only while they are what was indexed.

A link may have been put in a picture's place, or its target exchanged, with the size and time of
the picture: what is given out is told by its content, and read from the file that was looked at.
"""

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from io import BufferedReader
from pathlib import Path

from milvus.entities import ImageRow
from milvus.int64 import storable_time
from webapp.errors import ImageGone

HASH_BYTES = 16
MOST_KNOWN = 10_000
# Opening a pipe that was put in a picture's place would wait for its writer.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_known: OrderedDict[tuple[int, ...], str] = OrderedDict()
_lock = threading.Lock()


def original(row: ImageRow) -> Path:
    """The file of an indexed picture, as long as its size and time are those that were indexed.

    Raises ImageGone where it is missing, changed, or no longer a regular file. Says nothing of its
    content: ``open_original`` does.
    """
    path = Path(row.path)
    try:
        _check(path.stat(), row)
    except OSError as error:
        raise ImageGone(f"{row.path} is gone since it was indexed") from error
    return path


def open_original(row: ImageRow) -> BufferedReader:
    """An indexed picture's file, with the content that was indexed. Raises ImageGone."""
    try:
        file = os.fdopen(os.open(row.path, FLAGS), "rb")
    except (OSError, ValueError) as error:
        raise ImageGone(f"{row.path} is gone since it was indexed") from error
    try:
        status = os.fstat(file.fileno())
        _check(status, row)
        if _content_hash(file, status) != row.content_hash:
            raise _changed(row)
    except BaseException as error:
        file.close()
        if isinstance(error, OSError):
            raise ImageGone(f"{row.path} cannot be read: {error.strerror}") from error
        raise
    return file


def _check(status: os.stat_result, row: ImageRow) -> None:
    same = status.st_size == row.size and storable_time(status.st_mtime_ns) == row.mtime_ns
    if not stat.S_ISREG(status.st_mode) or not same:
        raise _changed(row)


def _content_hash(file: BufferedReader, status: os.stat_result) -> str:
    # The time of the last change to a file or its times cannot be set by hand, as the others can.
    identity = (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )  # fmt: skip
    with _lock:
        known = _known.get(identity)
    if known is None:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=HASH_BYTES))
        known = digest.hexdigest()
        file.seek(0)
        with _lock:
            _known[identity] = known
            if len(_known) > MOST_KNOWN:
                _known.popitem(last=False)
    return known


def _changed(row: ImageRow) -> ImageGone:
    return ImageGone(f"{row.path} has changed since it was indexed; index its folder again")
