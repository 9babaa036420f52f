"""Index a folder from the page: ``index-folder`` as a process of its own, one at a time.

A process, since indexing takes memory that should be given back, and a model that crashes must
not take the page with it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import IO, Any

from milvus.entities import printable
from webapp.allowed_folders import AllowedFolders
from webapp.errors import AlreadyRunning

# -P: modules come from where ours are installed, and never from the folder the server runs in.
INDEXER = (sys.executable, "-P", "-m", "indexer.cli", "--json", "--progress-json", "--")
PROGRAM = "index-folder: "
# An interrupted run still writes what is encoded and flushes; then it is made to end.
GRACE_S = 10.0
MAX_SKIPPED = 1000
MAX_LINE = 500
COUNTS = ("added", "updated", "moved", "removed", "unchanged")


class Phase(StrEnum):
    """Where indexing is."""

    IDLE = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()
    STOPPED = auto()


@dataclass(frozen=True)
class State:
    """The run at hand, or the last one."""

    phase: Phase = Phase.IDLE
    folder: str | None = None
    done: int = 0
    """Files that are dealt with, of ``total``."""
    total: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    """Counts as they grow, and at the end the report of ``index-folder --json``, with the first
    ``MAX_SKIPPED`` skipped files and ``skipped_count``."""
    error: str | None = None
    """Why it failed, in one line."""
    note: str = ""
    """What the run said last, such as that it is loading a model."""
    stopping: bool = False


class Indexing:
    """Runs the indexer over folders that are allowed. Safe to call from several threads.

    ``environment`` is called for each run, and makes the environment that tells the indexer its
    settings; ``on_end`` is called after each run.
    """

    def __init__(
        self,
        allowed: AllowedFolders,
        environment: Callable[[], Mapping[str, str]] = lambda: os.environ,
        on_end: Callable[[], None] = lambda: None,
        *,
        command: Sequence[str] = INDEXER,
        grace_s: float = GRACE_S,
    ) -> None:
        self.allowed = allowed
        self._environment = environment
        self._on_end = on_end
        self._command = command
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._state = State()
        self._process: subprocess.Popen[str] | None = None
        self._follower: threading.Thread | None = None
        self._killer: threading.Timer | None = None
        self._closed = False

    @property
    def state(self) -> State:
        """Where the run at hand is, or how the last one ended."""
        return self._state

    def start(self, name: str) -> State:
        """Begin to index a folder. Raises NotAllowed, BadFolder, AlreadyRunning or StoreError."""
        folder = self.allowed.find(name)
        environment = {**self._environment(), "PYTHONIOENCODING": "utf-8"}
        with self._lock:
            if self._process is not None or self._closed:
                raise AlreadyRunning(
                    "the server is ending"
                    if self._closed
                    else f"{self._state.folder} is being indexed; wait for it, or stop it"
                )
            self._state = State(Phase.RUNNING, printable(str(folder)))
            try:
                self._process = subprocess.Popen(
                    [*self._command, str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    env=environment,
                    start_new_session=True,  # Ctrl+C in a terminal is for the server alone
                )
            except OSError as error:
                reason = f"the indexer cannot be started: {error.strerror}"
                self._state = replace(self._state, phase=Phase.FAILED, error=reason)
                return self._state
            self._follower = threading.Thread(
                target=self._follow, args=(self._process,), name="indexing", daemon=True
            )
            self._follower.start()
            return self._state

    def stop(self) -> State:
        """Ask the run to end, and make it end after a while; what it has done is kept."""
        with self._lock:
            process = self._process
            if process is None or self._state.stopping:
                return self._state
            self._state = replace(self._state, stopping=True)
            process.send_signal(signal.SIGINT)
            self._killer = threading.Timer(self._grace_s, process.kill)
            self._killer.daemon = True
            self._killer.start()
            return self._state

    def close(self) -> None:
        """Stop what runs, wait until it has ended, and start nothing any more."""
        self._closed = True
        self.stop()
        if self._follower is not None:
            self._follower.join()

    def _follow(self, process: "subprocess.Popen[str]") -> None:
        """Read what a run says until it has ended."""
        assert process.stdout is not None
        assert process.stderr is not None
        errors = threading.Thread(target=self._note, args=(process.stderr,), daemon=True)
        errors.start()
        code = 1
        try:
            with process.stdout as lines:
                for line in lines:
                    self._read(line)
            errors.join()
            code = process.wait()
            # Before it is told that the run has ended: who asks then gets the new counts.
            self._on_end()
        finally:
            with self._lock:
                if self._killer is not None:
                    self._killer.cancel()
                self._state = _ended(self._state, code)
                self._process = None

    def _read(self, line: str) -> None:
        # Libraries print all kinds of things.
        with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
            said = json.loads(line)
            if isinstance(said, dict) and "skipped" in said:
                with self._lock:
                    self._state = _heard(self._state, said)

    def _note(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                if line.strip():
                    with self._lock:
                        self._state = replace(self._state, note=line.strip()[:MAX_LINE])


def _heard(state: State, said: Mapping[str, Any]) -> State:
    """The state after a line of progress, or the report."""
    skipped = said["skipped"]
    if isinstance(skipped, int):
        report = {**{name: said[name] for name in COUNTS}, "skipped_count": skipped}
        return replace(state, done=said["done"], total=said["total"], report=report)
    return replace(
        state,
        report={**said, "skipped": skipped[:MAX_SKIPPED], "skipped_count": len(skipped)},
    )


def _ended(state: State, code: int) -> State:
    if code == 0:
        phase, error = Phase.DONE, None
    elif state.stopping or state.report.get("interrupted"):
        phase, error = Phase.STOPPED, None
    elif code < 0:
        phase, error = Phase.FAILED, f"the indexer was killed by signal {-code}"
    else:
        phase = Phase.FAILED
        error = state.note.removeprefix(PROGRAM) or f"the indexer ended with exit code {code}"
    return replace(state, phase=phase, error=error, stopping=False)
