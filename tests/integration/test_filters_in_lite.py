"""Filters over any text, as a real store understands them: the same rows as in plain Python."""

from collections.abc import Iterator

import numpy as np
import pytest
from fakes import RECORD, passes
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow
from milvus.filters import ImageFilter

# What quoting, escapes, patterns and comments might stumble over.
ODD = (
    'a "b"', "a 'b'", "back\\slash", "\\", '\\"', "new\nline", "tab\t", "cr\r", "100%", "_", "é",
    "🍋", "e\u0301", '" or m_id > 0 or category == "', "') or ('", "\\n", "\\x41", "null", "\u2028",
    "{x}", "[1]", "//", "#", " ", "a", "A", "$meta", "\x7f", "\x01",
)  # fmt: skip
ROWS = [
    ImageRow(
        number, f"/l/{text}/{number}.png", f"/l{number % 3}", text, number * 1000, 9, f"h{number}",
        number, 100 - number, {"label": ODD[-number]},
    )
    for number, text in enumerate(ODD, start=1)
]  # fmt: skip
TEXT = st.sampled_from(ODD) | st.text(max_size=6)
NUMBER = st.none() | st.integers(-5, 120) | st.sampled_from([0, 2**63 - 1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusCollection]:
    uri = str(tmp_path_factory.mktemp("lite") / "milvus.db")
    collection = MilvusCollection(Connection(uri, timeout=30))
    collection.prepare(RECORD)
    collection.upsert(ROWS, [np.ones(4, dtype=np.float32) / 2 for _ in ROWS])
    collection.flush()
    yield collection
    collection.close()


def found(store: MilvusCollection, only: ImageFilter) -> set[int]:
    return {row.m_id for row, _ in store.entities(only)}


@pytest.mark.parametrize("text", ODD)
def test_each_text_finds_its_own_rows(store: MilvusCollection, text: str) -> None:
    for only in (
        ImageFilter(categories=[text]),
        ImageFilter(labels=[text]),
        ImageFilter(path_prefix=f"/l/{text}/"),
        ImageFilter(path_prefix=f"/l/{text}"),
    ):
        expected = {row.m_id for row in ROWS if passes(row, only)}
        assert expected
        assert found(store, only) == expected


@given(
    st.builds(
        ImageFilter,
        categories=st.lists(TEXT, max_size=3),
        libraries=st.lists(st.sampled_from(["/l0", "/l1", "/l"]), max_size=2),
        labels=st.lists(TEXT, max_size=2),
        path_prefix=st.just("") | TEXT.map(lambda text: f"/l/{text}") | TEXT,
        after_ns=NUMBER,
        before_ns=NUMBER,
        min_width=NUMBER,
        max_height=NUMBER,
        without_ids=st.lists(st.integers(0, 30), max_size=3),
    )
)
@examples(60)
def test_any_filter_finds_what_plain_python_does(
    store: MilvusCollection, only: ImageFilter
) -> None:
    assert found(store, only) == {row.m_id for row in ROWS if passes(row, only)}
