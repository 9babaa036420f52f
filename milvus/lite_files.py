"""A Milvus Lite folder, looked at before the engine opens it.

The engine takes what it finds: where the list of a collection's files is damaged it deletes the
files that are not on it, rows whose file is missing are no rows, and a newer version's files are
read as if they were its own. So what is not whole is refused here, and left as it is.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from milvus.errors import StoreDamaged, StoreUnwritable

LOCK, COLLECTIONS = "LOCK", "collections"
SCHEMA, MANIFEST = "schema.json", "manifest.json"
# What every Parquet file begins and ends with.
PARQUET = b"PAR1"
# A flush that meets a full disk half-way costs what was gathered for it. What one needs is a few
# times the engine's limit on that, so it is not begun with less.
ROOM_BYTES = 64 * 2**20


def check_place(path: Path) -> None:
    """Whether a store may be, or be made, at this path. Raises StoreUnwritable or StoreDamaged.

    A folder with other things in it, such as photos, is none: the engine would add its own.
    """
    if path.is_file():
        raise StoreUnwritable(
            f"{path} is no Milvus Lite store (one of this version is a folder); "
            "give another --milvus-uri"
        )
    if path.is_dir() and not (path / LOCK).exists() and any(path.iterdir()):
        raise StoreUnwritable(
            f"{path} is a folder with other things in it, and no Milvus Lite store; "
            "give another --milvus-uri, such as a path that is not there yet"
        )
    if (path / LOCK).exists() and not (path / COLLECTIONS).is_dir():
        raise _damaged(path, path / COLLECTIONS, "is missing")


def check_room(path: Path) -> None:
    """Whether a store's disk has room for more rows. Raises StoreUnwritable."""
    free = shutil.disk_usage(path).free
    if free < ROOM_BYTES:
        raise StoreUnwritable(
            f"the store {path} cannot be written: no space left but {free / 2**20:.0f} MB, and "
            f"{ROOM_BYTES / 2**20:.0f} MB are needed; make room, then run the same command again"
        )


def check_files(path: Path) -> None:
    """Whether a store is whole, as far as its files' names, lists and ends tell.

    The caller holds the store's lock. What a program that was killed had begun to make, and had
    put nothing into yet, is removed. Raises StoreDamaged.
    """
    for database in (path, *_folders(path / "databases")):
        for name in ("aliases.json", "database_properties.json"):
            if (database / name).exists():
                _read(path, database / name)
        for collection in _folders(database / COLLECTIONS):
            _check_collection(path, collection)


def discard_indexes(path: Path) -> None:
    """Delete a store's built indexes: the engine builds them again of the rows.

    It writes them in place, so one that a kill or a full disk cut short cannot be read.
    """
    for built in path.rglob("partitions/*/indexes/*.idx"):
        built.unlink(missing_ok=True)


def _check_collection(store: Path, collection: Path) -> None:
    parquet = list(collection.glob("partitions/*/*/*.parquet"))
    logs = list(collection.glob("wal/*.arrow"))
    if not (collection / SCHEMA).exists():
        if parquet or logs or (collection / MANIFEST).exists():
            raise _damaged(store, collection / SCHEMA, "is missing")
        shutil.rmtree(collection, ignore_errors=True)
        return
    from milvus_lite.schema.persistence import SCHEMA_FORMAT_VERSION
    from milvus_lite.storage.manifest import MANIFEST_FORMAT_VERSION

    schema = _read(store, collection / SCHEMA)
    _check_version(store, schema.get("schema_format_version"), SCHEMA_FORMAT_VERSION)
    if not (collection / MANIFEST).exists():
        if parquet:
            raise _damaged(store, collection / MANIFEST, "is missing")
        return
    manifest = _read(store, collection / MANIFEST)
    _check_version(store, manifest.get("manifest_format_version"), MANIFEST_FORMAT_VERSION)
    try:
        files = list(_listed(manifest))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(store, collection / MANIFEST, "lists no files") from None
    for file in files:
        _check_parquet(store, collection / "partitions" / file)


def _listed(manifest: dict[str, Any]) -> Iterator[Path]:
    for name, files in manifest["partitions"].items():
        for file in (*files.get("data_files", ()), *files.get("delta_files", ())):
            yield Path(name, file)


def _check_parquet(store: Path, file: Path) -> None:
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(PARQUET))
            opened.seek(-len(PARQUET), 2)
            end = opened.read()
    except FileNotFoundError:
        raise _damaged(store, file, "is missing") from None
    except OSError:  # shorter than its end
        begin = end = b""
    if begin != PARQUET or end != PARQUET:
        raise _damaged(store, file, "is cut short or garbled")


def _check_version(store: Path, found: Any, known: int) -> None:
    if isinstance(found, int) and found > known:
        raise StoreDamaged(
            f"the store {store} was made by a newer version of Milvus Lite (format {found}, here "
            f"{known}); it was left as it is: pip install -U milvus-lite, or give another "
            "--milvus-uri"
        )


def _read(store: Path, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError):  # no JSON, no UTF-8
        content = None
    if not isinstance(content, dict):
        raise _damaged(store, file, "cannot be read")
    return content


def _damaged(store: Path, file: Path, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"the store {store} is damaged: {file.relative_to(store)} {what}; it was left as it is: "
        "put it back from a copy, or move the store away and index again"
    )


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted(entry for entry in parent.iterdir() if entry.is_dir())
