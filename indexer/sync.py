"""What a library's rows in the store mean for the files that a walk finds.

Size and modification time first, as rsync and git have it, and the stamp of a manifest's row:
where they are equal the file is not read. Then the content's hash and the caption in the vector:
what is stored under them already keeps its embedding.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum, auto
from typing import TypeAlias

from indexer.mark import Mark
from indexer.snapshot import Known
from indexer.source import FoundFile, Skipped, Source
from milvus.entities import ImageRow, image_id
from milvus.errors import CollectionMissing
from milvus.store import ImageStore

# Rows with their extras that are read from the store in one step.
ROWS_AT_ONCE = 500


class Change(StrEnum):
    """What a file is, against the store; the names of the report's counts."""

    UNCHANGED = auto()
    ADDED = auto()
    UPDATED = auto()
    MOVED = auto()


Origin: TypeAlias = tuple[str, str]
"""What an embedding follows from: the content's hash, and the mark's mix."""


class LibraryState:
    """What is stored of one library, and which of its files were seen on this walk.

    ``known`` is a snapshot of it, if there is one; ``read_rows`` reads all rows, and is called
    only where they are needed: without a snapshot, or when something is new, changed or gone.
    """

    def __init__(
        self, library: str, known: Known | None, read_rows: Callable[[], Iterable[ImageRow]]
    ) -> None:
        self.library = library
        self.came_from_snapshot = known is not None
        self._read_rows = read_rows
        self._rows: dict[int, ImageRow] | None = None
        self._by_origin: dict[Origin, ImageRow] = {}
        if known is None:
            known = {key: known_of(row) for key, row in self.rows().items()}
        self.known = known
        self._seen: set[int] = set()
        self.saw_any = False
        """Whether a file was there at all on this walk."""
        self._hidden: list[str] = []
        self._moved: set[int] = set()

    def rows(self) -> dict[int, ImageRow]:
        """The library's rows as they were before this run, by key."""
        if self._rows is None:
            self._rows = {row.m_id: row for row in self._read_rows()}
            self._by_origin = {origin_of(row): row for row in self._rows.values()}
        return self._rows

    def id_of(self, file: FoundFile) -> int:
        """The primary key of a file."""
        return image_id(self.library, file.relative)

    def see(self, file: FoundFile) -> Change:
        """Note that a file is there, and say what it is by its metadata alone."""
        key = self.id_of(file)
        self._seen.add(key)
        self.saw_any = True
        stored = self.known.get(key)
        if stored is None:
            return Change.ADDED
        now = (file.size, file.mtime_ns, file.mark.stamp)
        return Change.UNCHANGED if stored == now else Change.UPDATED

    def see_skipped(self, skipped: Skipped) -> None:
        """Note a place that could not be looked into: what is stored of it stays."""
        if skipped.hides:
            self._hidden.append(skipped.hides)

    def forget(self, file: FoundFile) -> None:
        """Treat a file as gone after all: its content is no picture, or it vanished."""
        self._seen.discard(self.id_of(file))

    def origins(self) -> Collection[Origin]:
        """What there was an embedding of before this run. Safe in any thread once ``rows`` was
        called."""
        return self._by_origin.keys()

    def same_origin(self, file: FoundFile, origin: Origin) -> ImageRow:
        """The row that held an embedding of this before this run; the file's own, if it did."""
        own = self.rows().get(self.id_of(file))
        return own if own is not None and origin_of(own) == origin else self._by_origin[origin]

    def change_of(self, file: FoundFile, source: ImageRow) -> Change:
        """What a file with known content is: only touched, moved here, or a second copy."""
        own = self.rows().get(self.id_of(file))
        if own is not None:
            touched = own.content_hash == source.content_hash and _stamp(own) == file.mark.stamp
            return Change.UNCHANGED if touched else Change.UPDATED
        if source.m_id in self._seen | self._moved or os.path.lexists(source.path):
            return Change.ADDED
        self._moved.add(source.m_id)
        return Change.MOVED

    def vanished(self) -> list[int]:
        """Keys of rows whose file the walk did not find, in places that it could look into."""
        if self.known.keys() <= self._seen:
            return []
        return [
            key
            for key, row in self.rows().items()
            if key not in self._seen
            and not any(_is_below(row.path, place) for place in self._hidden)
        ]

    def moved_from(self) -> set[int]:
        """Keys of rows whose picture was found elsewhere."""
        return set(self._moved)


def known_of(row: ImageRow) -> tuple[int, int, int]:
    """What a snapshot keeps of a row."""
    return row.size, row.mtime_ns, _stamp(row)


def origin_of(row: ImageRow) -> Origin:
    """What a row's embedding follows from."""
    return row.content_hash, Mark.kept_in(row.extras).mix


def stored_rows(store: ImageStore, source: Source) -> Iterator[ImageRow]:
    """A library's rows; where marks are among them, with their extras."""
    try:
        rows = store.rows(source.library)
        if not source.is_marked:
            yield from rows
            return
        keys = [row.m_id for row in rows]
    except CollectionMissing:
        return
    for start in range(0, len(keys), ROWS_AT_ONCE):
        yield from store.get(keys[start : start + ROWS_AT_ONCE])


def stored_token(store: ImageStore, source: Source) -> str | None:
    """The token that names the state of a library's rows."""
    try:
        return store.token(source.library)
    except CollectionMissing:
        return None


def _stamp(row: ImageRow) -> int:
    return Mark.kept_in(row.extras).stamp


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)
