"""Whatever is asked is a query or one reason why not: in JSON, an address or a terminal."""

import argparse
import base64
import contextlib
import io
import json
import math
import os
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from pydantic import ValidationError

from configs.commandline import OneLineParser
from milvus.filters import quoted
from milvus.int64 import MAX_INT64
from webapp.errors import BadQuery
from webapp.query import MAX_REACH, Query, least_score
from webapp.query_body import QueryBody, SearchParameters, moment_ns, query_body
from webapp.terminal import add_query_options, query_from

# With lone surrogates, which JSON may hold, and what is odd in numbers.
TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["red", "", " ", "\ud800", "\0", "red:0.5", ":", "a:nan", "1" * 30, "٣", "²", "x" * 3000]
)
NUMBER = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**63, -(2**63), 1e308])
WHEN = st.datetimes().map(str) | TEXT | st.sampled_from(["0001-01-01", "9999-12-31T23:59:59-23:59"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = [*QueryBody.model_fields, "text", "image", "id", "weight", "force", "concepts", "objects"]
TERM = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT,
        "id": NUMBER | TEXT,
        "weight": NUMBER,
        "image": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()) | TEXT,
    },
)
MOVE = st.fixed_dictionaries(
    {"force": NUMBER | st.floats(0, 1)},
    optional={"concepts": st.lists(TEXT, max_size=3), "objects": st.lists(NUMBER, max_size=3)},
)
FILTER = st.fixed_dictionaries(
    {},
    optional={
        "categories": st.lists(TEXT, max_size=3),
        "libraries": st.lists(TEXT, max_size=3),
        "path_prefix": TEXT,
        "after": WHEN,
        "before": WHEN,
        "min_width": NUMBER,
        "max_height": NUMBER,
    },
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "q": TEXT,
        "terms": st.lists(TERM, max_size=4),
        "move_to": MOVE,
        "move_away_from": MOVE,
        "min_score": NUMBER | st.floats(-1, 1),
        "certainty": NUMBER | st.floats(0, 1),
        "distance": NUMBER,
        "filter": FILTER,
        "top_k": NUMBER | st.integers(1, 1000),
        "offset": NUMBER,
        "fold": NUMBER | st.none() | st.floats(0, 1),
    },
)


def is_sound(query: Query) -> None:
    """What the search relies on."""
    assert query.terms
    assert 1 <= query.top_k <= 1000
    assert 0 <= query.offset <= MAX_REACH - query.top_k
    assert all(math.isfinite(term.weight) and term.weight for term in query.terms)
    assert all(0 <= term.id <= MAX_INT64 for term in query.terms if term.id is not None)
    assert any(term.weight > 0 for term in query.terms)
    for text in (*query.filter.texts(), *(term.text for term in query.terms)):
        text.encode()
    query.filter.expression().encode()


def is_a_line(error: BadQuery) -> None:
    assert str(error)
    assert len(str(error)) < 5000


def asked(body: Any) -> None:
    try:
        query = query_body(body).query(16, 1000)
    except BadQuery as error:
        is_a_line(error)
    else:
        is_sound(query)


@given(BODY)
@examples(200)
def test_a_body_that_is_nearly_right(body: dict[str, Any]) -> None:
    asked(body)
    asked(json.dumps(body).encode())


@given(st.dictionaries(st.sampled_from(NAMES) | TEXT, ANYTHING, max_size=5))
@examples(150)
def test_a_body_of_anything(body: dict[str, Any]) -> None:
    asked(body)
    asked(json.dumps(body).encode())


@given(st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()))
@examples(150)
def test_bytes(content: bytes) -> None:
    asked(content)


@given(
    st.dictionaries(
        st.sampled_from(list(SearchParameters.model_fields)),
        TEXT | NUMBER.map(str) | st.lists(TEXT | NUMBER.map(str), max_size=3),
        max_size=5,
    )
)
@examples(150)
def test_an_address(parameters: dict[str, Any]) -> None:
    try:
        parsed = SearchParameters.model_validate(parameters)
    except ValidationError:
        return  # FastAPI's own answer, told by first_reason
    try:
        is_sound(parsed.body().query(16, 1000))
    except BadQuery as error:
        is_a_line(error)


OPTIONS = (
    "--plus", "--minus", "--like", "--unlike", "--move-to", "--move-away-from", "--move-to-force",
    "--category", "--library", "--label", "--path-prefix", "--after", "--before", "--min-width",
    "--max-height", "--min-score", "--certainty", "--distance", "--offset", "--fold",
)  # fmt: skip
# As the system hands them over: any bytes but NUL, of which those that are no text are kept.
ARGUMENT = (TEXT | NUMBER.map(str) | st.binary(max_size=9).map(os.fsdecode)).filter(
    lambda text: "\0" not in text and not re.search("[\ud800-\udc7f\udd00-\udfff]", text)
)


@given(st.lists(st.tuples(st.sampled_from(OPTIONS), ARGUMENT), max_size=4), ARGUMENT)
@examples(200)
def test_a_terminal(options: list[tuple[str, str]], words: str) -> None:
    parser = OneLineParser("search")
    add_query_options(parser)
    said = io.StringIO()
    arguments: argparse.Namespace | None = None
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        arguments = parser.parse_args(
            [*(f"{name}={value}" for name, value in options), "--", words]
        )
    if arguments is None:
        assert said.getvalue()
        return
    try:
        is_sound(query_from(arguments, 16, 1000))
    except BadQuery as error:
        is_a_line(error)


@given(WHEN)
@examples(150)
def test_a_time_is_a_number_or_told(when: str) -> None:
    try:
        moment = moment_ns(when, "after")
    except BadQuery as error:
        is_a_line(error)
    else:
        assert moment is not None
        assert abs(moment) <= MAX_INT64


@given(st.tuples(*[st.none() | st.floats()] * 3))
@examples(150)
def test_a_threshold_is_a_cosine_or_told(given_: tuple[float | None, ...]) -> None:
    with contextlib.suppress(BadQuery):
        score = least_score(*given_)
        # A min_score is looked at with the query that it belongs to.
        assert score is None or score is given_[0] or -1 <= score <= 1


@given(st.text(max_size=60))
@examples(200)
def test_a_quoted_text_ends_where_it_ends(text: str) -> None:
    literal = quoted(text)
    body = literal[1:-1]
    assert literal[0] == literal[-1] == '"'
    # No quote but an escaped one, and no escape that reaches beyond the end.
    at = 0
    while at < len(body):
        assert body[at] != '"'
        at += 2 if body[at] == "\\" else 1
    assert at == len(body)
