"""Index types in both kinds of store: made as asked, read back, rebuilt, searched as tuned."""

import numpy as np
import pytest
from clustered import clustered, exact_ids, fill, recall

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord
from milvus.filters import ImageFilter
from milvus.index_params import INDEX_TYPES, IvfFlat, choose_index
from milvus.index_state import Tuned

DIM = 64
RECORD = ModelRecord("model/a", DIM, "model", None)


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_a_collection_is_made_with_the_index_that_is_asked_for(
    connection: Connection, index_type: str
) -> None:
    store = MilvusCollection(connection, index_type=index_type)
    store.prepare(RECORD)
    vectors = clustered(600, DIM)
    fill(store, vectors)
    again = MilvusCollection(Connection(connection.uri, timeout=30), index_type="FLAT")
    assert again.search(vectors[7], 3)[0].row.size == 7
    assert len(again.search(vectors[7], 100)) == 100
    assert again.index.index_type == index_type
    state = again.index_state()
    assert state is not None
    assert (state.index_type, state.metric_type) == (index_type, "IP")


def test_an_index_is_rebuilt_in_place(connection: Connection) -> None:
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    vectors = clustered(600, DIM)
    fill(store, vectors)
    other = MilvusCollection(Connection(connection.uri, timeout=30))
    assert other.count() == 600
    for index_type in ("HNSW", "FLAT", "IVF_FLAT"):
        store.rebuild_index(choose_index(index_type, connection.is_lite, 600, DIM))
        assert store.index.index_type == index_type
        # A program that had it open all the while finds out by itself.
        assert other.model() == RECORD
        assert other.search(vectors[3], 1)[0].row.size == 3
        assert other.index == store.index
    assert other.count() == 600


def test_what_was_tuned_is_searched_with_by_everybody(connection: Connection) -> None:
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    vectors = clustered(4000, DIM)
    fill(store, vectors)
    store.rebuild_index(IvfFlat(nlist=80))
    other = MilvusCollection(Connection(connection.uri, timeout=30))
    queries = clustered(40, DIM, seed=9)
    exact = exact_ids(queries, vectors)
    whole = recall(other, queries, exact)
    store.set_tuned(Tuned("IVF_FLAT", {"nlist": 80}, 1, 0.5, 4000, ""))
    assert other.model() == RECORD
    assert other.index == IvfFlat(80, 1)
    assert recall(other, queries, exact) < 0.9 < whole
    assert recall(other, queries, exact, effort=80) >= 0.99
    fresh = MilvusCollection(Connection(connection.uri, timeout=30))
    assert fresh.count() == 4000
    assert fresh.index == IvfFlat(80, 1)
    # It holds for the index that was measured, not for the next one.
    store.rebuild_index(IvfFlat(nlist=40))
    assert (store.index.effort, store.tuned()) == (
        40,
        Tuned("IVF_FLAT", {"nlist": 40}, 0, 0, 0, ""),
    )


def test_a_filter_is_searched_in_all_cells(connection: Connection) -> None:
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    vectors = clustered(4000, DIM)
    fill(store, vectors)
    store.rebuild_index(IvfFlat(nlist=80))
    store.set_tuned(Tuned("IVF_FLAT", {"nlist": 80}, 1, 0.5, 4000, ""))
    passing = np.array([n for n in range(4000) if str(n).startswith("1")])
    queries = clustered(40, DIM, seed=9)
    only, found = ImageFilter(path_prefix="/l/1"), 0
    for query, best in zip(queries, exact_ids(queries, vectors[passing]), strict=True):
        matches = store.search(query, len(best), only)
        found += len({match.row.m_id for match in matches} & set(passing[list(best)].tolist()))
    assert found / (16 * len(queries)) >= 0.99
    assert recall(store, queries, exact_ids(queries, vectors)) < 0.9  # without one, as tuned


def test_the_default_index_of_lite_finds_what_exact_search_finds(tmp_path: object) -> None:
    store = MilvusCollection(Connection(f"{tmp_path}/milvus.db"))
    store.prepare(RECORD)
    vectors = clustered(4000, DIM)
    fill(store, vectors)
    queries = clustered(50, DIM, seed=9)
    assert recall(store, queries, exact_ids(queries, vectors)) >= 0.99
    assert np.isclose(store.search(vectors[0], 1)[0].score, 1, atol=1e-5)
    store.close()
