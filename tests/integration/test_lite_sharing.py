"""Several programs on one Milvus Lite file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord
from milvus.errors import StoreLocked
from milvus.lite import without_clustering_warnings

RECORD = ModelRecord("m/a", 4, "m", None)

# Another program: counts, writes one more picture, and holds the file until its stdin closes.
OTHER = """
import sys
import numpy as np
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord
store = MilvusCollection(Connection(sys.argv[1]))
store.prepare(ModelRecord("m/a", 4, "m", None))
store.upsert([ImageRow(int(sys.argv[2]), "/p", "/l", "", 1, 1, "h", 1, 1)],
             [np.ones(4, dtype=np.float32) / 2])
print(store.count(), flush=True)
sys.stdin.read()
"""


def other(uri: str, number: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, uri, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def write(store: MilvusCollection, number: int) -> None:
    row = ImageRow(number, "/p", "/l", "", 1, 1, "h", 1, 1)
    store.upsert([row], [np.ones(4, dtype=np.float32) / 2])


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "milvus.db")


def test_a_second_program_joins_the_first(uri: str) -> None:
    connection = Connection(uri)
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    write(store, 1)
    with other(uri, 2) as second:
        assert second.communicate(timeout=60)[0].strip() == "2"
    assert store.count() == 2
    connection.close()


@pytest.mark.parametrize("violently", [False, True])
def test_when_the_holder_leaves_the_other_takes_over(uri: str, violently: bool) -> None:
    with other(uri, 1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "1"
        connection = Connection(uri)
        store = MilvusCollection(connection)
        write(store, 2)
        assert store.count() == 2
        if violently:
            holder.kill()
        else:
            holder.communicate(timeout=60)
        holder.wait(30)
        # The same objects go on, and nothing is lost.
        assert store.count() == 2
        write(store, 3)
        assert store.count() == 3
        connection.close()


def test_a_file_held_by_a_program_that_does_not_share_is_told(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milvus.lite.WAIT_FOR_HOLDER_S", 0.5)
    with other(uri, 1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        Path(uri + ".endpoint").unlink()
        with pytest.raises(StoreLocked, match="in use by another program"):
            MilvusCollection(Connection(uri)).exists()
        holder.communicate(timeout=60)


def test_the_port_of_a_holder_that_was_killed_is_not_handed_on(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with other(uri, 1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    endpoint = Path(uri + ".endpoint")
    assert endpoint.exists()

    def cannot(path: Path, port: int) -> None:
        raise OSError

    monkeypatch.setattr("milvus.lite.publish", cannot)
    store = MilvusCollection(Connection(uri))
    assert store.count() == 1
    assert not endpoint.exists()
    store.close()


def test_other_lines_on_stderr_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with without_clustering_warnings():
        subprocess.run(["sh", "-c", "echo WARNING clustering 3 >&2; echo other >&2"], check=True)
    assert capfd.readouterr().err == "other\n"
