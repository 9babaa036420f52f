"""Rows against files: what is indexed and gone, what is there and not indexed. Stat only."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePath

from embeddings.images import IGNORED_FOLDERS, SUFFIXES
from embeddings.thumbnails import ThumbnailFolder
from milvus.entities import ImageRow, image_id
from milvus.store import ImageStore

THREADS = 8
BATCH = 1000
# Names that are told of each kind.
NAMED = 3


@dataclass
class Found:
    """Some files: how many, and the first names."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if len(self.names) < NAMED:
            self.names.append(name)


@dataclass
class LibraryFiles:
    """What a comparison found of one library."""

    rows: int = 0
    gone: Found = field(default_factory=Found)
    """Rows whose file is not there."""
    new: Found = field(default_factory=Found)
    """Files without a row; of folders only."""
    ids: set[int] = field(default_factory=set)


@dataclass
class Compared:
    """All rows, by library."""

    libraries: dict[str, LibraryFiles] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    without_thumbnail: int = 0


def compare(store: ImageStore, thumbnails: ThumbnailFolder) -> Compared:
    """Read all rows, look whether their files are there, and walk the libraries' folders.

    Raises StoreError. A folder that is not there has only rows without files.
    """
    found = Compared()

    def look(row: ImageRow) -> tuple[bool, bool]:
        return _is_file(row.path), thumbnails.path(row.content_hash).is_file()

    rows = iter(store.rows())
    with ThreadPoolExecutor(THREADS, thread_name_prefix="stat") as threads:
        while batch := list(islice(rows, BATCH)):
            for row, (is_there, has_thumbnail) in zip(batch, threads.map(look, batch), strict=True):
                library = found.libraries.setdefault(row.library, LibraryFiles())
                library.rows += 1
                library.ids.add(row.m_id)
                found.ids.append(row.m_id)
                found.without_thumbnail += not has_thumbnail
                if not is_there:
                    library.gone.add(row.path)
    for name, library in found.libraries.items():
        for path in pictures(name):
            if image_id(name, path) not in library.ids:
                library.new.add(f"{name}/{path}")
    return found


def pictures(root: str) -> Iterator[str]:
    """Paths, relative to a folder, that the indexer would take for pictures."""
    yield from _below(root, "", ())


def _below(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        own = Path(folder).stat()
        identity = (own.st_dev, own.st_ino)
        if identity in above:
            return
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir():
                if entry.name not in IGNORED_FOLDERS:
                    yield from _below(entry.path, f"{prefix}{entry.name}/", (*above, identity))
            elif PurePath(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                yield prefix + entry.name
        except OSError:
            continue


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False
