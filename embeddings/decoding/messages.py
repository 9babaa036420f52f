"""Jobs and answers between a program and its workers: two parts each, after their lengths."""

import struct
from typing import IO

LENGTH = struct.Struct(">Q")


def send(stream: IO[bytes], head: bytes, content: bytes) -> None:
    """Write a job, or an answer. Raises OSError."""
    for part in (head, content):
        stream.write(LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read a job, or an answer; None at the stream's end. Raises OSError."""
    head = _part(stream)
    content = None if head is None else _part(stream)
    return None if head is None or content is None else (head, content)


def _part(stream: IO[bytes]) -> bytes | None:
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(length)
    part = stream.read(size)
    return part if len(part) == size else None
