#!/usr/bin/env python3
"""Measure the peak memory of index-folder for a folder, and for ten copies of it.

The copies have other names and the same content. Prints both peaks and their ratio. Milvus Lite
runs inside the command, and keeps the collection in memory; with --store-apart this program holds
the store, as a page that is being served would, and the command's own memory is what is printed.
"""

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path

from milvus.connection import Connection


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="sample")
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--store-apart", action="store_true", help="hold the store from outside")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    try:
        peaks = []
        for copies in (1, options.copies):
            library = work / f"library-{copies}"
            for number in range(copies):
                shutil.copytree(options.folder, library / f"copy-{number}")
            data = work / f"data-{copies}"
            with _holding(data / "milvus.db") if options.store_apart else nullcontext():
                images, peak = _index(library, data, options.model)
            print(f"{images:>8,} files: {peak / 2**20:8,.0f} MiB at most")
            peaks.append(peak)
            shutil.rmtree(library)
        print(f"ratio {peaks[1] / peaks[0]:.3f}")
    finally:
        shutil.rmtree(work)
    return 0


def _holding(store: Path) -> "closing[Connection]":
    connection = Connection(str(store))
    connection.call(lambda client: client.list_collections())
    return closing(connection)


def _index(library: Path, data: Path, model: str) -> tuple[int, int]:
    """Number of files, and the command's peak resident memory in bytes."""
    command = str(Path(sys.executable).parent / "index-folder")
    arguments = [command, str(library), "--model", model, "--data-dir", str(data)]
    process = os.posix_spawn(command, arguments, os.environ)
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"bench_memory: {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return sum(1 for path in library.rglob("*") if path.is_file()), usage.ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())
