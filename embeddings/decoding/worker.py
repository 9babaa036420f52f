"""The process that decodes what may be hostile: it reads jobs from stdin and answers on stdout.

The process ends when its stdin does. It may take no more memory, and no more processor time for a
file, than is set here, and write no files.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from embeddings.decoding.decode import Decoded, decode_here
from embeddings.decoding.messages import receive, send
from embeddings.errors import ImageError
from embeddings.images import ImageTransform, prepare_pillow

# Of processor time, for one file. Time on the clock would depend on what else the machine does.
SECONDS = 5
# For one file: its bytes, and its pixels with four bytes each and what converts them.
MEMORY = 900_000_000
BYTES_PER_PIXEL = 5


def main() -> None:
    """Answer jobs until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the program that asks
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Nothing that a decoder says reaches the terminal or the answers.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    prepare_pillow()
    in_use = _address_space()
    while (job := receive(jobs)) is not None:
        asked, data = json.loads(job[0]), job[1]
        _limit(in_use + max(MEMORY, BYTES_PER_PIXEL * asked["max_pixels"] - 100_000_000))
        try:
            send(answers, *_answer(asked, data))
        except MemoryError:
            send(answers, b'{"error": "there is not enough memory to decode it"}', b"")
        del job, data


def _answer(asked: dict[str, Any], data: bytes) -> tuple[bytes, bytes]:
    given = asked["transform"]
    transform = ImageTransform(**{**given, "size": tuple(given["size"])}) if given else None
    try:
        decoded = decode_here(data, asked["max_pixels"], transform, asked["with_thumbnail"])
    except ImageError as error:
        return json.dumps({"error": str(error)}).encode(), b""
    return _packed(decoded)


def _packed(decoded: Decoded) -> tuple[bytes, bytes]:
    size = json.dumps({"width": decoded.width, "height": decoded.height}).encode()
    square = decoded.square.tobytes() if decoded.square else b""
    return size, square + (decoded.thumbnail or b"")


def _address_space() -> int:
    """Bytes; 0 where the system does not tell."""
    with suppress(OSError):
        pages = Path("/proc/self/statm").read_text().split()[0]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _limit(memory: int) -> None:
    """Bound what the next job may take, where the system can (Windows cannot)."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + SECONDS  # less the part of a second
    limits = {"RLIMIT_CPU": until, "RLIMIT_AS": memory, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0}
    for name, value in limits.items():
        with suppress(OSError, ValueError):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(
                kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard)
            )


if __name__ == "__main__":
    main()
