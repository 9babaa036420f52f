"""Show a run's progress on stderr: a bar on a terminal, a quiet line now and then elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from tqdm import tqdm

from indexer.report import IndexReport

QUIET_INTERVAL_S = 15.0


class Progress(AbstractContextManager["Progress"]):
    """A callback for ``index_library``; ``total`` is the number of files that it will find."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._next_line = time.monotonic() + QUIET_INTERVAL_S
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, desc=label, unit="img", file=sys.stderr, smoothing=0.1)

    def __call__(self, report: IndexReport) -> None:
        """Show where a run is."""
        if self._bar is not None:
            self._bar.update(report.done - self._bar.n)
        elif time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + QUIET_INTERVAL_S
            sys.stderr.write(f"{self._label}: {report.done} of {self._total}\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
