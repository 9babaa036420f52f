"""How much memory a long-running process keeps for its threads."""

import ctypes
import os
import sys

MOST_HEAPS = 2
M_ARENA_MAX = -8
"""Of malloc.h."""


def share_heaps() -> None:
    """Let all threads of this process take their memory from two heaps, Arrow's too.

    The GNU C library gives each thread a heap of its own, up to eight for each core, and a heap
    gives back only what is free at its end; Arrow's allocator keeps for each thread what that has
    freed. A server whose requests pass from thread to thread fills one after the other for hours
    (see mallopt(3) and arrow::default_memory_pool; docs/reliability.md has what was measured).

    Has to be called before the first thread starts and Arrow is imported, since both look only
    once. Leaves alone what the environment says already, and other C libraries.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    said = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if not said:
        library.mallopt(M_ARENA_MAX, MOST_HEAPS)
