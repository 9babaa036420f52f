"""Where something long is: a bar on a terminal, elsewhere a quiet line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

QUIET_INTERVAL_S = 15.0


class Bar:
    """Writes to stderr how much of ``total`` is done.

    ``line`` makes of what is done the line that is told where there is no terminal; ``at_once``
    says that the first one does not wait.
    """

    def __init__(
        self,
        label: str,
        total: int,
        line: Callable[[int], str],
        *,
        unit: str = "img",
        at_once: bool = False,
    ) -> None:
        self._line = line
        self._next_line = time.monotonic() + (0 if at_once else QUIET_INTERVAL_S)
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, smoothing=0.1)

    def show(self, done: int) -> None:
        """Show where it is."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + QUIET_INTERVAL_S
            sys.stderr.write(f"{self._line(done)}\n")

    def close(self) -> None:
        """Leave the bar as it is, so that others may write below it."""
        if self._bar is not None:
            self._bar.close()
