"""Copy a collection into an empty one on a server by bulk import: for very many pictures.

The server reads files in place of single writes. It does not look whether a row is there already,
so an import goes into an empty collection, once. Its name is kept with the collection from before
the first file is written until all is checked, for a copy that was cut short.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from milvus.bulk import BulkPlace, BulkRun
from milvus.collection import MilvusCollection
from milvus.errors import BulkUnusable, ImportFailed
from milvus.imports import Imports
from webapp.copy_check import Entity, Sample, agreement, differs, same_model
from webapp.copying import Copied, batches, copy, not_itself
from webapp.errors import BadQuery, CopyDiffers

# With more pictures than this, a copy that writes them one by one says that there is this.
WORTH_IT = 100_000
# A server shows what it has imported a moment after it says that it has.
SEEN_S = 60.0
SEEN_PAUSE_S = 0.5

OnProgress = Callable[[int, int], None]


def bulk_copy(
    source: MilvusCollection,
    target: MilvusCollection,
    place: BulkPlace,
    *,
    on_progress: OnProgress = lambda done, total: None,
    on_import: Callable[[int], None] = lambda percent: None,
) -> Copied:
    """Make an empty target hold every picture of the source, as it is there.

    ``on_progress`` gets the number of pictures written to files and of all, ``on_import`` the
    percentage of what the server has imported. A copy that was cut short before the server was
    given the files begins again; after that, what the server does by itself is waited for, and
    compared with the source picture by picture.

    Raises StoreError, ImportFailed with the server's reason among them: then the target is empty
    as before; ModelMismatch for a target of another model, BadQuery for one that is not empty, is
    no server's or is the source, CopyDiffers where the copy does not give the same results.
    """
    began = time.monotonic()
    not_itself(source, target)
    if target.is_lite:
        raise BadQuery(f"{target.address} is a file; a bulk import is for a Milvus server")
    record, total = source.model(), source.count()
    run = BulkRun(place, record.dim)
    imports = Imports(target.connection, target.name)
    new = not target.exists()
    if not new:
        same_model(source, target)
        if _cut_short(target, place, imports, on_import):
            copied = copy(source, target, on_progress=on_progress)
            target.set_importing("")
            return copied
    target.prepare(record)
    target.set_importing(run.name)
    sample = Sample(total)
    handed_over = False
    try:
        files = run.write(_passing(source, sample, total, on_progress))
        handed_over = True
        imports.follow(imports.hand_over(files), on_import)
    except BaseException as error:
        # What the server may be at work with stays, for the same command to come back to.
        if not handed_over or isinstance(error, ImportFailed):
            with suppress(BulkUnusable):  # which would hide the reason
                place.remove(run.name)
            _empty(target, imports, drop=new)
        raise
    place.remove(run.name)
    target.reload()
    images = _seen(target, sample.passed)
    if images > sample.passed:
        raise CopyDiffers(
            f"{target.place} holds {images:,} rows, and {sample.passed:,} were imported; drop it, "
            "and copy again"
        )
    if images < sample.passed:
        raise differs(target, images, sample.passed)
    agreed = agreement(source, target, sample.entities, False)
    target.note(source.noted())
    target.set_importing("")
    return Copied(
        source=source.place,
        target=target.place,
        model_id=record.model_id,
        copied=sample.passed,
        already_there=0,
        others=0,
        images=images,
        agreement=agreed,
        seconds=time.monotonic() - began,
    )


def worth_it(source: MilvusCollection, target: MilvusCollection) -> bool:
    """Whether so many are to be copied, and to where, that a bulk import should be known of."""
    if target.is_lite or source.count() <= WORTH_IT:
        return False
    return not target.exists() or not target.count()


def _cut_short(
    target: MilvusCollection,
    place: BulkPlace,
    imports: Imports,
    on_import: Callable[[int], None],
) -> bool:
    """Whether pictures are there of a copy like this that was cut short, whose end was awaited.

    Raises BadQuery for pictures that came otherwise.
    """
    run, jobs = target.importing(), imports.unfinished()
    if not run and jobs:
        raise BadQuery(f"Milvus is importing into {target.place} for somebody else; wait for it")
    if run:
        # What is missing then is found out by comparing, or all of it begins again.
        with suppress(ImportFailed):
            imports.follow(jobs, on_import)
        place.remove(run)
        target.reload()
    had = target.count()
    if had and not run:
        raise BadQuery(
            f"{target.place} holds {had:,} pictures, and a bulk import would not replace them: "
            "leave out the --bulk options, or give another --to-collection"
        )
    return bool(had)


def _passing(
    source: MilvusCollection, sample: Sample, total: int, on_progress: OnProgress
) -> Iterator[Entity]:
    for batch in batches(source.entities()):
        sample.add(batch)
        yield from batch
        on_progress(sample.passed, total)


def _empty(target: MilvusCollection, imports: Imports, *, drop: bool) -> None:
    """The target as it was: gone if it was made for this, or empty."""
    with suppress(ImportFailed):  # as the others did
        imports.follow(imports.unfinished(), lambda percent: None)
    if drop:
        target.discard()
        return
    target.reload()
    target.delete(list(target.ids()))
    target.set_importing("")


def _seen(target: MilvusCollection, wanted: int) -> int:
    """The target's pictures, as soon as they are as many as wanted, or do not become so."""
    deadline = time.monotonic() + SEEN_S
    while (images := target.count()) < wanted and time.monotonic() < deadline:
        time.sleep(SEEN_PAUSE_S)
    return images
