"""``image-search copy`` and ``switch``: another store, another collection."""

import contextlib
import json
import sys
from typing import TYPE_CHECKING

from configs.commandline import DONE, WRONG_USAGE
from configs.settings import Settings
from configs.stores import target_of
from webapp.commands.parts import PROGRAM, say, say_waiting, store_of

if TYPE_CHECKING:
    from milvus.bulk import BulkPlace


def copy(settings: Settings, merge: bool, as_json: bool) -> int:
    """Copy the index into another store."""
    from milvus.errors import StoreError
    from milvus.lock import writing
    from milvus.opening import open_collection
    from milvus.patience import Patience
    from webapp.bulk_copying import bulk_copy, worth_it
    from webapp.commands.copy_progress import CopyProgress
    from webapp.copying import copy

    there = target_of(settings)
    if there is None:
        print(f"{PROGRAM}: say where to: image-search copy --to URI", file=sys.stderr)
        return WRONG_USAGE
    place = _bulk_place(settings)
    if place is not None and merge:
        print(f"{PROGRAM}: --merge and a bulk import do not go together", file=sys.stderr)
        return WRONG_USAGE
    patience = Patience(settings.milvus.retry_seconds, say)
    target = open_collection(**there, patience=patience)
    source = store_of(settings, patience)
    locks = sorted({store.lock_file(settings.locks_dir) for store in (source, target)})
    try:
        source.model()  # before the other store is made
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(writing(lock, say_waiting))
            if place is None and worth_it(source, target):
                say(
                    f"{source.count():,} pictures: they can go there by bulk import, too; see "
                    "--bulk-folder and --bulk-endpoint"
                )
            progress = stack.enter_context(CopyProgress(bulk=place is not None))
            if place is None:
                copied = copy(source, target, merge=merge, on_progress=progress)
            else:
                copied = bulk_copy(
                    source, target, place, on_progress=progress, on_import=progress.importing
                )
    except StoreError as error:
        if there["uri"] not in str(error) or there["uri"] == settings.milvus_uri:
            raise
        words = str(error).replace("--milvus-uri", "--to").replace("--milvus-", "--to-")
        raise type(error)(words) from error
    finally:
        target.close()
        source.close()
    if as_json:
        print(json.dumps(copied.as_json(), ensure_ascii=False))
    print(copied.as_text(), file=sys.stderr)
    return DONE


def _bulk_place(settings: Settings) -> "BulkPlace | None":
    """Where the files of a bulk import go; None where none was asked for."""
    from milvus.bulk import BulkBucket, BulkFolder

    bulk = settings.bulk
    if bulk.folder is not None:
        return BulkFolder(bulk.folder)
    if bulk.endpoint is not None:
        return BulkBucket(
            bulk.endpoint, bulk.bucket, bulk.access_key, bulk.plain_secret_key, bulk.secure
        )
    return None


def switch(settings: Settings, collection: str, keep_as: str | None) -> int:
    """Make a name stand for another collection."""
    from milvus.aliases import Aliases

    alias = settings.milvus.collection
    new = store_of(settings, name=collection)
    record = new.model()  # a collection that is not ours is refused
    before = Aliases(new.connection).point(alias, collection, keep_as)
    if before is None:
        print(f"{alias} is {collection} already ({record.name})", file=sys.stderr)
        return DONE
    print(f"{alias} is {collection} from now on ({record.name})", file=sys.stderr)
    if before:
        print(
            f"{before} is still there; image-search drop --milvus-collection {before} removes it",
            file=sys.stderr,
        )
    return DONE
