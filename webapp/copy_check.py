"""Whether a copy of a collection is like the collection: its model, its count, its searches."""

from typing import TypeAlias

import numpy as np

from milvus.collection import MilvusCollection
from milvus.entities import Embedding, ImageRow, Match
from milvus.errors import ModelMismatch
from webapp.errors import CopyDiffers

# Searches that are compared at the end.
SAMPLE = 20
SAMPLE_TOP_K = 16
# Of their results the part that must be the same; an index may miss one now and then.
AGREEMENT = 0.95
# Scores that differ by less are a tie, whose order is left to chance.
TIE = 1e-4

Entity: TypeAlias = tuple[ImageRow, Embedding]


class Sample:
    """Pictures from all over a collection, taken as they pass; ``total`` pass in all."""

    def __init__(self, total: int) -> None:
        self.entities: list[Entity] = []
        self._total = max(total, 1)
        self.passed = 0
        """Pictures seen so far."""

    def add(self, batch: list[Entity]) -> None:
        """Take some of these, if it is time for more."""
        self.passed += len(batch)
        if len(self.entities) < SAMPLE * self.passed / self._total:
            self.entities += _spread(batch, len(batch) * SAMPLE // self._total + 1)


def same_model(source: MilvusCollection, target: MilvusCollection) -> None:
    """Raises ModelMismatch where they are not of one model."""
    here, there = source.model(), target.model()
    if (here.model_id, here.dim) != (there.model_id, there.dim):
        raise ModelMismatch(
            f"{target.place} was indexed with {there.model_id}, and {source.place} with "
            f"{here.model_id}: their vectors cannot be compared; give another --to-collection"
        )


def differs(target: MilvusCollection, images: int, wanted: int) -> CopyDiffers:
    """The error for a copy that holds another number of pictures than it should."""
    return CopyDiffers(
        f"{target.place} holds {images:,} pictures, and {wanted:,} were to be there; "
        "run the same command again"
    )


def agreement(
    source: MilvusCollection, target: MilvusCollection, sample: list[Entity], has_others: bool
) -> float:
    """The part of the best results that the target gives, too. Raises CopyDiffers."""
    found = [
        _alike(
            source.search(vector, SAMPLE_TOP_K),
            target.search(vector, SAMPLE_TOP_K),
            row.m_id,
            has_others,
        )
        for row, vector in sample[:SAMPLE]
    ]
    agreed = float(np.mean(found)) if found else 1.0
    if agreed < AGREEMENT:
        raise CopyDiffers(
            f"{target.place} has all pictures, but gives only {agreed:.0%} of the same results; "
            "try again when its index is built, or with a finer one"
        )
    return agreed


def _alike(here: list[Match], there: list[Match], key: int, has_others: bool) -> float:
    """The part of one search's results that the target's answer has, or has as good ones of."""
    ids = {match.row.m_id for match in there}
    lowest = min((match.score for match in there), default=float("inf"))
    best = max((match.score for match in there), default=-1.0)
    if has_others:  # which may be better ones: then the picture itself must be found
        return float(key in ids or best >= 1 - TIE)
    return sum(m.row.m_id in ids or m.score <= lowest + TIE for m in here) / max(len(here), 1)


def _spread(batch: list[Entity], count: int) -> list[Entity]:
    return batch[:: max(1, len(batch) // count)][:count]
