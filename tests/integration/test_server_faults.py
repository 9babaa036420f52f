"""A network that fails between us and a real server: nothing lost, nothing twice, no hanging."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import RECORD, FakeEncoder
from killing import Scene
from served import answer, serving, wait_for
from support import run
from tcp_proxy import TcpProxy

from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import Embedding, ImageRow
from milvus.errors import StoreError, StoreUnavailable
from milvus.patience import Patience
from webapp import copying
from webapp.copying import copy

PICTURES = 60
BATCH = 10
TIMEOUT_S = 2.0
PATIENCE_S = 90.0
# From when the server can be reached again, with what the machine is busy with.
RECOVERED_S = 30.0
# A search waits for the store a few times over, and the machine may be busy.
ANSWERED_S = 10 * TIMEOUT_S
VISITORS = 8
# scripts/torture asks for more.
ROUNDS = int(os.environ.get("TORTURE_ROUNDS", "1"))
# A request that carries a batch is larger, and no other is.
OF_A_BATCH = 1000

Fault = Callable[[TcpProxy], None]


def late(proxy: TcpProxy) -> None:
    proxy.delay = 10.0


def cut(proxy: TcpProxy) -> None:
    proxy.cut_above = OF_A_BATCH


def lose_the_answer(proxy: TcpProxy) -> None:
    proxy.lose_above = OF_A_BATCH


FAULTS: list[Fault] = [
    TcpProxy.refuse,
    TcpProxy.reset,
    TcpProxy.swallow,
    late,
    cut,
    lose_the_answer,
]


@pytest.fixture
def proxy(milvus_server: str) -> Iterator[TcpProxy]:
    with closing(TcpProxy(milvus_server)) as made:
        yield made


@pytest.fixture
def scene(tmp_path: Path, milvus_server: str) -> Iterator[Scene]:
    """A library, and the server as it is without the proxy."""
    at = Scene(
        tmp_path / "library", tmp_path / "data", milvus_server, np.random.default_rng(5), "faults"
    )
    at.data.mkdir()
    at.draw(PICTURES)
    yield at
    at.forget()


class Disturbed(MilvusCollection):
    """Before each of its first writes something happens; it is over once somebody waits for it."""

    def __init__(self, proxy: TcpProxy, faults: Sequence[Fault], patience_s: float = PATIENCE_S):
        patience = Patience(patience_s, lambda line: proxy.heal())
        super().__init__(Connection(proxy.address, timeout=TIMEOUT_S, patience=patience), "faults")
        self._proxy = proxy
        self._faults = list(faults)
        self.took: dict[str, float] = {}
        """Seconds until a write was done all the same, by the fault."""

    def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None:
            self._proxy.happened.clear()
            fault(self._proxy)
        began = time.monotonic()
        super().upsert(rows, embeddings)
        if fault is not None:
            self.took[fault.__name__] = time.monotonic() - began
            assert self._proxy.happened.is_set() or fault not in (cut, lose_the_answer, late)


def index(store: MilvusCollection, scene: Scene) -> int:
    """The number of pictures that a run encoded."""
    options = PipelineOptions(write_batch=BATCH, decode_threads=1)
    encoder = FakeEncoder(batch_size=5)
    return index_library(Folder(scene.root), store, lambda: encoder, options).encoded


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_indexing_goes_on(proxy: TcpProxy, scene: Scene, seed: int) -> None:
    faults = random.Random(seed).sample(FAULTS, len(FAULTS))
    with closing(Disturbed(proxy, faults)) as store:
        store.prepare(RECORD)
        assert index(store, scene) == PICTURES
        assert store.took.keys() == {fault.__name__ for fault in FAULTS}
        assert max(store.took.values()) < RECOVERED_S, store.took
    scene.check_store()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_copying_goes_on(
    proxy: TcpProxy, scene: Scene, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", BATCH)
    faults = random.Random(seed).sample(FAULTS, len(FAULTS))
    source = MilvusCollection(Connection(str(tmp_path / "milvus.db")), "faults")
    with closing(source), closing(Disturbed(proxy, faults)) as target:
        source.prepare(RECORD)
        index(source, scene)
        copied = copy(source, target)
        assert (copied.copied, copied.images) == (PICTURES, PICTURES)
        assert max(target.took.values()) < RECOVERED_S, target.took
    scene.check_store()


def test_a_batch_that_is_refused_ends_the_run_and_the_next_one_is_whole(scene: Scene) -> None:
    class Refused(MilvusCollection):
        writes = 0

        def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
            self.writes += 1
            if self.writes == 3:
                rows = [replace(row, path="/" + 5000 * "x") for row in rows]
            super().upsert(rows, embeddings)

    with closing(Refused(Connection(scene.uri, timeout=60), "faults")) as store:
        store.prepare(RECORD)
        with pytest.raises(StoreError) as error:
            index(store, scene)
        assert not isinstance(error.value, StoreUnavailable)
        assert "\n" not in str(error.value)
        assert 0 < store.count() < PICTURES
        assert index(store, scene) == PICTURES - 2 * BATCH
    scene.check_store()


def test_waiting_ends_when_patience_does(proxy: TcpProxy, scene: Scene) -> None:
    patience = Patience(3.0)
    with closing(Connection(proxy.address, timeout=TIMEOUT_S, patience=patience)) as connection:
        store = MilvusCollection(connection, "faults")
        store.prepare(RECORD)
        proxy.swallow()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            index(store, scene)
        assert time.monotonic() - began < 30
    proxy.heal()
    with closing(MilvusCollection(Connection(proxy.address), "faults")) as again:
        assert index(again, scene) <= PICTURES
    scene.check_store()


def test_the_page_answers_in_time_and_recovers(
    proxy: TcpProxy, scene: Scene, tmp_path: Path
) -> None:
    there = ("--milvus-uri", proxy.address, "--milvus-collection", "faults")
    ran = run("index-folder", scene.root, "--model", "sample", *there, data=tmp_path / "data")
    assert ran.code == 0, ran.err
    short = ("--milvus-timeout", str(TIMEOUT_S))
    with serving(tmp_path, *there, *short) as address:
        search = f"{address}/api/search?q=lemon"
        before = wait_for(lambda: answer(search), 200)
        for fault in (TcpProxy.swallow, late, TcpProxy.refuse):
            fault(proxy)
            urls = VISITORS * (search, f"{address}/api/stats")
            began = time.monotonic()
            with ThreadPoolExecutor(len(urls)) as visitors:
                for status, body in visitors.map(answer, urls):
                    assert (status, body.get("kind")) == (503, "store_away"), (fault, body)
            assert time.monotonic() - began < ANSWERED_S, fault
            proxy.heal()
            began = time.monotonic()
            after = wait_for(lambda: answer(search), 200)
            assert time.monotonic() - began < RECOVERED_S, fault
            assert [hit["id"] for hit in after["hits"]] == [hit["id"] for hit in before["hits"]]
