"""What the last run over a library did, as it is kept with the collection."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from milvus.entities import printable

# A collection's properties are read with every description of it, and a server keeps those of all
# libraries in one value of at most a megabyte or so.
MAX_BYTES = 10_000
MAX_SKIPPED = 50
MAX_PATH = 300
MAX_REASON = 200


@dataclass(frozen=True)
class LastRun:
    """A run over one library that came to its end, or was stopped."""

    finished_at: str
    """ISO 8601 in UTC."""
    seconds: float
    found: int
    added: int
    updated: int
    moved: int
    removed: int
    unchanged: int
    skipped_count: int
    skipped: tuple[tuple[str, str], ...]
    """Path and reason of the first of them, cut short and printable: see ``first_skipped``."""
    interrupted: bool
    """Whether it was stopped: the library may hold more than the collection."""
    model_id: str


def first_skipped(skipped: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """As many paths with their reasons as a LastRun keeps; of a long path the end stays."""
    return tuple(
        (_end(printable(path)), printable(reason)[:MAX_REASON])
        for (path, reason), _ in zip(skipped, range(MAX_SKIPPED), strict=False)
    )


def to_text(library: str, run: LastRun) -> str:
    """A run as JSON of at most ``MAX_BYTES``; what is too much of the skipped is left out."""
    while True:
        text = _NOTED.dump_json(_Noted(library, run)).decode()
        too_many_bytes = len(text.encode()) > MAX_BYTES
        if not (too_many_bytes and run.skipped):
            return text
        run = replace(run, skipped=run.skipped[: len(run.skipped) * 9 // 10])


def from_text(text: str) -> tuple[str, LastRun] | None:
    """The library and its run; None where the text is damaged, or of another version."""
    try:
        noted = _NOTED.validate_json(text)
    except ValidationError:
        return None
    return noted.library, noted.run


@dataclass(frozen=True)
class _Noted:
    library: str
    run: LastRun


_NOTED = TypeAdapter(_Noted)


def _end(path: str) -> str:
    return path if len(path) <= MAX_PATH else "…" + path[1 - MAX_PATH :]
