#!/usr/bin/env python3
"""Measure searching: p50 and p95 of its steps, and of the whole with one client and with eight.

Fills Milvus Lite with made vectors (20,000 unless told otherwise), and prints

  encoding     one text that was not asked before, through the encoder
  store        the search in Milvus
  presenting   hits as the JSON of an answer
  the whole    a new text each time; the same text again, which comes from the cache; eight clients

and, for the encoding, the time of open_clip's own encode_text in float32 in turns with it.
Random weights are used for models other than the sample, and allowed here only: speed does not
depend on them.
"""

import argparse
import copy
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import torch

from configs.commandline import quiet_libraries
from embeddings.models import canonical
from embeddings.openclip.building import Built, build
from embeddings.openclip.encoder import OpenClipEncoder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord, image_id
from webapp.presenters import result_json
from webapp.query import text_query
from webapp.search import SearchService

COLOURS = ("red", "green", "blue", "yellow", "orange", "brown", "black", "white", "grey", "pink")
THINGS = ("apple", "car", "dog", "house", "tree", "boat", "lemon", "bird", "chair", "river")
PLACES = ("grass", "sand", "snow", "wood", "water", "stone", "straw", "ice", "paper", "silk")


def main() -> int:
    options = _options()
    quiet_libraries()
    built = _built(options.model)
    encoder = OpenClipEncoder(built, device="cpu", precision="auto")
    texts = (f"{c} {t} on {p} today" for c, t, p in itertools.product(COLOURS, THINGS, PLACES))
    folder = Path(tempfile.mkdtemp())
    connection = Connection(str(folder / "milvus.db"), timeout=60)
    try:
        store = MilvusCollection(connection)
        _fill(store, encoder, options.vectors)
        _encoding(built, encoder, texts, options.queries)
        _searching(SearchService(store, lambda record: encoder), store, encoder, texts, options)
    finally:
        connection.close()
        shutil.rmtree(folder)
    return 0


def _built(name: str) -> Built:
    if name == "sample":
        return build(name, None, Path())
    architecture, _ = canonical(name, None)
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, load_weights=False).eval()
    preprocess = open_clip.get_model_preprocess_cfg(model)
    return Built(model, open_clip.get_tokenizer(architecture), preprocess, f"{name}/random")


def _fill(store: MilvusCollection, encoder: OpenClipEncoder, count: int) -> None:
    store.prepare(ModelRecord(encoder.model_id, encoder.dim, "bench", None))
    rng = np.random.default_rng(0)
    for start in range(0, count, 500):
        vectors = rng.normal(size=(min(500, count - start), encoder.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        names = [f"c{n % 20}/{n}.jpg" for n in range(start, start + len(vectors))]
        rows = [
            ImageRow(image_id("/b", n), f"/b/{n}", "/b", n.split("/")[0], 0, 1, n, 640, 480)
            for n in names
        ]
        store.upsert(rows, list(vectors))
    store.flush()
    print(f"{store.count():,} vectors of {encoder.dim} dimensions in Milvus Lite")


def _encoding(built: Built, encoder: OpenClipEncoder, texts: Iterator[str], count: int) -> None:
    """Ours and open_clip's in turns; a copy of the model stays in float32 for the latter."""
    model = copy.deepcopy(built.model).float()
    encoder.encode_texts(["measures and warms"])

    def theirs(text: str) -> None:
        with torch.inference_mode():
            model.encode_text(built.tokenizer([text]))

    theirs("warm")
    pairs = []
    for text in itertools.islice(texts, count):
        pairs.append(
            (_seconds(lambda t=text: encoder.encode_texts([t])), _seconds(lambda t=text: theirs(t)))
        )
    _print("encoding", [ours for ours, _ in pairs])
    _print("open_clip's encode_text, float32", [other for _, other in pairs])
    ratio = statistics.median(ours / other for ours, other in pairs)
    print(f"{'ours over theirs':<34} {ratio:6.2f}")


def _searching(
    service: SearchService,
    store: MilvusCollection,
    encoder: OpenClipEncoder,
    texts: Iterator[str],
    options: argparse.Namespace,
) -> None:
    count = options.queries
    service.warm_up()
    vectors = encoder.encode_texts(list(itertools.islice(texts, 8)))
    store.search(vectors[0], 17)
    _print("store", [_seconds(lambda n=n: store.search(vectors[n % 8], 33)) for n in range(count)])
    result = service.search(text_query("red apple"))
    _print("presenting", [_seconds(lambda: result_json(result)) for _ in range(count)])

    def ask(text: str) -> float:
        return _seconds(lambda: result_json(service.search(text_query(text))))

    _print("the whole, one client", [ask(next(texts)) for _ in range(count)])
    _print("the whole, one client, same text", [ask("red apple") for _ in range(count)])
    asked = list(itertools.islice(texts, 8 * count))
    with ThreadPoolExecutor(8) as clients:
        start = time.perf_counter()
        _print("the whole, eight clients", list(clients.map(ask, asked)))
        rate = len(asked) / (time.perf_counter() - start)
    print(f"{'eight clients':<34} {rate:6.1f} searches a second")


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _print(name: str, seconds: list[float]) -> None:
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    print(f"{name:<34} p50 {p50:7.1f} ms   p95 {p95:7.1f} ms")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="ViT-L/14@336px")
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=50, help="for each line; 8 times for eight")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
