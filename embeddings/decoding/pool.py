"""Worker processes: started when they are needed, asked by one thread at a time each."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from embeddings.decoding.messages import receive, send
from embeddings.errors import ImageError

ROOT = Path(__file__).parent.parent.parent
# The worker itself stops after seconds of processor time. On the clock it may take longer, where
# the machine is busy.
CLOCK_S = 600.0
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from embeddings.decoding.worker import main; main()"
)
# Each would reserve memory, which counts against the worker's bound, for threads of its own.
QUIET = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
REASONS = {
    "SIGXCPU": "it takes too long to decode",
    "SIGKILL": "it takes too long, or too much memory, to decode",
}


class Pool:
    """At most so many processes. Safe in threads; ``close`` ends them all."""

    def __init__(self, most: int) -> None:
        self._free: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        for _ in range(most):
            self._free.put(None)
        self._most = most

    def ask(self, head: bytes, data: bytes) -> tuple[bytes, bytes]:
        """A worker's answer to a job. Raises ImageError where it died of it."""
        worker, answer = self._free.get(), None
        try:
            if worker is None or worker.poll() is not None:
                worker = _start()
            answer = _asked(worker, head, data)
            if answer is None:
                raise ImageError(_reason(_ended(worker)))
            return answer
        except BaseException:
            # Ctrl+C may have come before the answer, which would be the next one's.
            if worker is not None and answer is None:
                worker.kill()
                _ended(worker)
            worker = None
            raise
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes, once they are free."""
        for _ in range(self._most):
            worker = self._free.get()
            if worker is not None:
                _ended(worker)
            self._free.put(None)


def _start() -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            # -P: nothing is imported from the folder that this runs in.
            [sys.executable, "-P", "-c", PROGRAM, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_unprivileged(os.environ), **QUIET},
        )
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"the process that would decode it cannot be started: {reason}") from error


def _unprivileged(environment: Mapping[str, str]) -> dict[str, str]:
    """Without settings, which may be passwords: a decoder with a hole finds none."""
    return {name: v for name, v in environment.items() if not name.startswith("IMAGE_SEARCH_")}


def _asked(
    worker: "subprocess.Popen[bytes]", head: bytes, data: bytes
) -> tuple[bytes, bytes] | None:
    assert worker.stdin
    assert worker.stdout
    deadline = threading.Timer(CLOCK_S, worker.kill)
    deadline.daemon = True
    deadline.start()
    try:
        send(worker.stdin, head, data)
        return receive(worker.stdout)
    except OSError:
        return None
    finally:
        deadline.cancel()


def _ended(worker: "subprocess.Popen[bytes]") -> int:
    """Close a worker's pipes, which ends it, and wait for it."""
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    try:
        return worker.wait(CLOCK_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _reason(code: int) -> str:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return REASONS.get(how, f"its decoder crashed ({how})")
