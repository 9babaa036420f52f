"""Real parts: Milvus Lite, a Milvus server, and models with weights made on the spot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_process import MilvusProcess
from pymilvus import MilvusClient

from milvus.connection import Connection


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real standalone Milvus server, started for these tests."""
    with MilvusProcess(tmp_path_factory.mktemp("milvus-server") / "data").running() as server:
        yield server.address


@pytest.fixture(params=["lite", "server"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A connection to an empty store of each kind."""
    if request.param == "lite":
        uri = str(tmp_path / "milvus.db")
    else:
        uri = request.getfixturevalue("milvus_server")
    opened = Connection(uri, timeout=30)
    yield opened
    opened.call(_empty)
    opened.close()


def _empty(client: MilvusClient) -> None:
    for name in client.list_collections():
        for alias in client.list_aliases(name)["aliases"]:
            client.drop_alias(alias)
        client.drop_collection(name)
