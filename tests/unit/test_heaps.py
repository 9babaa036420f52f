import os
import platform
import subprocess
import sys

import pytest
from support import ROOT

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="no other C library has heaps of threads"
)

# What `image-search serve` would do: start threads that take memory, and tell of the heaps.
COUNTING = """
import ctypes, sys, tempfile, threading
from webapp import cli

def count(settings):
    meeting = threading.Barrier(13)
    def take():
        kept = [ctypes.create_string_buffer(700) for _ in range(100)]
        meeting.wait()
    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile("r") as told:
        file = ctypes.c_void_p(library.fopen(told.name.encode(), b"w"))
        library.malloc_info(0, file)
        library.fclose(file)
        print(told.read().count("<heap nr="))
    meeting.wait()
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
    return 0

cli.servers.serve = count
sys.argv = ["image-search", "serve"]
sys.exit(cli.main())
"""


def heaps_and_pool(**environment: str) -> tuple[int, str]:
    said = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "ARROW_DEFAULT_MEMORY_POOL")
    kept = {name: value for name, value in os.environ.items() if name not in said}
    command = [sys.executable, "-c", COUNTING]
    ran = subprocess.run(
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=True
    )
    heaps, pool = ran.stdout.split()
    return int(heaps), pool


def test_a_server_s_threads_share_two_heaps() -> None:
    assert heaps_and_pool() == (2, "system")


def test_who_chooses_otherwise_gets_it() -> None:
    assert heaps_and_pool(MALLOC_ARENA_MAX="3") == (3, "system")
    assert heaps_and_pool(GLIBC_TUNABLES="glibc.malloc.arena_max=4") == (4, "system")
    assert heaps_and_pool(ARROW_DEFAULT_MEMORY_POOL="mimalloc") == (2, "mimalloc")
