#!/usr/bin/env python3
"""Measure the page's server with thirty people who search at once, against one alone.

Indexes the drawn sample library with the sample encoder, adds as many pictures as are asked for
(20,000 unless told otherwise) with vectors close to those of the drawn ones, starts
`image-search serve` on Milvus Lite, and lets visitors search with different words, each fetching
the 16 thumbnails. Prints for one visitor and for thirty: searches, errors, p50 and
p95 of the search and of the search with its thumbnails, and how the two compare.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import image_id

SCRIPTS = Path(__file__).parent
BIN = Path(sys.executable).parent
THINGS = ("apple", "banana", "lemon", "cherry", "grape", "carrot", "tomato", "pear", "pepper")
PLACES = ("grass", "sand", "wood", "a plate", "a table", "stone", "straw", "ice", "paper", "silk")


@dataclass
class Visit:
    """What one search took, in seconds; with its thumbnails, too."""

    search: float
    whole: float
    failed: bool


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        environment = {**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)}
        _index(Path(folder) / "library", environment)
        _fill(data, options.pictures)
        server = subprocess.Popen(
            [BIN / "image-search", "serve", "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            _measure(_address(server), options)
        finally:
            server.terminate()
            server.wait()
    return 0


def _index(library: Path, environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, SCRIPTS / "make_sample_library.py", library], check=True)
    command = [BIN / "index-folder", library, "--model", "sample"]
    subprocess.run(command, check=True, env=environment)


def _fill(data: Path, count: int) -> None:
    """More rows of the same files: their own vectors, moved a little each."""
    connection = Connection(str(data / "milvus.db"), timeout=60)
    store = MilvusCollection(connection)
    drawn = list(store.entities())
    rng = np.random.default_rng(0)
    for start in range(len(drawn), count, 500):
        rows, vectors = [], []
        for n in range(start, min(start + 500, count)):
            row, vector = drawn[n % len(drawn)]
            moved = vector + rng.normal(scale=0.01, size=vector.shape).astype(np.float32)
            rows.append(replace(row, m_id=image_id("/bench", str(n))))
            vectors.append(moved / np.linalg.norm(moved))
        store.upsert(rows, vectors)
    store.flush()
    print(f"{store.count():,} pictures in Milvus Lite")
    connection.close()


def _address(server: "subprocess.Popen[str]") -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"serving on (http://\S+)", line):
            return found[1]
    raise SystemExit("the server did not start")


def _measure(address: str, options: argparse.Namespace) -> None:
    words = [f"{thing} on {place}, {n}" for n in range(9) for thing in THINGS for place in PLACES]
    with httpx.Client(base_url=address, timeout=120) as client:
        _visit(client, "warm up")
    alone = _visits(address, words, 1, options.searches)
    many = _visits(address, words[options.searches :], options.visitors, options.searches)
    for name, visits in (("one visitor", alone), (f"{options.visitors} at once", many)):
        failed = sum(visit.failed for visit in visits)
        print(f"{name:<14} {len(visits):5} searches, {failed} errors")
        for part in ("search", "whole"):
            p50, p95 = np.percentile([getattr(visit, part) * 1000 for visit in visits], [50, 95])
            label = "with 16 thumbnails" if part == "whole" else part
            print(f"  {label:<20} p50 {p50:8.1f} ms   p95 {p95:8.1f} ms")
    ratio = np.median([v.search for v in many]) / np.median([v.search for v in alone])
    print(f"a search among {options.visitors} over one alone: {ratio:.1f}")


def _visits(address: str, words: list[str], visitors: int, searches: int) -> list[Visit]:
    def stay(number: int) -> list[Visit]:
        with httpx.Client(base_url=address, timeout=120) as client:
            chosen = words[number::visitors][:searches]
            return [_visit(client, text) for text in chosen]

    with ThreadPoolExecutor(visitors) as people:
        return [visit for visits in people.map(stay, range(visitors)) for visit in visits]


def _visit(client: httpx.Client, text: str) -> Visit:
    start = time.perf_counter()
    answer = client.post("/api/search", json={"terms": [{"text": text}], "fold": None})
    searched = time.perf_counter() - start
    if answer.status_code != 200:
        return Visit(searched, searched, failed=True)
    hits = answer.json()["hits"]
    shown = [client.get(hit["thumbnail_url"]).status_code == 200 for hit in hits]
    whole = time.perf_counter() - start
    return Visit(searched, whole, failed=len(shown) != 16 or not all(shown))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--searches", type=int, default=10, help="of each visitor")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
