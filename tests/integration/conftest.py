"""Real parts: Milvus Lite, a Milvus server, and models with weights made on the spot."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT, free_port

from milvus.collection import MilvusCollection
from milvus.connection import Connection

MILVUS_SERVER = ROOT / ".venv-milvus" / "bin" / "milvus-server"
START_S = 90


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real standalone Milvus server, started for these tests."""
    if not MILVUS_SERVER.exists():
        pytest.skip("no Milvus server in .venv-milvus; scripts/test installs it on Linux")
    data = tmp_path_factory.mktemp("milvus-server")
    port = free_port()
    log = (data / "log").open("w")
    process = subprocess.Popen(
        [MILVUS_SERVER, "--data", data, "--proxy-port", str(port), *_other_ports()],
        stdout=log,
        stderr=log,
        env={**os.environ, "METRICS_PORT": str(free_port())},
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_S
        while not _answers(address):
            assert process.poll() is None, (data / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the Milvus server did not start"
            time.sleep(1)
        yield address
    finally:
        # The wrapper starts the server as a child, which outlives it and shrugs off SIGTERM.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        log.close()
        shutil.rmtree(data, ignore_errors=True)


def _other_ports() -> Iterator[str]:
    """Free ports for the server's parts, so that it runs beside another one."""
    parts = ("etcd", "proxy-internal", "root-coord", "query-coord", "query-node")
    for part in (*parts, "index-coord", "index-node", "data-coord", "data-node"):
        yield from (f"--{part}-port", str(free_port()))


def _answers(address: str) -> bool:
    from milvus.errors import StoreError

    connection = Connection(address, timeout=2)
    try:
        MilvusCollection(connection).exists()
    except StoreError:
        return False
    finally:
        connection.close()
    return True


@pytest.fixture(params=["lite", "server"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A connection to an empty store of each kind."""
    if request.param == "lite":
        uri = str(tmp_path / "milvus.db")
    else:
        uri = request.getfixturevalue("milvus_server")
    opened = Connection(uri, timeout=30)
    yield opened
    opened.call(lambda client: [client.drop_collection(c) for c in client.list_collections()])
    opened.close()
