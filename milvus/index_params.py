"""Index types: what each is built with and searched with, side by side.

Flat       every row, exact
IvfFlat    k-means cells with whole vectors
IvfSq8     the same with a byte for each number: a quarter of the memory
Hnsw       a graph of neighbours: quick, and the largest in memory
AutoIndex  what the store takes for the best
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeAlias

METRIC_TYPE = "IP"
# Milvus Lite reads every row in any case, so more lists win nothing there; with as many as are
# searched by default, results are exact.
LITE_NLIST = 10
# A server seals a segment at about this size, and builds an index for each.
SEGMENT_BYTES = 1 << 30
# For a collection that is only just made: right for 65,536 rows in a segment. Where a segment has
# fewer than 40 for each list, a server makes as many lists as have 40.
NLIST_UNKNOWN = 1024
MOST_NLIST = 65_536


class IndexParams(Protocol):
    """An index type with its parameters; a frozen dataclass."""

    index_type: ClassVar[str]
    knob: ClassVar[str | None]
    """The search parameter that trades time for recall; None where there is none."""

    def build(self) -> dict[str, Any]:
        """Parameters at build time."""

    def search(self, top_k: int, *, is_filtered: bool = False) -> dict[str, Any]:
        """Parameters of a search for so many results, among all rows or those that a filter lets
        through."""

    @property
    def effort(self) -> int:
        """The knob's value; 0 without one."""

    def with_effort(self, effort: int) -> Self:
        """The same index, searched with another value of its knob."""

    def efforts(self) -> list[int]:
        """Values of the knob worth trying, cheapest first; empty where there is no choice."""


class _WithoutKnob:
    knob: ClassVar[str | None] = None

    def build(self) -> dict[str, Any]:
        return {}

    def search(self, top_k: int, *, is_filtered: bool = False) -> dict[str, Any]:
        return {}

    @property
    def effort(self) -> int:
        return 0

    def with_effort(self, effort: int) -> Self:
        return self

    def efforts(self) -> list[int]:
        return []


@dataclass(frozen=True)
class Flat(_WithoutKnob):
    """FLAT: every row is compared; exact."""

    index_type: ClassVar[str] = "FLAT"


@dataclass(frozen=True)
class AutoIndex(_WithoutKnob):
    """AUTOINDEX: the store's own choice of index and parameters."""

    index_type: ClassVar[str] = "AUTOINDEX"


@dataclass(frozen=True)
class IvfFlat:
    """IVF_FLAT: k-means cells with whole vectors (Milvus and FAISS name it so)."""

    index_type: ClassVar[str] = "IVF_FLAT"
    knob: ClassVar[str | None] = "nprobe"
    nlist: int = NLIST_UNKNOWN
    """Cells; about four times the square root of the rows in a segment."""
    nprobe: int = 64
    """Cells that a search reads."""

    def build(self) -> dict[str, Any]:
        return {"nlist": self.nlist}

    def search(self, top_k: int, *, is_filtered: bool = False) -> dict[str, Any]:
        # The best of those that a filter lets through may be in cells far from the query: reading
        # the nearest ones found half of them, at a million pictures and one category of twenty.
        # All cells cost little, for only rows that pass are compared.
        return {"nprobe": self.nlist if is_filtered else self.effort}

    @property
    def effort(self) -> int:
        return min(self.nprobe, self.nlist)

    def with_effort(self, effort: int) -> Self:
        return replace(self, nprobe=effort)

    def efforts(self) -> list[int]:
        # Few lists are as good as one: reading some of them saves no time worth a lost picture.
        return _doubling(1, self.nlist) if self.nlist > LITE_NLIST else []


@dataclass(frozen=True)
class IvfSq8(IvfFlat):
    """IVF_SQ8: the same cells, with each number of a vector kept as one byte."""

    index_type: ClassVar[str] = "IVF_SQ8"


@dataclass(frozen=True)
class Hnsw:
    """HNSW: a graph in which a search walks to ever nearer neighbours (Malkov and Yashunin)."""

    index_type: ClassVar[str] = "HNSW"
    knob: ClassVar[str | None] = "ef"
    m: int = 16
    """Neighbours that each row keeps (``M``)."""
    ef_construction: int = 200
    """Candidates while it is built."""
    ef: int = 64
    """Candidates of a search."""

    def build(self) -> dict[str, Any]:
        return {"M": self.m, "efConstruction": self.ef_construction}

    def search(self, top_k: int, *, is_filtered: bool = False) -> dict[str, Any]:
        # Milvus refuses fewer candidates than results.
        return {"ef": max(self.ef, top_k)}

    @property
    def effort(self) -> int:
        return self.ef

    def with_effort(self, effort: int) -> Self:
        return replace(self, ef=effort)

    def efforts(self) -> list[int]:
        return _doubling(16, 1024)


AnyIndex: TypeAlias = Flat | IvfFlat | IvfSq8 | Hnsw | AutoIndex
_WITHOUT_SIZE: Mapping[str, type[Flat | Hnsw | AutoIndex]] = {
    kind.index_type: kind for kind in (Flat, Hnsw, AutoIndex)
}
_LISTED: Mapping[str, type[IvfFlat]] = {kind.index_type: kind for kind in (IvfFlat, IvfSq8)}
INDEX_TYPES = (*_LISTED, *_WITHOUT_SIZE)


def nlist_for(rows: int, dim: int) -> int:
    """Lists for so many rows on a server: four times the square root of those in a segment.

    >>> nlist_for(20_000, 768), nlist_for(1_000_000, 768)
    (566, 2366)
    """
    in_segment = max(1, min(rows, SEGMENT_BYTES // (4 * dim)))
    return min(MOST_NLIST, max(LITE_NLIST, math.ceil(4 * math.sqrt(in_segment))))


def choose_index(index_type: str, is_lite: bool, rows: int | None = None, dim: int = 1) -> AnyIndex:
    """An index of one of ``INDEX_TYPES``, with parameters for the kind of store and, where they
    are known, its rows. Raises ValueError for another type."""
    if index_type in _LISTED:
        kind = _LISTED[index_type]
        if is_lite:
            return kind(LITE_NLIST, LITE_NLIST)
        return kind() if rows is None else kind(nlist_for(rows, dim))
    if index_type not in _WITHOUT_SIZE:
        raise ValueError(f"{index_type!r} is none of {', '.join(INDEX_TYPES)}")
    return _WITHOUT_SIZE[index_type]()


def described_index(index_type: str, params: Mapping[str, Any]) -> AnyIndex | None:
    """The index that Milvus describes; None for a type that this program does not make."""
    if index_type in _LISTED:
        return _LISTED[index_type](int(params.get("nlist", NLIST_UNKNOWN)))
    if index_type == Hnsw.index_type:
        return Hnsw(int(params.get("M", Hnsw.m)), int(params.get("efConstruction", 200)))
    return _WITHOUT_SIZE[index_type]() if index_type in _WITHOUT_SIZE else None


def _doubling(first: int, last: int) -> list[int]:
    values = []
    while first < last:
        values.append(first)
        first *= 2
    return [*values, last]
