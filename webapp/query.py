"""What is asked and what is answered, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.errors import BadQuery

MAX_TOP_K = 1000


@dataclass(frozen=True)
class Query:
    """One search. Raises BadQuery when it is made of what cannot be searched."""

    text: str
    top_k: int = 16
    categories: Sequence[str] = ()
    """Only these; all where it is empty."""
    max_chars: int = 1000

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise BadQuery("type a few words to search for, such as: red apples")
        for words in (self.text, *self.categories):
            if any("\ud800" <= character <= "\udfff" for character in words):
                raise BadQuery("the query is not valid Unicode; type it again")
        if len(self.text) > self.max_chars:
            raise BadQuery(
                f"the query has {len(self.text):,} characters, and at most {self.max_chars:,} "
                "are read; shorten it"
            )
        if not 1 <= self.top_k <= MAX_TOP_K:
            raise BadQuery(f"top_k must be between 1 and {MAX_TOP_K}, not {self.top_k}")


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


@dataclass(frozen=True)
class SearchResult:
    """The answer to a query, best first."""

    hits: list[Hit]
    took_ms: float
    """Encoding and searching, in milliseconds."""
