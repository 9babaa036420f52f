"""Waiting for a server that went away, with growing pauses and one line that says so."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from milvus.errors import StoreUnavailable

T = TypeVar("T")

# A server that is starting takes many seconds, and clients that ask all the time slow it down.
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0


class Patience:
    """Tries again for ``seconds`` what failed because the store did not answer.

    ``say`` gets a line when the waiting begins and one when it was worth it, however many threads
    wait. The default does not wait at all. Safe to use from several threads.
    """

    def __init__(
        self, seconds: float = 0.0, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.seconds = seconds
        self._say = say
        self._lock = threading.Lock()
        self._waiting = False
        self._ended = threading.Event()

    def end(self) -> None:
        """Wait no more: what fails from now on has failed."""
        self._ended.set()

    def insist(self, operation: Callable[[], T]) -> T:
        """The operation's result. Raises StoreUnavailable when the time is over."""
        deadline, pause = 0.0, FIRST_PAUSE_S
        while True:
            try:
                result = operation()
            except StoreUnavailable as error:
                now = time.monotonic()
                deadline = deadline or now + self.seconds
                if now + pause > deadline or self._ended.is_set():
                    raise
                self._tell(True, f"{error}; waiting for it, {self.seconds:.0f} s at most …")
                self._ended.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._tell(False, "the store answers again; going on")
                return result

    def _tell(self, waiting: bool, line: str) -> None:
        with self._lock:
            if waiting != self._waiting:
                self._waiting = waiting
                self._say(line)
