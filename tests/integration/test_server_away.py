"""A real server that goes away and comes back, in the middle of indexing and between searches."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import RECORD, FakeEncoder
from milvus_process import MilvusProcess
from PIL import Image
from served import GIVE_UP_S, answer, serving, wait_for
from support import run

from embeddings.encoder import Embeddings
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.errors import StoreUnavailable
from milvus.patience import Patience

PICTURES = 60
End = Callable[[MilvusProcess], None]
ENDINGS = [MilvusProcess.terminate, MilvusProcess.kill]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MilvusProcess]:
    with MilvusProcess(tmp_path / "server").running() as process:
        yield process


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        path = tmp_path / "library" / f"c{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "library"


class Gated(FakeEncoder):
    """Encodes one batch, and the others when it is let."""

    def __init__(self) -> None:
        super().__init__(batch_size=5)
        self.at_work = threading.Event()
        self.go_on = threading.Event()

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        if len(self.batches) == 4:
            self.at_work.set()
            assert self.go_on.wait(GIVE_UP_S)
        return super().encode_images(images)


@pytest.mark.parametrize("end", ENDINGS)
def test_an_indexer_waits_and_goes_on(server: MilvusProcess, root: Path, end: End) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    encoder = Gated()
    connection = Connection(server.address, timeout=10, patience=Patience(GIVE_UP_S, say))
    store = MilvusCollection(connection, f"away_{end.__name__}")
    store.prepare(RECORD)
    outcome: list[Any] = []

    def index() -> None:
        options = PipelineOptions(write_batch=5, decode_threads=1)
        outcome.append(index_library(Folder(root), store, lambda: encoder, options))

    indexing = threading.Thread(target=index, daemon=True)
    with closing(connection):
        indexing.start()
        assert encoder.at_work.wait(GIVE_UP_S)
        end(server)
        encoder.go_on.set()
        assert waiting.wait(GIVE_UP_S)
        assert indexing.is_alive()
        server.start()
        indexing.join(GIVE_UP_S)
        assert [(report.added, report.encoded) for report in outcome] == [(PICTURES, PICTURES)]
        assert sorted(row.path for row in store.rows()) == sorted(map(str, root.rglob("*.png")))
        assert store.count() == PICTURES
    assert "waiting for it, 240 s at most" in said[0]
    # A server that has just started may yet have to be waited for once more.
    assert set(said[1::2]) == {"the store answers again; going on"}
    assert len(said) % 2 == 0


def test_patience_ends(server: MilvusProcess) -> None:
    said: list[str] = []
    connection = Connection(server.address, timeout=2, patience=Patience(1.0, said.append))
    store = MilvusCollection(connection, "impatient")
    with closing(connection):
        assert not store.exists()
        server.kill()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer from Milvus"):
            store.exists()
        assert time.monotonic() - began < 20
    assert len(said) == 1


def test_a_page_recovers_without_a_restart(
    server: MilvusProcess, root: Path, tmp_path: Path
) -> None:
    there = ("--milvus-uri", server.address, "--milvus-collection", "served")
    ran = run("index-folder", root, "--model", "sample", *there, data=tmp_path / "data")
    assert ran.code == 0, ran.err
    with serving(tmp_path, *there) as address:
        before = wait_for(lambda: answer(f"{address}/api/search?q=lemon"), 200)
        for end in ENDINGS:
            end(server)
            began = time.monotonic()
            gone = wait_for(lambda: answer(f"{address}/api/search?q=lemon"), 503)
            assert time.monotonic() - began < 60
            assert gone["kind"] == "store_away"
            assert "no answer from Milvus" in gone["error"]
            server.start()
            after = wait_for(lambda: answer(f"{address}/api/search?q=lemon"), 200)
            assert [hit["id"] for hit in after["hits"]] == [hit["id"] for hit in before["hits"]]
            assert wait_for(lambda: answer(f"{address}/api/stats"), 200)["images"] == PICTURES
