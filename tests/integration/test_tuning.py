"""What tune recommends reaches the recall that was asked for, and is what searches use."""

import pytest
from clustered import clustered, exact_ids, fill, recall

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord
from milvus.errors import CollectionMissing
from milvus.index_params import IvfFlat
from webapp.tuning import NotExactEnough, NothingToMeasure, keep, rebuild, tune

DIM = 64
ROWS = 6000
RECORD = ModelRecord("model/a", DIM, "model", None)


def quiet(_: str) -> None:
    """Nobody looks."""


@pytest.fixture
def store(connection: Connection) -> MilvusCollection:
    collection = MilvusCollection(connection)
    collection.prepare(RECORD)
    return collection


def test_the_recommendation_reaches_the_recall_and_is_searched_with(
    store: MilvusCollection, connection: Connection
) -> None:
    vectors = clustered(ROWS, DIM)
    fill(store, vectors)
    store.rebuild_index(IvfFlat(nlist=120))
    tuning = tune(store, 0.98, 100, quiet)
    chosen = tuning.chosen
    assert chosen is not None
    assert chosen.effort is not None
    # One list is not enough for these vectors, so there was something to choose.
    assert tuning.measured[0].recall < 0.9
    assert 1 < chosen.effort < 120
    assert [one.effort for one in tuning.measured][:3] == [1, 2, 4]
    assert all(0 < one.p50_ms <= one.p95_ms for one in tuning.measured)
    keep(store, tuning)

    fresh = MilvusCollection(Connection(connection.uri, timeout=30))
    queries = clustered(100, DIM, seed=77)  # others than those it was chosen with
    exact = exact_ids(queries, vectors)
    assert recall(fresh, queries, exact) >= 0.97
    assert fresh.index == IvfFlat(120, chosen.effort)
    assert recall(fresh, queries, exact, effort=1) < 0.9
    kept = fresh.tuned()
    assert kept is not None
    assert (kept.effort, kept.rows) == (chosen.effort, ROWS)
    assert kept.recall == pytest.approx(chosen.recall, abs=1e-6)


def test_a_graph_is_tuned_by_its_candidates(store: MilvusCollection) -> None:
    fill(store, clustered(2000, DIM))
    rebuild(store, "HNSW", quiet)
    tuning = tune(store, 0.98, 50, quiet)
    assert tuning.chosen is not None
    assert (tuning.index.knob, tuning.measured[0].effort) == ("ef", 16)
    keep(store, tuning)
    assert store.index.search(16) == {"ef": tuning.chosen.effort}


def test_what_cannot_be_reached_is_told_and_nothing_stored(store: MilvusCollection) -> None:
    fill(store, clustered(3000, DIM))
    rebuild(store, "IVF_SQ8", quiet)
    tuning = tune(store, 1.0, 100, quiet)
    assert tuning.chosen is None
    with pytest.raises(NotExactEnough, match="give a lower --recall"):
        keep(store, tuning)
    kept = store.tuned()
    assert kept is not None
    assert kept.effort == 0


def test_an_exact_index_leaves_nothing_to_choose(store: MilvusCollection) -> None:
    fill(store, clustered(1000, DIM))
    rebuild(store, "FLAT", quiet)
    (only,) = tune(store, 1.0, 50, quiet).measured
    assert (only.effort, only.recall) == (None, 1.0)


def test_an_empty_collection_is_refused(store: MilvusCollection, connection: Connection) -> None:
    with pytest.raises(NothingToMeasure, match="is empty; run: index-folder FOLDER"):
        tune(store, 0.98, 50, quiet)
    with pytest.raises(CollectionMissing):
        tune(MilvusCollection(connection, "other"), 0.98, 50, quiet)


def test_lite_has_nothing_to_choose_and_tells_its_recall(tmp_path: object) -> None:
    store = MilvusCollection(Connection(f"{tmp_path}/milvus.db"))
    store.prepare(RECORD)
    fill(store, clustered(3000, DIM))
    tuning = tune(store, 0.99, 60, quiet)
    (only,) = tuning.measured
    assert (only.effort, tuning.chosen) == (None, only)
    assert only.recall >= 0.99
    store.close()
