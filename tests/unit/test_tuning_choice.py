"""The arithmetic of tuning: exact search in batches, queries, the choice."""

from collections.abc import Iterator

import numpy as np
import pytest

from milvus.index_params import IvfFlat
from webapp import tuning
from webapp.tuning import Measured, Tuning, cheapest, exact_ids, moved, tuning_json, tuning_text


def unit(count: int, dim: int = 32) -> np.ndarray:
    rows = np.random.default_rng(count).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [5, 16, 70, 140, 333])
def test_exact_search_over_batches_is_exact_search(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "BATCH", 70)
    vectors, queries = unit(count), unit(7)

    def stream() -> Iterator[tuple[int, np.ndarray]]:
        yield from ((n + 2**62, vector) for n, vector in enumerate(vectors))

    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :16] + 2**62
    assert exact_ids(queries, stream(), 16) == [set(row.tolist()) for row in expected]


def test_queries_are_near_their_pictures_and_not_on_them() -> None:
    vectors = unit(50, 768)
    queries = moved(vectors)
    assert queries.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    cosines = (vectors * queries).sum(1)
    assert 0.85 < cosines.min() <= cosines.max() < 0.95
    np.testing.assert_array_equal(queries, moved(vectors))


def measured(*recalls: float) -> list[Measured]:
    return [Measured(2**n, recall, 1.0, 2.0) for n, recall in enumerate(recalls)]


def test_the_cheapest_that_stays_exact_enough() -> None:
    found = measured(0.5, 0.97, 0.981, 0.99)
    assert cheapest(found, 0.98) == found[2]
    assert cheapest(found, 0.5) == found[0]
    assert cheapest(found, 0.995) is None
    # One that was lucky, with a dearer one that was not, is not to be relied on.
    assert cheapest(measured(0.9, 0.98, 0.97, 0.99), 0.98) == Measured(8, 0.99, 1.0, 2.0)


def test_what_is_printed() -> None:
    found = measured(0.9, 0.985)
    index = IvfFlat(nlist=566)
    told = Tuning(index, 20_000, 100, 0, tuple(found), 0.98, found[1])
    text = tuning_text(told)
    assert "IVF_FLAT nlist 566 over 20,000 rows" in text
    assert "nprobe 2 is the cheapest with recall 0.98" in text
    assert tuning_json(told)["recommended"] == {
        "effort": 2, "recall": 0.985, "p50_ms": 1.0, "p95_ms": 2.0,
    }  # fmt: skip
    exact = (Measured(None, 1.0, 1.0, 2.0),)
    lite = Tuning(IvfFlat(10, 10), 20_000, 100, 0, exact, 0.98, exact[0])
    assert "nothing to choose" in tuning_text(lite)
    assert tuning_json(lite)["knob"] is None
    waiting = Tuning(index, 20_000, 100, 500, tuple(found), 0.98, found[1])
    assert "500 rows had no index yet" in tuning_text(waiting)
