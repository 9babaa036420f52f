"""Show where a copy is: a bar on a terminal, a quiet line now and then elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from tqdm import tqdm

QUIET_INTERVAL_S = 15.0


class CopyProgress(AbstractContextManager["CopyProgress"]):
    """A callback for ``copy`` that writes to stderr.

    ``bulk`` says that pictures are written to files for a server to import.
    """

    def __init__(self, *, bulk: bool = False) -> None:
        self._bulk = bulk
        self._imported: int | None = None
        self._bar: Any = None
        self._done = self._total = 0
        self._next_line = time.monotonic() + QUIET_INTERVAL_S

    def __call__(self, done: int, total: int) -> None:
        """Show where it is."""
        self._done, self._total = done, total
        if sys.stderr.isatty():
            self._bar = self._bar or tqdm(total=total, desc="copy", unit="img", file=sys.stderr)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + QUIET_INTERVAL_S
            sys.stderr.write(f"copy: {done} of {total}\n")

    def importing(self, percent: int) -> None:
        """Show how much the server has imported."""
        if percent == self._imported:
            return
        if sys.stderr.isatty():
            if self._imported is None and self._bar is not None:
                self._bar.close()
                self._bar = None
            self._bar = self._bar or tqdm(total=100, desc="import", unit="%", file=sys.stderr)
            self._bar.update(percent - self._bar.n)
        elif self._imported is None or time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + QUIET_INTERVAL_S
            sys.stderr.write(f"import: {percent} %\n")
        self._imported = percent

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if error is not None and self._bulk:
            sys.stderr.write("the copy is not complete; the same command completes it\n")
        elif error is not None and self._done:
            sys.stderr.write(
                f"copied {self._done:,} of {self._total:,}; the same command goes on from there\n"
            )
