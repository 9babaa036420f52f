"""A real standalone Milvus server as a process that tests start, stop and kill."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from support import ROOT, free_port

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.errors import StoreError
from milvus.tls import Tls

PROGRAM = ROOT / ".venv-milvus" / "bin" / "milvus-server"
# After a kill the next start waits until the leases of the one before have run out.
START_S = 300
# One that has met such a lease may also go on and never answer.
BEGIN_AGAIN_S = 100
# The etcd within listens on ports of its own, and takes no word for them but in a file.
ETCD = """\
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""
PARTS = (
    *("proxy", "etcd", "proxy-internal", "root-coord", "query-coord", "query-node"),
    *("index-coord", "index-node", "data-coord", "data-node"),
)


class MilvusProcess:
    """A server with a data folder and ports of its own, which it keeps over a restart.

    ``options`` go to the server's command; where they make it ask for a password or certificates,
    ``token`` and ``tls`` let us in.
    """

    def __init__(
        self, data: Path, *options: object, token: str = "", tls: Tls | None = None
    ) -> None:
        if not PROGRAM.exists():
            pytest.skip("no Milvus server in .venv-milvus; scripts/test installs it on Linux")
        ports = {part: free_port() for part in PARTS}
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{ports['proxy']}"
        self._token = token
        self._tls = tls
        self._data = data
        self._options = [f"--{part}-port={port}" for part, port in ports.items()]
        self._options += [str(option) for option in options]
        self._etcd = ETCD.format(client=ports["etcd"], peer=free_port())
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Start it, and remove it in the end."""
        try:
            self.start()
            yield self
        finally:
            self.remove()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.begin()
        began = time.monotonic()
        deadline = began + START_S
        while not self.answers():
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the Milvus server did not start"
            time.sleep(0.5)
            if self._ended_early() or time.monotonic() > began + BEGIN_AGAIN_S:
                # Some starts meet the lease of a server that was killed; the next one does not.
                self.kill()
                self.begin()
                began = time.monotonic()

    def begin(self) -> None:
        """Start it, and return at once."""
        self._data.mkdir(parents=True, exist_ok=True)
        # Its Python package is called like ours.
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        etcd = self._data / "etcd.yaml"
        etcd.write_text(self._etcd)
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "--data", self._data, *self._options],
                stdout=log,
                stderr=log,
                env={**clean, "ETCD_CONFIG_PATH": str(etcd)},
                start_new_session=True,
            )

    def _ended_early(self) -> bool:
        """Whether the server has ended while the wrapper that started it goes on."""
        assert self._process is not None
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            states = [Path(f"/proc/{c}/stat").read_text().rpartition(")")[2] for c in children]
        except OSError:
            return False
        return any(state.split()[0] == "Z" for state in states)

    def answers(self) -> bool:
        """Whether it is ready; one that is starting shakes hands before it has an answer."""
        connection = Connection(self.address, token=self._token, timeout=5, tls=self._tls)
        try:
            MilvusCollection(connection).exists()
        except StoreError:
            return False
        finally:
            connection.close()
        return True

    def terminate(self) -> None:
        """Ask it to end, and wait until it has; one that shrugs it off is killed."""
        assert self._process is not None
        # The wrapper starts the server as a child, and shrugs off the signal itself.
        os.killpg(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while self.answers() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Kill it, and delete what it stored."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._data / "log"
