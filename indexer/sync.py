"""What a library's rows in the store mean for the files that a walk finds.

Size and modification time first, as rsync and git have it: where both are equal the file is not
read. Then the content's hash: what is stored under it already keeps its embedding.
"""

import os
from collections.abc import Iterable
from enum import StrEnum, auto

from indexer.scan import FoundFile, Skipped
from milvus.entities import ImageRow, image_id


class Change(StrEnum):
    """What a file is, against the store; the names of the report's counts."""

    UNCHANGED = auto()
    ADDED = auto()
    UPDATED = auto()
    MOVED = auto()


class LibraryState:
    """The rows of one library, read once, and which of their files were seen on this walk."""

    def __init__(self, library: str, rows: Iterable[ImageRow]) -> None:
        self.library = library
        self._rows = {row.m_id: row for row in rows}
        self._by_hash = {row.content_hash: row for row in self._rows.values()}
        self._seen: set[int] = set()
        self._hidden: list[str] = []
        self._moved: set[int] = set()

    def id_of(self, file: FoundFile) -> int:
        """The primary key of a file."""
        return image_id(self.library, file.relative)

    def see(self, file: FoundFile) -> Change:
        """Note that a file is there, and say what it is by its metadata alone."""
        key = self.id_of(file)
        self._seen.add(key)
        row = self._rows.get(key)
        if row is None:
            return Change.ADDED
        same = row.size == file.size and row.mtime_ns == file.mtime_ns
        return Change.UNCHANGED if same else Change.UPDATED

    def see_skipped(self, skipped: Skipped) -> None:
        """Note a place that could not be looked into: what is stored of it stays."""
        if skipped.hides:
            self._hidden.append(skipped.path)

    def forget(self, file: FoundFile) -> None:
        """Treat a file as gone after all: its content is no picture, or it vanished."""
        self._seen.discard(self.id_of(file))

    def knows(self, content_hash: str) -> bool:
        """Whether content is stored already. Safe in any thread: nothing changes it."""
        return content_hash in self._by_hash

    def same_content(self, content_hash: str) -> ImageRow:
        """The row that holds this content."""
        return self._by_hash[content_hash]

    def change_of(self, file: FoundFile, source: ImageRow) -> Change:
        """What a file with known content is: only touched, moved here, or a second copy."""
        own = self._rows.get(self.id_of(file))
        if own is not None:
            touched = own.content_hash == source.content_hash
            return Change.UNCHANGED if touched else Change.UPDATED
        if source.m_id in self._seen | self._moved or os.path.lexists(source.path):
            return Change.ADDED
        self._moved.add(source.m_id)
        return Change.MOVED

    def vanished(self) -> list[int]:
        """Keys of rows whose file the walk did not find, in places that it could look into."""
        return [
            key
            for key, row in self._rows.items()
            if key not in self._seen
            and not any(_is_below(row.path, place) for place in self._hidden)
        ]


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)
