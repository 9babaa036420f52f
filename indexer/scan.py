"""Walk a library: lazily, in sorted order, and without following links in circles.

Left out without a word: hidden files and folders (a leading dot), the folders that systems and
programs keep for themselves (``IGNORED_FOLDERS``), and files whose name does not end like a
picture's. Told as skipped: what cannot be listed or read, links that lead nowhere or in a
circle, and names that are not valid Unicode, which no store could give back.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from embeddings.images import IGNORED_FOLDERS, SUFFIXES
from indexer.errors import NotAFolder
from indexer.source import FoundFile, Skipped
from milvus.int64 import storable_time


@dataclass(frozen=True)
class Folder:
    """The library of all pictures below a folder; ``root`` is what ``check_root`` returned."""

    root: Path

    @property
    def library(self) -> str:
        """Absolute path that names the library in the store."""
        return str(self.root)

    @property
    def nothing(self) -> str:
        """What to say where it has no file at all."""
        return f"no picture in {self.root} (looked for {' '.join(sorted(SUFFIXES))})"

    @property
    def is_marked(self) -> bool:
        """A file's name, size and time say all there is."""
        return False

    def count(self) -> int:
        """How many files a run will find."""
        return sum(1 for _ in self.files())

    def files(self) -> Iterator[FoundFile | Skipped]:
        """Everything that looks like a picture."""
        return scan(self.root)

    def discard(self, file: FoundFile) -> None:
        """The user's files are only ever read."""


def check_root(folder: Path) -> Path:
    """The library's root as an absolute path with links resolved. Raises NotAFolder."""
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise NotAFolder(f"{folder}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise NotAFolder(f"{folder!s}: {error}") from error
    if not stat.S_ISDIR(mode):
        raise NotAFolder(f"{folder} is a file; give the folder that holds it")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise NotAFolder(f"{folder}: permission denied")
    root = folder.resolve()
    if undecodable(str(root)):
        raise NotAFolder(f"{str(root)!r}: the folder's name is not valid Unicode; rename it")
    return root


def scan(root: Path) -> Iterator[FoundFile | Skipped]:
    """Everything below ``root`` that looks like a picture, sorted folder by folder."""
    yield from _scan_folder(str(root), "", "", ())


def _scan_folder(
    folder: str, prefix: str, category: str, above: tuple[tuple[int, int], ...]
) -> Iterator[FoundFile | Skipped]:
    try:
        own = Path(folder).stat()
        identity = (own.st_dev, own.st_ino)
        if identity in above:
            yield Skipped(folder, "a symbolic link that leads back to a folder above it")
            return
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(folder, f"cannot be listed: {error.strerror}", hides=folder)
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        if _is_folder(entry):
            if name in IGNORED_FOLDERS:
                continue
            if undecodable(name):
                yield Skipped(entry.path, "its name is not valid Unicode; rename it")
                continue
            below = category or name
            yield from _scan_folder(entry.path, f"{prefix}{name}/", below, (*above, identity))
        elif PurePath(name).suffix.lower() in SUFFIXES:
            yield _file(entry, prefix, category)


def _file(entry: os.DirEntry[str], prefix: str, category: str) -> FoundFile | Skipped:
    if undecodable(entry.name):
        return Skipped(entry.path, "its name is not valid Unicode; rename it")
    try:
        status = entry.stat()
    except OSError as error:
        broken = entry.is_symlink() and not Path(entry.path).exists()
        reason = "a symbolic link that leads nowhere" if broken else f"{error.strerror}"
        return Skipped(entry.path, reason, hides="" if broken else entry.path)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(entry.path, "not a regular file")
    mtime_ns = storable_time(status.st_mtime_ns)
    return FoundFile(entry.path, prefix + entry.name, category, status.st_size, mtime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def undecodable(name: str) -> bool:
    """Whether a name holds bytes that are not UTF-8 (Python keeps them as lone surrogates)."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
