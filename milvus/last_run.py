"""What is kept of the last run over a library."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LastRun:
    """The counts of the run that indexed a library last."""

    finished_at: str
    """ISO 8601 with its zone."""
    seconds: float
    found: int
    added: int
    updated: int
    moved: int
    removed: int
    unchanged: int
    skipped_count: int
    skipped: tuple[tuple[str, str], ...]
    """Path and reason; not all where there are many."""
    interrupted: bool
    model_id: str
