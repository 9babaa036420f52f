"""What the pipeline indexes: a library of files, wherever their list comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from indexer.caption import Caption
from indexer.mark import NO_MARK, Cell, Mark


@dataclass(frozen=True)
class FoundFile:
    """A file that may be a picture."""

    path: str
    """Absolute."""
    relative: str
    """Names it within its library: below a folder's root, with ``/`` between folders."""
    category: str
    """First folder below the root, or what a manifest says; may be empty."""
    size: int
    """Bytes."""
    mtime_ns: int
    url: str = ""
    """Where it was downloaded from; empty for the user's own files."""
    extras: Mapping[str, Cell] = field(default_factory=dict)
    """A manifest's columns, to be stored beside it."""
    caption: Caption | None = None
    """The text that enters its vector, where one does."""
    mark: Mark = NO_MARK

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.url or self.path


@dataclass(frozen=True)
class Skipped:
    """A file, folder or row that is not indexed, and why."""

    path: str
    """Or its URL."""
    reason: str
    hides: str = ""
    """The path at and below which nothing is known now: nothing of it may be removed either."""


class Source(Protocol):
    """A library: its name and its files."""

    @property
    def library(self) -> str:
        """Absolute path that names the library in the store."""

    @property
    def nothing(self) -> str:
        """What to say where it has no file at all."""

    @property
    def is_marked(self) -> bool:
        """Whether its files carry marks, which are among the extras that the store keeps."""

    def count(self) -> int:
        """How many files a run will find: the total of a progress bar."""

    def files(self) -> Iterator[FoundFile | Skipped]:
        """All of them, in an order that is the same on every run."""

    def discard(self, file: FoundFile) -> None:
        """Told that a file is no picture."""
