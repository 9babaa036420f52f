"""A query as JSON, which the HTTP API takes and its OpenAPI page describes."""

import base64
import binascii
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError

from milvus.filters import ImageFilter
from milvus.int64 import MAX_INT64, storable_time
from webapp.errors import BadQuery
from webapp.query import EXACT_COPIES, Move, Query, Term, least_score

MICROSECOND_NS = 1000
# A small JSON text may hold millions of things, each of which takes many times its bytes, and may
# be wrong. The largest query has some thousand, and commas in its words.
MAX_COMMAS = 20_000


def _as_id(value: object) -> object:
    # Ids are strings in JSON, since JavaScript's numbers are too short; numbers are taken too.
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


Id = Annotated[int, BeforeValidator(_as_id), Field(ge=0, le=MAX_INT64, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TermBody(_Body):
    """One part: a text, an image or an id; a negative weight leads away from it."""

    text: str = ""
    image: str | None = Field(None, description="a picture file, in base64")
    id: Id | None = Field(None, description="an indexed picture")
    weight: float = 1.0

    def term(self) -> Term:
        return Term(self.text, _decoded(self.image), self.id, self.weight)


class MoveBody(_Body):
    """Towards or away from concepts (texts) and objects (ids of indexed pictures)."""

    force: float = Field(description="0 to 1")
    concepts: Annotated[list[str], FailFast()] = []
    objects: Annotated[list[Id], FailFast()] = []

    def move(self) -> Move:
        return Move(self.force, tuple(self.concepts), tuple(self.objects))


class FilterBody(_Body):
    """What is searched; all where it is empty."""

    categories: Annotated[list[str], FailFast()] = []
    libraries: Annotated[list[str], FailFast()] = []
    labels: Annotated[list[str], FailFast()] = []
    path_prefix: str = ""
    after: str | None = Field(None, description="modified then or later: a date or time, ISO 8601")
    before: str | None = Field(None, description="modified before that: a date or time, ISO 8601")
    min_width: int | None = Field(None, ge=0, le=MAX_INT64)
    max_width: int | None = Field(None, ge=0, le=MAX_INT64)
    min_height: int | None = Field(None, ge=0, le=MAX_INT64)
    max_height: int | None = Field(None, ge=0, le=MAX_INT64)

    def image_filter(self) -> ImageFilter:
        return ImageFilter(
            categories=tuple(self.categories),
            libraries=tuple(self.libraries),
            labels=tuple(self.labels),
            path_prefix=self.path_prefix,
            after_ns=moment_ns(self.after, "after"),
            before_ns=moment_ns(self.before, "before"),
            min_width=self.min_width,
            max_width=self.max_width,
            min_height=self.min_height,
            max_height=self.max_height,
        )


class QueryBody(_Body):
    """One search. ``q`` is short for a term with that text and the weight 1."""

    q: str = ""
    terms: Annotated[list[TermBody], FailFast()] = []
    move_to: MoveBody | None = None
    move_away_from: MoveBody | None = None
    min_score: float | None = Field(None, description="least cosine similarity")
    certainty: float | None = Field(None, description="least (1 + cosine) / 2")
    distance: float | None = Field(None, description="largest 1 - cosine")
    filter: FilterBody = FilterBody()
    top_k: int | None = Field(None, description="number of results")
    offset: int = Field(0, description="results to pass over")
    fold: float | None = Field(
        EXACT_COPIES,
        description="pictures this similar are one result: 1 for files of equal content, less for "
        "a cosine, null for none",
    )

    def query(self, default_top_k: int, max_chars: int, images: list[bytes] | None = None) -> Query:
        """The query of it, with uploaded ``images`` as terms of weight 1. Raises BadQuery."""
        terms = [Term(self.q)] if self.q else []
        terms += [body.term() for body in self.terms]
        terms += [Term(image=image) for image in images or ()]
        return Query(
            terms=tuple(terms),
            top_k=default_top_k if self.top_k is None else self.top_k,
            offset=self.offset,
            move_to=self.move_to.move() if self.move_to else None,
            move_away_from=self.move_away_from.move() if self.move_away_from else None,
            min_score=least_score(self.min_score, self.certainty, self.distance),
            filter=self.filter.image_filter(),
            fold=self.fold,
            max_chars=max_chars,
        )


class SearchParameters(_Body):
    """What ``GET /api/search`` takes in its address."""

    q: str = Field("", description="words to search for")
    plus: list[str] = Field([], description="more words, of the same weight")
    minus: list[str] = Field([], description="words to lead away from")
    like: list[Id] = Field([], description="ids of indexed pictures to be similar to")
    category: list[str] = Field([], description="only these categories")
    library: list[str] = Field([], description="only these libraries")
    label: list[str] = Field([], description="only these labels")
    path_prefix: str = Field("", description="only paths that begin so")
    after: str | None = Field(None, description="modified then or later, ISO 8601")
    before: str | None = Field(None, description="modified before that, ISO 8601")
    min_width: int | None = Field(None, ge=0, le=MAX_INT64)
    max_width: int | None = Field(None, ge=0, le=MAX_INT64)
    min_height: int | None = Field(None, ge=0, le=MAX_INT64)
    max_height: int | None = Field(None, ge=0, le=MAX_INT64)
    min_score: float | None = Field(None, description="least cosine similarity")
    certainty: float | None = Field(None, description="least (1 + cosine) / 2")
    distance: float | None = Field(None, description="largest 1 - cosine")
    top_k: int | None = Field(None, description="number of results")
    offset: int = Field(0, description="results to pass over")
    fold: float = Field(
        EXACT_COPIES,
        description="pictures this similar are one result: 1 for files of equal content, less for "
        "a cosine, 0 for none",
    )

    def body(self) -> QueryBody:
        """The same as a JSON query."""
        terms = [TermBody(text=text) for text in self.plus]
        terms += [TermBody(text=text, weight=-1) for text in self.minus]
        terms += [TermBody(id=key) for key in self.like]
        return QueryBody(
            q=self.q,
            terms=terms,
            min_score=self.min_score,
            certainty=self.certainty,
            distance=self.distance,
            filter=FilterBody(
                categories=self.category,
                libraries=self.library,
                labels=self.label,
                path_prefix=self.path_prefix,
                after=self.after,
                before=self.before,
                min_width=self.min_width,
                max_width=self.max_width,
                min_height=self.min_height,
                max_height=self.max_height,
            ),
            top_k=self.top_k,
            offset=self.offset,
            fold=self.fold or None,
        )


def query_body(content: bytes | dict[str, Any]) -> QueryBody:
    """Read JSON, or a dict. Raises BadQuery with the field and the reason."""
    if isinstance(content, bytes) and content.count(b",") > MAX_COMMAS:
        raise BadQuery(f"a query has at most {MAX_COMMAS:,} commas")
    try:
        if isinstance(content, bytes):
            return QueryBody.model_validate_json(content)
        return QueryBody.model_validate(content)
    except ValidationError as error:
        raise BadQuery(first_reason(error.errors())) from error


def first_reason(errors: Any) -> str:
    """The first of pydantic's errors as one line."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("query", "body"))
    reason = str(first["msg"])
    reason = "there is no such field" if first["type"] == "extra_forbidden" else reason
    return f"{place}: {reason}" if place else reason


def moment_ns(text: str | None, name: str) -> int | None:
    """An ISO 8601 date or time as nanoseconds since 1970; without a zone it is local time."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            moment = datetime(day.year, day.month, day.day)
        else:
            moment = datetime.fromisoformat(text)
        # Microseconds are counted in whole numbers: a float would lose some.
        passed = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return storable_time(passed // timedelta(microseconds=1) * MICROSECOND_NS)
    except (ValueError, OverflowError, OSError) as error:
        raise BadQuery(
            f"{name}: {text!r} is no date; write it as 2026-01-31 or 2026-01-31T12:00"
        ) from error


def _decoded(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadQuery("an image is not valid base64") from error


def schema_of_queries() -> dict[str, Any]:
    """The JSON schema of a query, in one piece: OpenAPI keeps definitions elsewhere."""
    schema = QueryBody.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, list):
            return [inlined(item) for item in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).removeprefix("#/$defs/")
        rest = {key: inlined(value) for key, value in part.items() if key != "$ref"}
        return {**inlined(definitions[name]), **rest} if name in definitions else rest

    whole: dict[str, Any] = inlined(schema)
    return whole
