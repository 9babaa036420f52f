"""Copy a collection into another store, vectors and all: nothing is encoded again."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import numpy as np

from milvus.collection import MilvusCollection
from milvus.entities import Embedding, ImageRow, Match
from milvus.errors import ModelMismatch
from webapp.errors import BadQuery, CopyDiffers

# Pictures in one write: 1.5 megabytes of vectors of 768 dimensions.
BATCH = 500
# Searches that are compared at the end.
SAMPLE = 20
SAMPLE_TOP_K = 16
# Of their results the part that must be the same; an index may miss one now and then.
AGREEMENT = 0.95
# Scores that differ by less are a tie, whose order is left to chance.
TIE = 1e-4

T = TypeVar("T")
Entity: TypeAlias = tuple[ImageRow, Embedding]


@dataclass(frozen=True)
class Copied:
    """What a copy did."""

    source: str
    target: str
    model_id: str
    copied: int
    """Pictures written."""
    already_there: int
    """Pictures that the target had, as they are here; from a copy that was cut short, perhaps."""
    others: int
    """Pictures that the target had before and this store has not; they stay."""
    images: int
    """Pictures in the target now."""
    agreement: float
    """The part of the results of some searches that both stores gave alike."""
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """What ``image-search copy --json`` prints."""
        values = {k: v for k, v in vars(self).items() if k not in ("source", "target")}
        rounded = {"agreement": round(self.agreement, 4), "seconds": round(self.seconds, 3)}
        return {"from": self.source, "to": self.target, **values, **rounded}

    def as_text(self) -> str:
        """The same for people."""
        already = f", {self.already_there:,} were there already" if self.already_there else ""
        others = f"; {self.others:,} others stay there" if self.others else ""
        return (
            f"copied {self.copied:,} pictures to {self.target}{already}{others}; "
            f"{self.agreement:.0%} of the compared results are the same ({self.seconds:.1f} s)"
        )


def copy(
    source: MilvusCollection,
    target: MilvusCollection,
    *,
    merge: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Copied:
    """Make the target hold every picture of the source, as it is there.

    What the target has already is not written again, so a copy that was cut short goes on where
    it was. ``merge`` allows a target with pictures that the source has not; they stay.
    ``on_progress`` gets the number of pictures dealt with and of all.

    Raises StoreError; ModelMismatch for a target of another model, BadQuery for one that holds
    other pictures or is the source, CopyDiffers where the copy does not give the same results.
    """
    began = time.monotonic()
    if source.identity == target.identity:
        raise BadQuery(f"{target.place} is where the pictures are; give another --to")
    record, total = source.model(), source.count()
    had = 0
    if target.exists():
        _same_model(source, target)
        had = target.count()
    others = had - _shared(source, target) if had else 0
    if others and not merge:
        raise BadQuery(
            f"{target.place} holds {others:,} pictures that {source.place} has not; --merge keeps "
            "them beside the copied ones, or give another --to-collection"
        )
    target.prepare(record)
    noted = source.noted()
    # As an indexer does before its first change: what was noted of these rows is no longer so.
    target.note(dict.fromkeys(noted, ""))
    done = copied = 0
    sample: list[Entity] = []
    for batch in _batches(source.entities()):
        missing = _missing(batch, target) if had else batch
        target.upsert([row for row, _ in missing], [vector for _, vector in missing])
        copied += len(missing)
        if len(sample) < SAMPLE * (done + len(batch)) / max(total, 1):
            sample += _spread(batch, len(batch) * SAMPLE // max(total, 1) + 1)
        done += len(batch)
        on_progress(done, total)
    if copied:
        target.flush()
    images = target.count()
    if images != done + others:
        raise CopyDiffers(
            f"{target.place} holds {images:,} pictures, and {done + others:,} were to be there; "
            "run the same command again"
        )
    agreement = _agreement(source, target, sample, bool(others))
    # A token names the state of a library's rows, which may be others where stores were merged.
    target.note(noted if not others else source.noted(tokens=False))
    return Copied(
        source=source.place,
        target=target.place,
        model_id=record.model_id,
        copied=copied,
        already_there=done - copied,
        others=others,
        images=images,
        agreement=agreement,
        seconds=time.monotonic() - began,
    )


def _same_model(source: MilvusCollection, target: MilvusCollection) -> None:
    here, there = source.model(), target.model()
    if (here.model_id, here.dim) != (there.model_id, there.dim):
        raise ModelMismatch(
            f"{target.place} was indexed with {there.model_id}, and {source.place} with "
            f"{here.model_id}: their vectors cannot be compared; give another --to-collection"
        )


def _shared(source: MilvusCollection, target: MilvusCollection) -> int:
    """How many of the source's pictures the target has, in whatever state."""
    keys = (row.m_id for row in source.rows())
    return sum(len(target.held_ids(batch)) for batch in _batches(keys))


def _missing(batch: list[Entity], target: MilvusCollection) -> list[Entity]:
    """What the target lacks, or has in another state."""
    there = {row.m_id: row for row in target.get([row.m_id for row, _ in batch])}
    return [(row, vector) for row, vector in batch if there.get(row.m_id) != row]


def _agreement(
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
    agreement = float(np.mean(found)) if found else 1.0
    if agreement < AGREEMENT:
        raise CopyDiffers(
            f"{target.place} has all pictures, but gives only {agreement:.0%} of the same results; "
            "try again when its index is built, or with a finer one"
        )
    return agreement


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


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
