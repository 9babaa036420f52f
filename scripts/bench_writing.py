#!/usr/bin/env python3
"""Measure how fast the indexing code writes, with an encoder that costs nothing.

Makes a folder of small pictures, and in turns indexes it into a new collection (walk, read, hash,
decode, upserts in batches of --write-batch in a thread, one flush), writes as many entities by the
store's code alone, and inserts them with pymilvus alone, one batch after the other. Prints pictures
a second for each, and the ratios of the times to the last: the median of the rounds.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_unchanged import FreeEncoder, make_pictures
from pymilvus import MilvusClient

from configs.commandline import quiet_libraries
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord
from milvus.schema import to_entity

MODEL = ModelRecord(FreeEncoder.model_id, FreeEncoder.dim, "bench", None)


def main() -> int:
    options = _options()
    quiet_libraries()
    folder = Path(tempfile.mkdtemp())
    connection = Connection(options.milvus_uri or str(folder / "milvus.db"), timeout=120)
    try:
        make_pictures(folder / "library", options.pictures)
        rounds = []
        for _ in range(options.rounds):
            indexed = _indexed(connection, folder / "library", options)
            rounds.append((indexed, _upserted(connection, options), _inserted(connection, options)))
    finally:
        connection.close()
        shutil.rmtree(folder)
    for name, way in (("indexed", 0), ("written by the store", 1), ("inserted by pymilvus", 2)):
        rate = options.pictures / statistics.median(times[way] for times in rounds)
        ratio = statistics.median(times[way] / times[2] for times in rounds)
        print(f"{name:<22} {rate:7,.0f} a second   {ratio:5.2f} x")
    return 0


def _indexed(connection: Connection, root: Path, options: argparse.Namespace) -> float:
    store, encoder = _emptied(connection), FreeEncoder()
    pipeline = PipelineOptions(write_batch=options.write_batch)
    began = time.perf_counter()
    report = index_library(Folder(root), store, lambda: encoder, pipeline)
    took = time.perf_counter() - began
    assert report.added == options.pictures, report
    store.drop()
    return took


def _upserted(connection: Connection, options: argparse.Namespace) -> float:
    store, encoder, rows = _emptied(connection), FreeEncoder(), _rows(options.pictures)
    began = time.perf_counter()
    for start in range(0, len(rows), options.write_batch):
        part = rows[start : start + options.write_batch]
        store.upsert(part, list(encoder.vectors(len(part))))
    store.flush()
    took = time.perf_counter() - began
    store.drop()
    return took


def _inserted(connection: Connection, options: argparse.Namespace) -> float:
    store, encoder, rows = _emptied(connection), FreeEncoder(), _rows(options.pictures)

    def insert(client: MilvusClient) -> float:
        began = time.perf_counter()
        for start in range(0, len(rows), options.write_batch):
            part = rows[start : start + options.write_batch]
            vectors = encoder.vectors(len(part))
            entities = [to_entity(row, vector) for row, vector in zip(part, vectors, strict=True)]
            client.insert(store.name, entities)
        client.flush(store.name)
        return time.perf_counter() - began

    took: float = connection.call(insert)
    store.drop()
    return took


def _rows(count: int) -> list[ImageRow]:
    return [
        ImageRow(n, f"/library/{n}.png", "/library", "c", n, 100, f"{n:032x}", 8, 8)
        for n in range(count)
    ]


def _emptied(connection: Connection) -> MilvusCollection:
    store = MilvusCollection(connection, "bench_writing")
    if store.exists():
        store.drop()
    store.prepare(MODEL)
    return store


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--milvus-uri", help="default: a Milvus Lite file of its own")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write-batch", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
