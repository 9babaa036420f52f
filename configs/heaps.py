"""How much memory the C library of a long-running process keeps for its threads."""

import ctypes
import os
import sys

MOST_HEAPS = 2
M_ARENA_MAX = -8
"""Of malloc.h."""


def share_heaps() -> None:
    """Let all threads of this process take their memory from two heaps.

    The GNU C library gives each thread a heap of its own, up to eight for each core, and a heap
    gives back only what is free at its end: a server whose requests pass from thread to thread
    fills one after the other for hours (see mallopt(3); docs/reliability.md has the measurement).

    Has to be called before the first thread starts, since the library looks at it only once. Does
    nothing with another C library, or where the environment says what is wanted already.
    """
    said = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if said or sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_ARENA_MAX, MOST_HEAPS)
