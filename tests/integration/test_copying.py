"""Copying a collection: from Milvus Lite to a server, and back."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embeddings.encoder import Embeddings
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import Embedding, ImageRow, ModelRecord, image_id
from milvus.errors import ModelMismatch, StoreUnavailable
from milvus.runs import LastRun
from webapp import copying
from webapp.copying import copy
from webapp.errors import BadQuery, CopyDiffers

DIM = 32
PICTURES = 700
RECORD = ModelRecord("model/a", DIM, "model", "a")
RUN = LastRun("2026-11-21T00:00:00+00:00", 1.0, 3, 3, 0, 0, 0, 0, 0, (), False, "model/a")


def vectors(count: int) -> Embeddings:
    rows = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def row(number: int, library: str = "/l") -> ImageRow:
    name = f"c/{number}.jpg"
    return ImageRow(
        m_id=image_id(library, name),
        path=f"{library}/{name}",
        library=library,
        category="ü 🍋",
        mtime_ns=1_700_000_000_000_000_000 + number,
        size=number,
        content_hash=f"hash{number}",
        width=640,
        height=480,
        extras={"caption": f'say "{number}"', "year": number, "rating": number / 8},
    )


@pytest.fixture(params=["lite to server", "server to lite"])
def stores(
    request: pytest.FixtureRequest, tmp_path: Path, milvus_server: str
) -> Iterator[tuple[MilvusCollection, MilvusCollection]]:
    """A filled collection and one that is not there yet."""
    lite = MilvusCollection(Connection(str(tmp_path / "milvus.db"), timeout=30), "images")
    server = MilvusCollection(Connection(milvus_server, timeout=30), "copies")
    source, target = (lite, server) if request.param == "lite to server" else (server, lite)
    with closing(lite), closing(server):
        source.prepare(RECORD)
        rows = [row(number) for number in range(PICTURES)]
        source.upsert(rows, list(vectors(PICTURES)))
        source.flush()
        source.note_run("/l", RUN, "a token")
        yield source, target
        server.connection.call(
            lambda client: [client.drop_collection(name) for name in client.list_collections()]
        )


def held(store: MilvusCollection) -> list[tuple[ImageRow, list[float]]]:
    entities = sorted(store.entities(), key=lambda entity: entity[0].m_id)
    return [(row, vector.tolist()) for row, vector in entities]


Stores = tuple[MilvusCollection, MilvusCollection]


def test_everything_is_copied(stores: Stores) -> None:
    source, target = stores
    seen: list[tuple[int, int]] = []
    copied = copy(source, target, on_progress=lambda done, total: seen.append((done, total)))
    assert (copied.copied, copied.already_there, copied.images) == (PICTURES, 0, PICTURES)
    assert copied.agreement == 1
    assert seen == [(500, PICTURES), (700, PICTURES)]
    assert held(target) == held(source)
    assert target.model() == RECORD
    assert (target.last_runs(), target.token("/l")) == ({"/l": RUN}, "a token")


def test_a_copy_that_was_cut_short_goes_on(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = stores
    write = MilvusCollection.upsert

    def breaks(store: MilvusCollection, rows: Sequence[ImageRow], vs: Sequence[Embedding]) -> None:
        if store is target and target.count():
            raise StoreUnavailable("the plug was pulled")
        write(store, rows, vs)

    with monkeypatch.context() as broken:
        broken.setattr(MilvusCollection, "upsert", breaks)
        with pytest.raises(StoreUnavailable):
            copy(source, target)
    assert target.count() == 500
    assert target.token("/l") is None  # half of a library is in no known state
    # What changed in the meantime is copied, too.
    changed = replace(row(0), size=4711)
    source.upsert([changed], list(vectors(1)))
    copied = copy(source, target)
    there = copied.already_there
    assert there in (499, 500)  # whether the changed one had been copied before
    assert (copied.copied, copied.images) == (PICTURES - there, PICTURES)
    assert held(target) == held(source)
    again = copy(source, target)
    assert (again.copied, again.already_there) == (0, PICTURES)


def test_other_pictures_are_told_and_kept(stores: Stores) -> None:
    source, target = stores
    target.prepare(RECORD)
    other = row(1, "/other")
    target.upsert([other], list(-vectors(1)))
    target.note_run("/other", RUN, "other token")
    with pytest.raises(BadQuery, match=r"holds 1 pictures .* --merge keeps them"):
        copy(source, target)
    assert target.count() == 1
    copied = copy(source, target, merge=True)
    assert (copied.copied, copied.others, copied.images) == (PICTURES, 1, PICTURES + 1)
    assert target.get([other.m_id]) == [other]
    assert target.last_runs() == {"/l": RUN, "/other": RUN}
    assert target.token("/other") == "other token"


def test_another_model_is_refused(stores: Stores) -> None:
    source, target = stores
    target.prepare(ModelRecord("model/b", DIM, "b", None))
    with pytest.raises(ModelMismatch, match="give another --to-collection"):
        copy(source, target)
    assert target.count() == 0


def test_a_store_is_not_copied_to_itself(stores: Stores) -> None:
    source, _ = stores
    uri = source.connection.uri
    with closing(Connection(uri, timeout=30)) as again, pytest.raises(BadQuery, match="another"):
        copy(source, MilvusCollection(again, source.name))


def test_a_copy_that_finds_others_is_told(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that were damaged on the way."""
    source, target = stores
    write = MilvusCollection.upsert

    def shuffles(
        store: MilvusCollection, rows: Sequence[ImageRow], vs: Sequence[Embedding]
    ) -> None:
        write(store, rows, [*vs[1:], *vs[:1]])

    monkeypatch.setattr(MilvusCollection, "upsert", shuffles)
    monkeypatch.setattr(copying, "BATCH", PICTURES)
    with pytest.raises(CopyDiffers, match="of the same results"):
        copy(source, target)
