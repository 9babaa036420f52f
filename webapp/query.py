"""What is asked and what is answered, as plain values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from milvus.filters import EVERYTHING, ImageFilter
from milvus.int64 import MAX_INT64
from webapp.errors import BadQuery

MAX_TOP_K = 1000
# Milvus answers no more than this in one search.
MAX_REACH = 16_384
# Weights compare the parts of a mix; more than this is a slip of the hand.
MAX_WEIGHT = 100.0
MAX_TERMS = 64
MAX_IMAGES = 8
EXACT_COPIES = 1.0
# Results that are compared with each other, where copies are told by their cosine.
MAX_SIMILAR = 2000
MAX_FILTER_VALUES = 1000
MAX_FILTER_CHARS = 4096


@dataclass(frozen=True)
class Term:
    """One part of a query: words, a picture, or an indexed picture's id; just one of them.

    A negative weight leads away from it.
    """

    text: str = ""
    image: bytes | None = field(default=None, repr=False)
    """A picture file's content."""
    id: int | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        given = (bool(self.text.strip()), self.image is not None, self.id is not None)
        if sum(given) == 0:
            raise BadQuery("type a few words to search for, such as: red apples")
        if sum(given) > 1:
            raise BadQuery("a part of a query is a text, an image or an id, one of them")
        if not math.isfinite(self.weight) or abs(self.weight) > MAX_WEIGHT or self.weight == 0:
            raise BadQuery(
                f"a weight is a number other than 0 between -{MAX_WEIGHT:g} and {MAX_WEIGHT:g}, "
                f"not {self.weight}"
            )
        _check_text(self.text)


@dataclass(frozen=True)
class Move:
    """Towards or away from texts (concepts) and indexed pictures (objects)."""

    force: float
    """0 leaves the query where it is, 1 is the farthest."""
    concepts: Sequence[str] = ()
    objects: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.force <= 1:  # NaN is not, either
            raise BadQuery(f"a move's force is between 0 and 1, not {self.force}")
        if not self.concepts and not self.objects:
            raise BadQuery("a move needs concepts (texts) or objects (ids) to go by")
        for concept in self.concepts:
            if not concept.strip():
                raise BadQuery("a move's concept is empty; give it a few words")
            _check_text(concept)


@dataclass(frozen=True)
class Query:
    """One search. Raises BadQuery when it is made of what cannot be searched."""

    terms: Sequence[Term]
    top_k: int = 16
    offset: int = 0
    """Results to pass over, for the next page."""
    move_to: Move | None = None
    move_away_from: Move | None = None
    min_score: float | None = None
    """Least cosine similarity (see ``least_score``)."""
    filter: ImageFilter = EVERYTHING
    fold: float | None = EXACT_COPIES
    """Pictures that are as similar as this are one result: 1 folds files of equal content, less
    also pictures whose cosine reaches it, None folds nothing."""
    max_chars: int = 1000
    """The longest text that is taken."""

    def __post_init__(self) -> None:
        if not self.terms:
            raise BadQuery("type a few words to search for, such as: red apples")
        if all(term.weight < 0 for term in self.terms):
            raise BadQuery("there is only what to leave out; say also what to look for")
        moves = [move for move in (self.move_to, self.move_away_from) if move]
        texts = [term.text for term in self.terms] + [c for m in moves for c in m.concepts]
        parts = len(self.terms) + sum(len(m.concepts) + len(m.objects) for m in moves)
        if parts > MAX_TERMS:
            raise BadQuery(f"a query has at most {MAX_TERMS} parts, and this one has {parts}")
        longest = max(map(len, texts))
        if longest > self.max_chars:
            raise BadQuery(
                f"the query has {longest:,} characters, and at most {self.max_chars:,} "
                "are read; shorten it"
            )
        if not 1 <= self.top_k <= MAX_TOP_K:
            raise BadQuery(f"top_k must be between 1 and {MAX_TOP_K}, not {self.top_k}")
        if not 0 <= self.offset <= MAX_REACH - self.top_k:
            raise BadQuery(
                f"offset must be between 0 and {MAX_REACH - self.top_k:,}, not {self.offset}"
            )
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise BadQuery(f"min_score is a cosine, between -1 and 1, not {self.min_score}")
        if self.fold is not None and not 0 < self.fold <= 1:
            raise BadQuery(f"fold is a cosine above 0 and up to 1, not {self.fold}")
        similar = self.fold is not None and self.fold < EXACT_COPIES
        if similar and self.offset + self.top_k > MAX_SIMILAR:
            raise BadQuery(
                f"with fold below 1, offset and top_k reach {MAX_SIMILAR:,} results together"
            )
        if sum(term.image is not None for term in self.terms) > MAX_IMAGES:
            raise BadQuery(f"a query has at most {MAX_IMAGES} pictures")
        self._check_filter()

    def _check_filter(self) -> None:
        texts = list(self.filter.texts())
        if len(texts) > MAX_FILTER_VALUES:
            raise BadQuery(f"a filter names at most {MAX_FILTER_VALUES:,} things")
        for value in texts:
            _check_text(value)
            if len(value) > MAX_FILTER_CHARS:
                raise BadQuery(f"a filter's text has at most {MAX_FILTER_CHARS:,} characters")
        for size in self.filter.sizes():
            if not 0 <= size <= MAX_INT64:
                raise BadQuery(f"a width or height is a number of pixels, not {size}")


def text_query(text: str, **options: Any) -> Query:
    """The query of a search box: words alone."""
    return Query((Term(text),), **options)


def least_score(
    min_score: float | None = None, certainty: float | None = None, distance: float | None = None
) -> float | None:
    """One threshold as a cosine.

    ``certainty`` is (1 + cosine) / 2 and ``distance`` is 1 - cosine, as Weaviate has them. Raises
    BadQuery where more than one is given.
    """
    given = [value for value in (min_score, certainty, distance) if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise BadQuery("give one of min_score, certainty and distance, not several")
    if certainty is not None:
        if not 0 <= certainty <= 1:
            raise BadQuery(f"certainty is between 0 and 1, not {certainty}")
        return 2 * certainty - 1
    if distance is not None:
        if not 0 <= distance <= 2:
            raise BadQuery(f"distance is between 0 and 2, not {distance}")
        return 1 - distance
    return min_score


@dataclass(frozen=True)
class Hit:
    """One picture that was found."""

    id: int
    path: str
    category: str
    """Empty for pictures at the root of their library."""
    score: float
    """Cosine similarity, higher is better."""
    width: int
    """Pixels, upright."""
    height: int
    caption: str = ""
    library: str = ""
    size: int = 0
    """Bytes."""
    mtime_ns: int = 0
    label: str = ""
    """What ``image-search label --write`` found it to be."""
    content_hash: str = ""
    copies: tuple[str, ...] = ()
    """Paths of the pictures that this one stands for, as far as they came up."""


@dataclass(frozen=True)
class Note:
    """Something the asker should know of the answer."""

    kind: Literal["cut", "past_the_end", "below_score", "filtered"]
    text: str


@dataclass(frozen=True)
class SearchResult:
    """The answer to a query, best first."""

    hits: list[Hit]
    took_ms: float
    """Encoding and searching, in milliseconds."""
    notes: tuple[Note, ...] = ()
    more: bool = False
    """Whether there are results after these."""
    searched: int = 0
    """Pictures in the collection."""


def _check_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadQuery("the query is not valid Unicode; type it again")
