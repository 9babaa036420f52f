"""Index types: what each is built with and searched with, side by side."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

METRIC_TYPE = "IP"
# Milvus Lite searches 10 lists whatever it is told, so with 10 lists its search is exact, and it
# reads every row in any case: more lists would cost recall and win nothing.
LITE_NLIST = 10


class IndexParams(Protocol):
    """An index type with its parameters."""

    index_type: ClassVar[str]

    def build(self) -> dict[str, Any]:
        """Parameters at build time."""

    def search(self) -> dict[str, Any]:
        """Parameters of each search."""


@dataclass(frozen=True)
class IvfFlat:
    """IVF_FLAT: k-means cells with whole vectors (Milvus and FAISS name it so)."""

    index_type: ClassVar[str] = "IVF_FLAT"
    nlist: int = 1024
    """Cells; about four times the square root of the rows in a segment."""
    nprobe: int = 64
    """Cells that a search reads."""

    def build(self) -> dict[str, Any]:
        return {"nlist": self.nlist}

    def search(self) -> dict[str, Any]:
        return {"nprobe": min(self.nprobe, self.nlist)}


def default_index(is_lite: bool) -> IndexParams:
    """IVF_FLAT as the kind of store wants it."""
    return IvfFlat(LITE_NLIST, LITE_NLIST) if is_lite else IvfFlat()
