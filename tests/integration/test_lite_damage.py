"""Milvus Lite folders that are damaged, half-made, of another version, or no store at all."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from killing import Scene, heard, scene
from milvus_lite.storage.wal import WAL
from pymilvus import MilvusClient

from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord
from milvus.errors import StoreDamaged, StoreError, StoreUnwritable
from milvus.lite import lite_address
from milvus.properties import model_properties
from milvus.schema import build_schema

RECORD = ModelRecord("m/a", 4, "m", None)
ROWS = 40
IMAGES = Path("collections") / "images"
DATA = IMAGES / "partitions" / "_default" / "data"
INDEX = IMAGES / "partitions" / "_default" / "indexes"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with some rows, closed."""
    path = tmp_path_factory.mktemp("whole") / "milvus.db"
    connection = Connection(str(path))
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    vectors = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [ImageRow(n, f"/l/{n}", "/l", "", 1, 1, "h", 1, 1) for n in range(ROWS)]
    store.upsert(rows, list(vectors))
    store.flush()
    assert store.count() == ROWS
    connection.close()
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "milvus.db"))


@pytest.fixture
def store(path: Path) -> Iterator[MilvusCollection]:
    found = MilvusCollection(Connection(str(path)))
    yield found
    found.close()


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    third = len(content) // 3
    content[third : third + 40] = bytes(byte ^ 0xFF for byte in content[third : third + 40])
    file.write_bytes(content)


def edit(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def contents(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "list of files missing": (lambda p: (p / IMAGES / "manifest.json").unlink(), "manifest.json"),
    "list of files cut short": (lambda p: halve(p / IMAGES / "manifest.json"), "manifest.json"),
    "list of files empty": (
        lambda p: (p / IMAGES / "manifest.json").write_bytes(b""),
        "manifest.json",
    ),
    "list of files binary": (
        lambda p: (p / IMAGES / "manifest.json").write_bytes(b"\xff\xfe\0"),
        "manifest.json",
    ),
    "list of files of another kind": (
        lambda p: edit(p / IMAGES / "manifest.json", partitions=[]),
        "manifest.json",
    ),
    "schema missing": (lambda p: (p / IMAGES / "schema.json").unlink(), "schema.json"),
    "schema cut short": (lambda p: halve(p / IMAGES / "schema.json"), "schema.json"),
    "rows missing": (lambda p: only(p / DATA).unlink(), "parquet is missing"),
    "rows cut short": (lambda p: halve(only(p / DATA)), "parquet is cut short"),
    "rows empty": (lambda p: only(p / DATA).write_bytes(b""), "parquet is cut short"),
    "rows garbled": (lambda p: garble(only(p / DATA)), "damaged"),
    "aliases cut short": (lambda p: (p / "aliases.json").write_text('{"a'), "aliases.json"),
    "collections gone": (lambda p: shutil.rmtree(p / "collections"), "collections is missing"),
    "newer list of files": (
        lambda p: edit(p / IMAGES / "manifest.json", manifest_format_version=99),
        "newer version",
    ),
    "newer schema": (
        lambda p: edit(p / IMAGES / "schema.json", schema_format_version=99),
        "newer version",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_damaged_is_named_and_left_as_it_is(
    path: Path, store: MilvusCollection, kind: str
) -> None:
    damage, named = DAMAGES[kind]
    damage(path)
    before = contents(path)
    for ask in (store.exists, lambda: store.prepare(RECORD), store.count):
        with pytest.raises(StoreDamaged, match=r"it was left as it is: .* or ") as error:
            ask()
        assert named in str(error.value)
    store.close()
    assert contents(path) == before


@pytest.mark.parametrize("harm", [halve, lambda file: file.write_bytes(b""), Path.unlink])
def test_an_index_that_a_kill_cut_short_is_built_again(
    path: Path, store: MilvusCollection, harm: Callable[[Path], None]
) -> None:
    built = only(path / INDEX)
    size = built.stat().st_size
    harm(built)
    assert store.count() == ROWS
    assert len(store.search(np.ones(4, dtype=np.float32) / 2, ROWS)) == ROWS
    assert built.stat().st_size == size


def test_a_collection_that_a_kill_left_half_made_is_made(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    lite_address(path)
    (path / IMAGES).mkdir(parents=True)
    (path / IMAGES / "schema.json.tmp").write_text('{"a')
    store = MilvusCollection(Connection(str(path)))
    store.close()  # and with it the server that had been started before
    store.prepare(RECORD)
    assert store.count() == 0
    store.close()


def test_a_collection_without_its_index_gets_it(connection: Connection) -> None:
    """A kill may come between the two: on Lite searches would go on, on a server they fail."""

    def make(client: MilvusClient) -> None:
        client.create_collection(
            "half_made", schema=build_schema(4), properties=model_properties(RECORD)
        )

    connection.call(make)
    store = MilvusCollection(connection, "half_made")
    assert store.index_state() is None
    store.prepare(RECORD)
    state = store.index_state()
    assert state is not None
    assert state.index_type == "IVF_FLAT"
    assert store.count() == 0
    assert store.search(np.ones(4, dtype=np.float32) / 2, 5) == []


@pytest.fixture
def cut_short(tmp_path: Path) -> Scene:
    """A store whose indexer was killed before it flushed: its rows are in the log alone."""
    at = scene(tmp_path, str(tmp_path / "milvus.db"), seed=3)
    with at.start() as victim:
        while not (logged := logged_rows(Path(at.uri))) and victim.poll() is None:
            time.sleep(0.001)
        victim.kill()
        assert not heard(victim).done
    assert logged
    return at


def logged_rows(path: Path) -> int:
    """The rows that can be read in the logs: a log exists before it has any."""
    folder = str(path / IMAGES / "wal")
    logs = (WAL.recover(folder, number)[0] for number in WAL.find_wal_files(folder))
    return sum(batch.num_rows for log in logs for batch in log)


@pytest.mark.parametrize("harm", [halve, garble, lambda log: log.write_bytes(b"")])
def test_a_damaged_log_costs_work_and_nothing_else(
    cut_short: Scene, harm: Callable[[Path], None]
) -> None:
    for log in (Path(cut_short.uri) / IMAGES / "wal").glob("*.arrow"):
        harm(log)
    cut_short.whole_run()
    cut_short.check()


def test_a_folder_of_photos_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(StoreUnwritable, match="a folder with other things in it"):
        MilvusCollection(Connection(str(tmp_path))).exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_file_of_an_older_version_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(4080))
    with pytest.raises(StoreUnwritable, match="one of this version is a folder"):
        MilvusCollection(Connection(str(path))).exists()
    assert path.stat().st_size == 4096


def test_an_empty_folder_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    path.mkdir()
    store = MilvusCollection(Connection(str(path)))
    assert not store.exists()
    store.close()
    with pytest.raises(StoreError, match="nothing is indexed"):
        MilvusCollection(Connection(str(path))).count()
