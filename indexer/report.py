"""What a run did, as counts and as text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from indexer.source import Skipped
from milvus.entities import printable
from milvus.runs import LastRun, first_skipped

# More than these would scroll the summary off the screen; --json has them all.
SKIPPED_SHOWN = 20


@dataclass
class IndexReport:
    """Counts of one run; every found file is in exactly one of them but ``removed``."""

    found: int = 0
    added: int = 0
    updated: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0
    encoded: int = 0
    """Pictures that went through the model; others kept or shared an embedding."""
    model_id: str = ""
    interrupted: bool = False
    problems: list[str] = field(default_factory=list)
    """What went wrong beside the files, a line each; nothing of the index is missing for it."""

    @property
    def done(self) -> int:
        """Files that are dealt with, for a progress bar."""
        return self.added + self.updated + self.moved + self.unchanged + len(self.skipped)

    @property
    def changed(self) -> bool:
        """Whether there is anything to tell but that all is as it was."""
        return bool(self.added + self.updated + self.moved + self.removed) or self.interrupted

    def as_json(self) -> dict[str, Any]:
        """What ``index-folder --json`` prints."""
        return {
            "found": self.found,
            "added": self.added,
            "updated": self.updated,
            "moved": self.moved,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "skipped": [{"path": printable(s.path), "reason": s.reason} for s in self.skipped],
            "seconds": round(self.seconds, 3),
            "model_id": self.model_id,
            "interrupted": self.interrupted,
        }

    def as_last_run(self) -> LastRun:
        """What the store keeps of a run that ends now."""
        return LastRun(
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(self.seconds, 3),
            found=self.found,
            added=self.added,
            updated=self.updated,
            moved=self.moved,
            removed=self.removed,
            unchanged=self.unchanged,
            skipped_count=len(self.skipped),
            skipped=first_skipped((skipped.path, skipped.reason) for skipped in self.skipped),
            interrupted=self.interrupted,
            model_id=self.model_id,
        )

    def as_text(self) -> str:
        """The summary for people: one line, and one more for each file that was skipped."""
        counts = [
            f"{number} {word}"
            for word, number in (
                ("added", self.added),
                ("updated", self.updated),
                ("moved", self.moved),
                ("removed", self.removed),
                ("unchanged", self.unchanged),
                ("skipped", len(self.skipped)),
            )
            if number
        ]
        rate = f", {self.encoded / self.seconds:.0f} images/s" if self.encoded else ""
        head = "stopped early; " if self.interrupted else ""
        lines = [
            f"{head}{self.found} found: {', '.join(counts) or 'nothing to do'} "
            f"({self.seconds:.1f} s{rate})"
        ]
        lines += [
            f"  skipped {printable(s.path)}: {s.reason}" for s in self.skipped[:SKIPPED_SHOWN]
        ]
        if len(self.skipped) > SKIPPED_SHOWN:
            lines.append(f"  … and {len(self.skipped) - SKIPPED_SHOWN} more; --json names all")
        lines += [f"  {problem}" for problem in self.problems]
        if self.interrupted:
            lines.append("  run the same command again to complete it")
        return "\n".join(lines)


def total(reports: Sequence[IndexReport]) -> IndexReport:
    """The sum over several libraries."""
    whole = IndexReport()
    for report in reports:
        for name in ("found", "added", "updated", "moved", "removed", "unchanged", "encoded"):
            setattr(whole, name, getattr(whole, name) + getattr(report, name))
        whole.skipped += report.skipped
        whole.problems += [line for line in report.problems if line not in whole.problems]
        whole.seconds += report.seconds
        whole.model_id = report.model_id or whole.model_id
        whole.interrupted |= report.interrupted
    return whole


def followed_by(before: IndexReport, after: IndexReport) -> IndexReport:
    """Two runs over one library as one: work adds up, the state is the later one's."""
    both = total([before, after])
    both.found, both.unchanged, both.skipped = after.found, after.unchanged, after.skipped
    return both
