#!/usr/bin/env python3
"""Measure a store: fill it with vectors, build its index, and search it, FLAT beside IVF_FLAT.

    bench_store.py --vectors 100000                                  in Milvus Lite
    bench_store.py --vectors 1000000 --milvus-uri http://HOST:19530 --server-pid PID

The vectors are made (``clip_like.py`` says how), or, with --embeddings, those of a file that
``image-search export`` wrote. Prints what the page lives through: the insert rate, searches while
the index is being built, the time until it is, and then for each index recall@16 against exact
search, p50 and p95 with the ``nprobe`` or ``ef`` that ``image-search tune`` would choose: one
client and eight, with a category filter (one picture of twenty) and without. The collection
``bench_store`` is dropped before and after; with --keep it stays, and the next run with --keep goes
on with its rows.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
from clip_like import CHUNK, ClipLike, Matrix
from numpy.typing import NDArray
from process_memory import resident_mib

from configs.commandline import quiet_libraries
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import Embedding, ImageRow, ModelRecord
from milvus.errors import StoreUnavailable
from milvus.filters import EVERYTHING, ImageFilter
from milvus.index_params import INDEX_TYPES, choose_index
from webapp.tuning import TOP_K, cheapest, exact_ids, measure, measure_each, moved, wait_for_index

CATEGORIES = 20
FILTER = ImageFilter(categories=("c3",))
CLIENTS = 8
LOOK_EVERY_S = 20.0
AT_MOST_S = 3 * 3600.0


class Vectors(Protocol):
    """What fills the store, and what is asked."""

    dim: int

    def rows(self, count: int) -> Iterator[tuple[Matrix, NDArray[np.int64]]]: ...

    def queries(self, count: int) -> Matrix: ...


class Exported:
    """Embeddings of a file of ``image-search export``; queries are some of them, moved."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self._rows: Matrix = file["embedding"].astype(np.float32)
            self._clusters = np.unique(file["category"], return_inverse=True)[1].astype(np.int64)
        self.dim = int(self._rows.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, count: int) -> Iterator[tuple[Matrix, NDArray[np.int64]]]:
        for start in range(0, count, CHUNK):
            part = slice(start, min(start + CHUNK, count))
            yield self._rows[part], self._clusters[part]

    def queries(self, count: int) -> Matrix:
        chosen = np.random.default_rng(0).choice(len(self._rows), count, replace=False)
        return moved(self._rows[chosen])


class Asked:
    """Queries and their exact answers, for all rows and for those of one category."""

    def __init__(self, vectors: Vectors, rows: int, queries: int) -> None:
        self.queries = vectors.queries(queries)
        pairs = _pairs(vectors, rows)
        self.exact = exact_ids(self.queries, ((key, row) for key, row, _ in pairs), TOP_K)
        pairs = _pairs(vectors, rows)
        self.exact_filtered = exact_ids(
            self.queries, ((key, row) for key, row, name in pairs if name == "c3"), TOP_K
        )


def main() -> int:
    options = _options()
    quiet_libraries()
    vectors: Vectors = Exported(options.embeddings) if options.embeddings else ClipLike()
    rows = len(vectors) if isinstance(vectors, Exported) else options.vectors
    folder = Path(tempfile.mkdtemp())
    uri = options.milvus_uri or str(folder / "milvus.db")
    connection = Connection(uri, token=options.milvus_token, timeout=120)
    store = MilvusCollection(connection, "bench_store", options.index[0])
    try:
        filled = options.keep and store.exists() and store.sealed_rows() >= rows
        if store.exists() and not filled:
            store.drop()
        place = "Milvus Lite" if store.is_lite else f"a Milvus server {store.version()}"
        print(f"{rows:,} vectors of {vectors.dim} dimensions in {place}")
        asked = Asked(vectors, rows, options.queries)
        before = resident_mib(options.server_pid)
        if not filled:
            _fill(store, vectors, rows, options.write_batch)
        for number, kind in enumerate(options.index):
            if number:
                _rebuild(store, kind, rows, vectors.dim)
            else:
                _await_index(store, asked)
            _search(store, asked, options.recall)
            after = resident_mib(options.server_pid)
            print(f"  {after:,.0f} MiB of memory, {before:,.0f} before the first vector")
    finally:
        if store.exists() and not options.keep:
            store.drop()
        connection.close()
        shutil.rmtree(folder)
    return 0


def _pairs(vectors: Vectors, rows: int) -> Iterator[tuple[int, Embedding, str]]:
    numbers = count()
    for chunk, clusters in vectors.rows(rows):
        for row, cluster in zip(chunk, clusters.tolist(), strict=True):
            yield next(numbers), row, f"c{cluster % CATEGORIES}"


def _fill(store: MilvusCollection, vectors: Vectors, rows: int, write_batch: int) -> None:
    store.prepare(ModelRecord("bench/clip-like", vectors.dim, "bench", None))
    pairs = _pairs(vectors, rows)
    began = time.perf_counter()
    for start in range(0, rows, write_batch):
        batch = [next(pairs) for _ in range(start, min(start + write_batch, rows))]
        store.upsert(
            [
                ImageRow(n, f"/b/{c}/{n}.jpg", "/b", c, n, 1, f"{n:032x}", 640, 480)
                for n, _, c in batch
            ],
            [row for _, row, _ in batch],
        )
    written = time.perf_counter()
    store.flush()
    flushed = time.perf_counter()
    print(
        f"inserted in {written - began:.0f} s: {rows / (written - began):,.0f} a second in batches "
        f"of {write_batch}; flushed in {flushed - written:.1f} s"
    )


def _await_index(store: MilvusCollection, asked: Asked) -> None:
    """Search now and then until the index is built and used, and tell how that was."""
    began = time.perf_counter()
    looks = []
    while (state := store.index_state()) and state.pending_rows:
        try:
            looks.append(measure(store, asked.queries[:10], asked.exact[:10], None))
        except StoreUnavailable as error:
            print(f"  a search failed meanwhile: {error}")
        time.sleep(LOOK_EVERY_S)
        if time.perf_counter() - began > AT_MOST_S:
            raise SystemExit("the index was not built in three hours")
    wait_for_index(store, asked.queries, lambda line: None, AT_MOST_S)
    print(f"indexed and in use {time.perf_counter() - began:.0f} s after the flush")
    if looks:
        print(
            f"  searches meanwhile: recall {np.mean([one.recall for one in looks]):.3f}, p50 "
            f"{np.median([one.p50_ms for one in looks]):.1f} ms, slowest "
            f"{max(one.p95_ms for one in looks):.0f} ms, in {len(looks)} looks of ten searches"
        )


def _rebuild(store: MilvusCollection, kind: str, rows: int, dim: int) -> None:
    began = time.perf_counter()
    store.rebuild_index(choose_index(kind, store.is_lite, rows, dim))
    print(f"rebuilt as {kind} in {time.perf_counter() - began:.0f} s")


def _search(store: MilvusCollection, asked: Asked, recall: float) -> None:
    measured = measure_each(store, asked.queries, asked.exact, recall, lambda line: None)
    index = store.index
    print(f"{index.index_type} {index.build() or ''}")
    for one in measured:
        knob = f"{index.knob} {one.effort}" if one.effort else "no choice"
        print(f"  {knob:<12} recall {one.recall:.4f}   p50 {one.p50_ms:.1f}   p95 {one.p95_ms:.1f}")
    chosen = cheapest(measured, recall) or measured[-1]

    def ask(only: ImageFilter, effort: int | None) -> Callable[[Embedding], set[int]]:
        return lambda query: {m.row.m_id for m in store.search(query, TOP_K, only, effort=effort)}

    for name, only, effort, exact in (
        ("everything", EVERYTHING, chosen.effort, asked.exact),
        ("a category", FILTER, None, asked.exact_filtered),
    ):
        for clients in (1, CLIENTS) if any(exact) else ():
            _tell(f"{name}, {clients} at once", ask(only, effort), asked.queries, exact, clients)


def _tell(
    name: str,
    ask: Callable[[Embedding], set[int]],
    queries: Matrix,
    exact: Sequence[set[int]],
    clients: int,
) -> None:
    def timed(query: Embedding) -> tuple[float, set[int]]:
        began = time.perf_counter()
        found = ask(query)
        return 1000 * (time.perf_counter() - began), found

    ask(queries[0])
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(timed, queries))
    rate = len(queries) / (time.perf_counter() - began)
    hits = sum(len(found & best) for (_, found), best in zip(answers, exact, strict=True))
    p50, p95 = np.percentile([took for took, _ in answers], [50, 95])
    print(
        f"  {name:<22} recall {hits / sum(map(len, exact)):.4f}   p50 {p50:6.1f} ms   "
        f"p95 {p95:6.1f} ms   {rate:6.1f} a second"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--embeddings", metavar="FILE.npz", type=Path)
    parser.add_argument("--milvus-uri", help="default: a Milvus Lite file of its own")
    parser.add_argument("--milvus-token")
    parser.add_argument("--server-pid", type=int, help="to read the server's memory")
    parser.add_argument("--index", nargs="+", choices=INDEX_TYPES, default=["IVF_FLAT", "FLAT"])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--write-batch", type=int, default=50)
    parser.add_argument("--keep", action="store_true", help="leave the collection to other runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
