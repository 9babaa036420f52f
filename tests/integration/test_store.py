"""One contract for both kinds of store: Milvus Lite and a Milvus server."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embeddings.encoder import Embeddings
from milvus import scanning
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord, image_id
from milvus.errors import (
    CollectionMissing,
    ModelMismatch,
    StoreError,
    StoreUnavailable,
    StoreUnwritable,
)
from milvus.filters import ImageFilter
from milvus.runs import LastRun, first_skipped

DIM = 768
RECORD = ModelRecord("model/a", DIM, "model", "a")
HOSTILE = ['say "hi"', "it's", "back\\slash", "new\nline", '" or m_id >= 0 or "', "ü 🍋", "%s {x}"]


def embeddings(count: int, seed: int = 0) -> Embeddings:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def row(number: int, category: str = "a", library: str = "/l") -> ImageRow:
    name = f"{category}/{number}.jpg"
    return ImageRow(
        m_id=image_id(library, name),
        path=f"{library}/{name}",
        library=library,
        category=category,
        mtime_ns=1_700_000_000_000_000_000 + number,
        size=number,
        content_hash=f"hash{number}",
        width=640,
        height=480,
        extras={"caption": f"picture {number}"},
    )


@pytest.fixture
def store(connection: Connection) -> MilvusCollection:
    collection = MilvusCollection(connection)
    collection.prepare(RECORD)
    return collection


@pytest.fixture
def filled(store: MilvusCollection) -> tuple[MilvusCollection, list[ImageRow], Embeddings]:
    rows = [row(n, "a" if n % 2 else "b") for n in range(120)]
    vectors = embeddings(120)
    for start in range(0, 120, 50):
        store.upsert(rows[start : start + 50], list(vectors[start : start + 50]))
    store.flush()
    return store, rows, vectors


def test_before_anything_is_indexed(connection: Connection) -> None:
    store = MilvusCollection(connection)
    assert not store.exists()
    asked = (store.model, store.count, store.drop, store.last_runs)
    for ask in (*asked, lambda: list(store.rows()), lambda: store.held_hashes(["a"])):
        with pytest.raises(CollectionMissing, match="run: index-folder FOLDER"):
            ask()


def test_the_collection_is_as_designed(store: MilvusCollection, connection: Connection) -> None:
    described = connection.call(lambda client: client.describe_collection(store.name))
    assert described["enable_dynamic_field"]
    types = {field["name"]: field["type"].name for field in described["fields"]}
    assert types == {
        "m_id": "INT64",
        "embedding": "FLOAT_VECTOR",
        "path": "VARCHAR",
        "library": "VARCHAR",
        "category": "VARCHAR",
        "mtime_ns": "INT64",
        "size": "INT64",
        "content_hash": "VARCHAR",
        "width": "INT64",
        "height": "INT64",
    }
    (name,) = connection.call(lambda client: client.list_indexes(store.name))
    index = connection.call(lambda client: client.describe_index(store.name, name))
    assert (index["index_type"], index["metric_type"]) == ("IVF_FLAT", "IP")


def test_the_model_is_remembered_and_another_refused(store: MilvusCollection) -> None:
    assert store.model() == RECORD
    store.prepare(RECORD)
    for other in (ModelRecord("model/b", DIM, "b", None), ModelRecord("model/a", 5, "model", "a")):
        with pytest.raises(ModelMismatch, match="use --model model --pretrained a, or another"):
            store.prepare(other)


def test_the_same_weights_in_another_place_are_noted(store: MilvusCollection) -> None:
    moved = ModelRecord(RECORD.model_id, DIM, "model", "/elsewhere/weights.pt")
    store.prepare(moved)
    assert store.model() == moved


def test_every_picture_is_its_own_best_match(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, rows, vectors = filled
    for number in (0, 7, 119):
        matches = store.search(vectors[number], 16)
        assert matches[0].row == rows[number]
        assert matches[0].score == pytest.approx(1, abs=1e-5)
        exact = np.sort(vectors @ vectors[number])[::-1][:16]
        np.testing.assert_allclose([m.score for m in matches], exact, atol=1e-5)


def found(store: MilvusCollection, vector: np.ndarray, only: ImageFilter) -> set[str]:
    return {match.row.path for match in store.search(vector, 200, only)}


def test_search_with_filters(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, rows, vectors = filled
    large = [replace(row(n, "large", "/other"), width=4000, height=9) for n in range(200, 205)]
    labelled = [replace(one, extras={**one.extras, "label": "a lemon"}) for one in large[:2]]
    store.upsert([*labelled, *large[2:]], list(embeddings(5, 1)))
    rows = [*rows, *large]
    start = rows[0].mtime_ns
    cases: list[tuple[ImageFilter, Callable[[ImageRow], bool]]] = [
        (ImageFilter(), lambda r: True),
        (ImageFilter(categories=["a"]), lambda r: r.category == "a"),
        (ImageFilter(categories=["a", "large"]), lambda r: r.category in ("a", "large")),
        (ImageFilter(libraries=["/other"]), lambda r: r.library == "/other"),
        (ImageFilter(labels=["a lemon"]), lambda r: r in large[:2]),
        (ImageFilter(path_prefix="/l/b/1"), lambda r: r.path.startswith("/l/b/1")),
        (ImageFilter(after_ns=start + 50), lambda r: r.mtime_ns >= start + 50),
        (ImageFilter(before_ns=start + 50), lambda r: r.mtime_ns < start + 50),
        (ImageFilter(min_width=1000), lambda r: r.width >= 1000),
        (ImageFilter(max_width=640, min_height=480), lambda r: r.height == 480),
        (ImageFilter(max_height=9), lambda r: r.height == 9),
        (ImageFilter(without_ids=[rows[5].m_id]), lambda r: r is not rows[5]),
        (ImageFilter(categories=["a"], max_width=1), lambda r: False),
    ]
    for only, passes in cases:
        assert found(store, vectors[0], only) == {r.path for r in rows if passes(r)}, only


def test_no_value_breaks_out_of_a_filter(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, _, vectors = filled
    for hostile in HOSTILE:
        for only in (
            ImageFilter(categories=[hostile]),
            ImageFilter(libraries=[hostile]),
            ImageFilter(labels=[hostile]),
            ImageFilter(path_prefix=hostile),
        ):
            assert found(store, vectors[0], only) == set(), only
        assert store.at_paths([hostile]) == []
    named = [row(n, name) for n, name in enumerate(HOSTILE)]
    store.upsert(named, list(embeddings(len(named), 1)))
    for one in named:
        prefix = one.path.removesuffix(".jpg")
        assert found(store, vectors[0], ImageFilter(categories=[one.category])) == {one.path}
        assert found(store, vectors[0], ImageFilter(path_prefix=prefix)) == {one.path}
        assert [r.m_id for r in store.at_paths([one.path])] == [one.m_id]


def test_whole_entities(filled: tuple[MilvusCollection, list[ImageRow], Embeddings]) -> None:
    store, rows, vectors = filled
    held = {one.m_id: (one, vector) for one, vector in store.entities()}
    assert held.keys() == {one.m_id for one in rows}
    for one, vector in zip(rows, vectors, strict=True):
        assert held[one.m_id][0] == one  # extras included
        np.testing.assert_allclose(held[one.m_id][1], vector, atol=1e-6)
    assert store.get([rows[3].m_id]) == [rows[3]]
    assert len(list(store.entities(ImageFilter(categories=["b"])))) == 60
    best = store.search(vectors[5], 2, with_embeddings=True)[0]
    assert best.embedding is not None
    np.testing.assert_allclose(best.embedding, vectors[5], atol=1e-6)


def test_writing_twice_is_writing_once(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, rows, vectors = filled
    store.upsert(rows[:50], list(vectors[:50]))
    assert store.count() == 120
    store.flush()
    assert store.count() == 120
    assert len(list(store.rows())) == 120


def test_get_embeddings_rows_and_delete(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, rows, vectors = filled
    keys = [rows[3].m_id, rows[4].m_id]
    assert {r.path for r in store.get([*keys, 12345])} == {rows[3].path, rows[4].path}
    assert store.get([]) == []
    np.testing.assert_allclose(store.embeddings(keys)[rows[4].m_id], vectors[4], atol=1e-6)
    store.delete(keys)
    assert store.count() == 118
    assert store.get(keys) == []
    assert rows[3].m_id not in {match.row.m_id for match in store.search(vectors[3], 16)}


def test_names_of_any_kind_come_back_as_they_were(store: MilvusCollection) -> None:
    rows = [row(n, name, f"/lib {name}") for n, name in enumerate(HOSTILE)]
    store.upsert(rows, list(embeddings(len(rows))))
    for expected in rows:
        (found,) = store.rows(expected.library)
        assert (found.path, found.category) == (expected.path, expected.category)
    assert list(store.rows('" or m_id >= 0 or library == "')) == []


def test_more_rows_than_one_answer_holds(store: MilvusCollection) -> None:
    rows = [row(n) for n in range(2500)]
    vectors = embeddings(2500)
    for start in range(0, 2500, 500):
        store.upsert(rows[start : start + 500], list(vectors[start : start + 500]))
    assert {r.m_id for r in store.rows("/l")} == {r.m_id for r in rows}
    store.delete([r.m_id for r in rows[:1500]])
    assert store.count() == 1000


def test_a_new_connection_finds_everything(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings], connection: Connection
) -> None:
    _, rows, vectors = filled
    connection.close()
    again = MilvusCollection(Connection(connection.uri, timeout=30))
    assert again.count() == 120
    assert again.search(vectors[9], 1)[0].row == rows[9]


def test_hashes_that_images_of_any_library_have(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, rows, _ = filled
    store.upsert([row(500, library="/other")], list(embeddings(1, 1)))
    store.delete([rows[7].m_id])
    assert store.held_hashes(["hash3", "hash500", "hash7", "hash501"]) == {"hash3", "hash500"}
    assert store.held_hashes(['hash3" or content_hash != "']) == set()
    assert store.held_hashes([]) == set()
    many = [f"hash{n}" for n in range(1500)]
    assert len(store.held_hashes(many)) == 120


RUN = LastRun(
    "2026-11-21T10:00:00+00:00", 1.5, 9, 1, 2, 3, 4, 5, 70,
    first_skipped((f"/l/{n} {HOSTILE[n % 7]} \udcff.jpg", "why " * 9) for n in range(70)),
    False, "model/a",
)  # fmt: skip


def test_the_last_run_of_each_library_is_kept(
    store: MilvusCollection, connection: Connection
) -> None:
    assert store.last_runs() == {}
    names = [f"/l {name}" for name in HOSTILE] + ["/" + "d" * 4000]
    for number, name in enumerate(names):
        store.note_run(name, replace(RUN, found=number), f"token{number}")
    again = MilvusCollection(connection)
    found = again.last_runs()
    assert {name: run.found for name, run in found.items()} == {n: i for i, n in enumerate(names)}
    run = found[names[0]]
    assert replace(run, skipped=()) == replace(RUN, found=0, skipped=())
    assert run.skipped == RUN.skipped[: len(run.skipped)]
    assert len(run.skipped) > 20
    assert again.token(names[0]) == "token0"
    store.note_run(names[0], replace(RUN, interrupted=True))
    assert again.last_runs()[names[0]].interrupted
    assert (again.token(names[0]), again.model()) == ("token0", RECORD)


def test_what_is_noted_of_a_run_and_cannot_be_read_is_nothing(
    store: MilvusCollection, connection: Connection
) -> None:
    store.note_run("/l", RUN)
    for name, text in (("a", "{"), ("b", '{"library": "/x", "run": {}}')):
        properties = {f"image_search.run.{name}": text}
        connection.call(
            lambda client, p=properties: client.alter_collection_properties(store.name, p)
        )
    assert list(store.last_runs()) == ["/l"]


def test_a_dropped_library_leaves_nothing_behind(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings],
) -> None:
    store, _, _ = filled
    for library in ("/l", "/other", "/without pictures"):
        store.note_run(library, RUN, "token")
    assert store.drop_library("/l") == 120
    assert store.drop_library("/without pictures") == 0
    assert list(store.last_runs()) == ["/other"]
    assert (store.token("/l"), store.token("/other"), store.count()) == (None, "token", 0)


def test_drop(store: MilvusCollection) -> None:
    store.drop()
    assert not store.exists()
    store.prepare(ModelRecord("model/b", 5, "b", None))
    assert store.model().dim == 5


def test_a_collection_of_another_program_is_left_alone(connection: Connection) -> None:
    connection.call(lambda client: client.create_collection("images", dimension=4))
    with pytest.raises(StoreError, match="was not made by this program"):
        MilvusCollection(connection).prepare(RECORD)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "http://nosuch.invalid:19530"])
def test_an_address_without_milvus_is_told_soon(uri: str) -> None:
    with pytest.raises(StoreUnavailable, match=f"no answer from Milvus at {uri}; start it"):
        MilvusCollection(Connection(uri, timeout=5)).exists()


def test_a_place_that_cannot_be_written_is_told() -> None:
    with pytest.raises(StoreUnwritable, match="give another --data-dir"):
        MilvusCollection(Connection("/proc/nowhere/milvus.db")).exists()


def test_a_scan_goes_on_where_it_was(
    filled: tuple[MilvusCollection, list[ImageRow], Embeddings], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, rows, _ = filled
    whole, asked = scanning._next, 0

    def lost_now_and_then(*words: Any) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        if asked % 3 == 0:
            raise StoreUnavailable("the connection was lost")
        return whole(*words)

    monkeypatch.setattr(scanning, "SCAN_BATCH", 10)
    monkeypatch.setattr(scanning, "_next", lost_now_and_then)
    assert sorted(found.m_id for found in store.rows()) == sorted(row.m_id for row in rows)
    in_a = sorted(found.m_id for found, _ in store.entities(ImageFilter(categories=("a",))))
    assert in_a == sorted(row.m_id for row in rows if row.category == "a")
    assert asked > 18

    def always_lost(*words: Any) -> list[dict[str, Any]]:
        raise StoreUnavailable("the connection was lost")

    monkeypatch.setattr(scanning, "_next", always_lost)
    with pytest.raises(StoreUnavailable):
        list(store.rows())
