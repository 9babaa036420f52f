"""Show where a copy is: a bar on a terminal, a quiet line now and then elsewhere."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType

from configs.progress import Bar


class CopyProgress(AbstractContextManager["CopyProgress"]):
    """A callback for ``copy`` that writes to stderr.

    ``bulk`` says that pictures are written to files for a server to import.
    """

    def __init__(self, *, bulk: bool = False) -> None:
        self._bulk = bulk
        self._copied: Bar | None = None
        self._imported: Bar | None = None
        self._percent: int | None = None
        self._done = self._total = 0

    def __call__(self, done: int, total: int) -> None:
        """Show where it is."""
        self._done, self._total = done, total
        if self._copied is None:
            self._close()
            self._copied = Bar("copy", total, lambda done: f"copy: {done} of {total}")
        self._copied.show(done)

    def importing(self, percent: int) -> None:
        """Show how much the server has imported."""
        if percent == self._percent:
            return
        self._percent = percent
        if self._imported is None:
            self._close()
            self._imported = Bar(
                "import", 100, lambda percent: f"import: {percent} %", unit="%", at_once=True
            )
        self._imported.show(percent)

    def _close(self) -> None:
        """End what is shown: one bar at a time."""
        for bar in (self._copied, self._imported):
            if bar is not None:
                bar.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()
        if error is not None and self._bulk:
            sys.stderr.write("the copy is not complete; the same command completes it\n")
        elif error is not None and self._done:
            sys.stderr.write(
                f"copied {self._done:,} of {self._total:,}; the same command goes on from there\n"
            )
