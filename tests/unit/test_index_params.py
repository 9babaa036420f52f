"""Index types and what they are built and searched with."""

import pytest

from milvus.index_params import (
    INDEX_TYPES,
    LITE_NLIST,
    MOST_NLIST,
    Hnsw,
    IvfFlat,
    choose_index,
    described_index,
    nlist_for,
)
from milvus.index_state import Tuned, tuned_from_text, tuned_to_text


def test_lists_follow_the_rows_of_a_segment() -> None:
    assert nlist_for(65_536, 768) == 1024
    assert nlist_for(0, 768) == LITE_NLIST
    assert nlist_for(20_000, 768) < nlist_for(200_000, 768) < nlist_for(10**6, 768)
    # More rows make more segments, not more lists in each.
    assert nlist_for(10**6, 768) == nlist_for(10**9, 768)
    assert nlist_for(10**12, 1) <= MOST_NLIST


@pytest.mark.parametrize("index_type", INDEX_TYPES)
@pytest.mark.parametrize("is_lite", [True, False])
def test_every_type_is_known_again_from_its_description(index_type: str, is_lite: bool) -> None:
    index = choose_index(index_type, is_lite, rows=20_000, dim=768)
    again = described_index(index_type, {k: str(v) for k, v in index.build().items()})
    assert again is not None
    assert (again.index_type, again.build()) == (index_type, index.build())


def test_lists_on_lite_are_all_searched() -> None:
    for index_type in ("IVF_FLAT", "IVF_SQ8"):
        index = choose_index(index_type, is_lite=True, rows=10**6, dim=768)
        assert (index.build(), index.search(16)) == ({"nlist": 10}, {"nprobe": 10})
        assert index.efforts() == []


def test_search_parameters_are_ones_that_milvus_takes() -> None:
    assert IvfFlat(nlist=20, nprobe=64).search(16) == {"nprobe": 20}
    assert Hnsw(ef=64).search(16) == {"ef": 64}
    assert Hnsw(ef=64).search(200) == {"ef": 200}
    assert choose_index("FLAT", is_lite=False).search(16) == {}


def test_efforts_go_from_cheap_to_whole() -> None:
    efforts = IvfFlat(nlist=100).efforts()
    assert (efforts[0], efforts[-1]) == (1, 100)
    assert efforts == sorted(set(efforts))
    assert IvfFlat(nlist=100).with_effort(7).search(16) == {"nprobe": 7}
    assert choose_index("FLAT", is_lite=False).efforts() == []


def test_unknown_types() -> None:
    with pytest.raises(ValueError, match="is none of IVF_FLAT"):
        choose_index("DISKANN", is_lite=False)
    assert described_index("DISKANN", {}) is None


def test_what_is_kept_of_a_measurement() -> None:
    tuned = Tuned("IVF_FLAT", {"nlist": 566}, 32, 0.985, 20_000, "2026-11-21T10:00:00+00:00")
    assert tuned_from_text(tuned_to_text(tuned)) == tuned
    for text in ("", "{", '{"index_type": "IVF_FLAT"}'):
        assert tuned_from_text(text) is None
