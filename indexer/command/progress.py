"""Show a run's progress: a bar on a terminal, a quiet line now and then elsewhere, JSON lines for
programs."""

import json
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from configs.progress import Bar
from indexer.report import IndexReport
from milvus.entities import printable

JSON_INTERVAL_S = 0.2


class Progress(AbstractContextManager["Progress"]):
    """A callback for ``index_library`` that writes to stderr; ``total`` is the number of files
    that it will find."""

    def __init__(self, library: str, total: int) -> None:
        label = Path(library).name or library
        self._bar = Bar(label, total, lambda done: f"{label}: {done} of {total}")

    def __call__(self, report: IndexReport) -> None:
        """Show where a run is."""
        self._bar.show(report.done)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()


class JsonProgress(AbstractContextManager["JsonProgress"]):
    """The same for programs: a JSON line on stdout now and then, the first one and the last one
    always."""

    def __init__(self, library: str, total: int) -> None:
        self._library = library
        self._total = total
        self._next_line = 0.0
        self._report = IndexReport()

    def __enter__(self) -> "JsonProgress":
        self._write()
        return self

    def __call__(self, report: IndexReport) -> None:
        """Tell where a run is."""
        self._report = report
        if time.monotonic() >= self._next_line:
            self._write()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, OSError):  # such as that of writing to nobody
            self._write()

    def _write(self) -> None:
        self._next_line = time.monotonic() + JSON_INTERVAL_S
        report = self._report
        line = {
            "library": printable(self._library),
            "total": self._total,
            "done": report.done,
            "added": report.added,
            "updated": report.updated,
            "moved": report.moved,
            "removed": report.removed,
            "unchanged": report.unchanged,
            "skipped": len(report.skipped),
        }
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
