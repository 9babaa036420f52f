"""Copy a collection into another store, vectors and all: nothing is encoded again."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from milvus.collection import MilvusCollection
from milvus.imports import Imports
from webapp.copy_check import Entity, Sample, agreement, differs, same_model
from webapp.errors import BadQuery

# Pictures in one write: 1.5 megabytes of vectors of 768 dimensions.
BATCH = 500

T = TypeVar("T")


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
    not_itself(source, target)
    record, total = source.model(), source.count()
    had = 0
    if target.exists():
        same_model(source, target)
        _no_import_underway(target)
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
    sample = Sample(total)
    for batch in batches(source.entities()):
        missing = _missing(batch, target) if had else batch
        target.upsert([row for row, _ in missing], [vector for _, vector in missing])
        copied += len(missing)
        sample.add(batch)
        done += len(batch)
        on_progress(done, total)
    if copied:
        target.flush()
    images = target.count()
    if images != done + others:
        raise differs(target, images, done + others)
    agreed = agreement(source, target, sample.entities, bool(others))
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
        agreement=agreed,
        seconds=time.monotonic() - began,
    )


def not_itself(source: MilvusCollection, target: MilvusCollection) -> None:
    """Raises BadQuery where both are one collection."""
    if source.identity == target.identity:
        raise BadQuery(f"{target.place} is where the pictures are; give another --to")


def _no_import_underway(target: MilvusCollection) -> None:
    if target.importing() and Imports(target.connection, target.name).unfinished():
        raise BadQuery(
            f"Milvus is still importing into {target.place}: rows would be there twice; give the "
            "same --bulk options as before to wait for it"
        )


def _shared(source: MilvusCollection, target: MilvusCollection) -> int:
    """How many of the source's pictures the target has, in whatever state."""
    keys = (row.m_id for row in source.rows())
    return sum(len(target.held_ids(batch)) for batch in batches(keys))


def _missing(batch: list[Entity], target: MilvusCollection) -> list[Entity]:
    """What the target lacks, or has in another state."""
    there = {row.m_id: row for row in target.get([row.m_id for row, _ in batch])}
    return [(row, vector) for row, vector in batch if there.get(row.m_id) != row]


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists of ``BATCH``."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
