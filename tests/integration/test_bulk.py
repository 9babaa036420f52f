"""Copying a collection by bulk import, into a real server."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from embeddings.encoder import Embeddings
from milvus import bulk
from milvus.aliases import Aliases
from milvus.bulk import BulkFolder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ImageRow, ModelRecord, image_id
from milvus.errors import BulkUnusable, ImportFailed, ModelMismatch, StoreUnavailable
from milvus.imports import Imports
from milvus.runs import LastRun
from webapp import bulk_copying
from webapp.bulk_copying import bulk_copy, worth_it
from webapp.copying import copy
from webapp.errors import BadQuery

DIM = 32
PICTURES = 3000
RECORD = ModelRecord("model/a", DIM, "model", "a")
RUN = LastRun("2026-11-21T00:00:00+00:00", 1.0, 3, 3, 0, 0, 0, 0, 0, (), False, "model/a")


def vectors(count: int) -> Embeddings:
    rows = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def row(number: int) -> ImageRow:
    name = f"水果 🍋/{number} 'é'.jpg"
    extras = {
        "caption": f'say "{number}" – 苹果',
        "year": number,
        "rating": number / 8,
        "good": bool(number % 2),
        "tags": ["a", str(number)],
    }
    return ImageRow(
        m_id=image_id("/ü", name),
        path=f"/ü/{name}",
        library="/ü",
        category="水果 🍋",
        mtime_ns=1_700_000_000_000_000_000 + number,
        size=2**40 + number,
        content_hash=f"hash{number}",
        width=640,
        height=480,
        extras=extras if number % 3 else {},
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusCollection]:
    """A filled collection in a file."""
    file = tmp_path_factory.mktemp("source") / "milvus.db"
    with closing(MilvusCollection(Connection(str(file), timeout=30), "images")) as store:
        store.prepare(RECORD)
        store.upsert([row(number) for number in range(PICTURES)], list(vectors(PICTURES)))
        store.flush()
        store.note_run("/ü", RUN, "a token")
        yield store


@pytest.fixture
def target(milvus_server: str) -> Iterator[MilvusCollection]:
    """A collection on a server that is not there yet."""
    with closing(
        MilvusCollection(Connection(milvus_server, timeout=30), "copies", "FLAT")
    ) as store:
        yield store
        if store.exists():
            store.drop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "for the server"
    made.mkdir()
    return made


def held(store: MilvusCollection) -> list[tuple[ImageRow, list[float]]]:
    entities = sorted(store.entities(), key=lambda entity: entity[0].m_id)
    return [(row, vector.tolist()) for row, vector in entities]


def test_everything_is_copied(
    source: MilvusCollection,
    target: MilvusCollection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk.BulkRun.__init__, "__defaults__", (200_000,))
    seen: list[tuple[int, int]] = []
    files: list[str] = []
    imported: list[int] = []
    hand_over = Imports.hand_over

    def counted(imports: Imports, paths: Sequence[str]) -> list[int]:
        files.extend(paths)
        return hand_over(imports, paths)

    monkeypatch.setattr(Imports, "hand_over", counted)
    copied = bulk_copy(
        source,
        target,
        BulkFolder(folder),
        on_progress=lambda done, total: seen.append((done, total)),
        on_import=imported.append,
    )
    assert (copied.copied, copied.images, copied.agreement) == (PICTURES, PICTURES, 1)
    assert seen[-1] == (PICTURES, PICTURES)
    assert imported[-1] == 100
    assert len(files) > 2  # so that several jobs were waited for
    assert held(target) == held(source)
    assert target.model() == RECORD
    assert (target.last_runs(), target.token("/ü")) == ({"/ü": RUN}, "a token")
    assert list(folder.iterdir()) == []
    assert target.importing() == ""


def test_what_was_imported_can_be_written_over(
    source: MilvusCollection, target: MilvusCollection, folder: Path
) -> None:
    bulk_copy(source, target, BulkFolder(folder))
    again = copy(source, target)
    assert (again.copied, again.already_there) == (0, PICTURES)
    first = row(0)
    target.upsert([first], [vectors(2)[1]])
    assert target.count() == PICTURES
    assert target.embeddings([first.m_id])[first.m_id].tolist() == vectors(2)[1].tolist()


def test_a_plain_copy_waits_for_an_import(
    source: MilvusCollection,
    target: MilvusCollection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows would be there twice."""
    target.prepare(RECORD)
    target.set_importing("a" * 32)
    with monkeypatch.context() as busy:
        busy.setattr(Imports, "unfinished", lambda imports: [1])
        with pytest.raises(BadQuery, match="still importing into"):
            copy(source, target)
    assert target.count() == 0
    assert copy(source, target).images == PICTURES


def test_very_many_pictures_are_worth_an_import(
    source: MilvusCollection,
    target: MilvusCollection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not worth_it(source, target)
    monkeypatch.setattr(bulk_copying, "WORTH_IT", PICTURES - 1)
    assert worth_it(source, target)
    assert not worth_it(source, source)  # a file
    target.prepare(RECORD)
    assert worth_it(source, target)
    target.upsert([row(0)], list(vectors(1)))
    assert not worth_it(source, target)


def test_a_database_and_an_alias(
    source: MilvusCollection, milvus_server: str, folder: Path
) -> None:
    connection = Connection(milvus_server, db_name="bulk", timeout=30)
    with closing(connection):
        own = MilvusCollection(connection, "own")
        own.prepare(RECORD)
        Aliases(connection).point("alias", "own")
        try:
            target = MilvusCollection(connection, "alias")
            copied = bulk_copy(source, target, BulkFolder(folder))
            assert copied.images == own.count() == PICTURES
        finally:
            connection.call(lambda client: client.drop_alias("alias"))
            own.discard()


def test_a_target_that_is_not_empty_is_refused(
    source: MilvusCollection, target: MilvusCollection, folder: Path
) -> None:
    target.prepare(RECORD)
    target.upsert([row(0)], list(vectors(1)))
    with pytest.raises(BadQuery, match=r"holds 1 pictures, .* leave out the --bulk options"):
        bulk_copy(source, target, BulkFolder(folder))
    assert target.count() == 1
    assert list(folder.iterdir()) == []


def test_another_model_and_a_file_are_refused(
    source: MilvusCollection, target: MilvusCollection, folder: Path
) -> None:
    target.prepare(ModelRecord("model/b", DIM, "b", None))
    with pytest.raises(ModelMismatch, match="give another --to-collection"):
        bulk_copy(source, target, BulkFolder(folder))
    with closing(Connection(str(folder.parent / "other.db"))) as lite:
        other = MilvusCollection(lite, "images")
        with pytest.raises(BadQuery, match="is for a Milvus server"):
            bulk_copy(source, other, BulkFolder(folder))


def test_a_folder_that_is_not_there(
    source: MilvusCollection, target: MilvusCollection, tmp_path: Path
) -> None:
    with pytest.raises(BulkUnusable, match="there is no such folder"):
        bulk_copy(source, target, BulkFolder(tmp_path / "none"))
    assert not target.exists()


@dataclass(frozen=True)
class Unseen(BulkFolder):
    """A folder that the server has under another name, or not at all."""

    def deliver(self, run: str, file: Path) -> str:
        return f"/nowhere{super().deliver(run, file)}"


@pytest.mark.parametrize("made_before", [False, True])
def test_a_folder_that_the_server_does_not_see(
    source: MilvusCollection, target: MilvusCollection, folder: Path, made_before: bool
) -> None:
    if made_before:
        target.prepare(RECORD)
    with pytest.raises(ImportFailed, match=r"could not import 1 of 1 files: .*no such file"):
        bulk_copy(source, target, Unseen(folder))
    assert list(folder.iterdir()) == []
    assert target.exists() == made_before
    if made_before:
        assert (target.count(), target.importing()) == (0, "")
    assert bulk_copy(source, target, BulkFolder(folder)).images == PICTURES


def test_one_of_several_files_fails(
    source: MilvusCollection,
    target: MilvusCollection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the others have brought goes, too."""
    monkeypatch.setattr(bulk.BulkRun.__init__, "__defaults__", (200_000,))
    hand_over = Imports.hand_over

    def spoilt(imports: Imports, files: Sequence[str]) -> list[int]:
        Path(files[-1]).write_bytes(b"PAR1, and nothing more")
        return hand_over(imports, files)

    target.prepare(RECORD)
    with monkeypatch.context() as broken:
        broken.setattr(Imports, "hand_over", spoilt)
        with pytest.raises(ImportFailed, match="could not import 1 of"):
            bulk_copy(source, target, BulkFolder(folder))
    assert target.count() == 0
    assert bulk_copy(source, target, BulkFolder(folder)).images == PICTURES
    assert held(target) == held(source)


class PowerCut(BaseException):
    """As Ctrl+C is: no Exception."""


@pytest.mark.parametrize("after", ["hand_over", "follow"])
def test_a_copy_that_was_cut_short_is_completed(
    source: MilvusCollection,
    target: MilvusCollection,
    folder: Path,
    after: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = getattr(Imports, after)

    def ends(imports: Imports, *arguments: object) -> None:
        method(imports, *arguments)
        raise PowerCut

    with monkeypatch.context() as broken:
        broken.setattr(Imports, after, ends)
        with pytest.raises(PowerCut):
            bulk_copy(source, target, BulkFolder(folder))
    assert len(list(folder.iterdir())) == 1  # which the server may be reading
    assert target.importing()
    copied = bulk_copy(source, target, BulkFolder(folder))
    assert (copied.images, copied.copied, copied.already_there) == (PICTURES, 0, PICTURES)
    assert held(target) == held(source)
    assert list(folder.iterdir()) == []
    assert target.importing() == ""


def test_a_copy_that_was_killed_while_it_wrote_begins_again(
    source: MilvusCollection, target: MilvusCollection, folder: Path
) -> None:
    run = bulk.BulkRun(BulkFolder(folder), DIM)
    target.prepare(RECORD)
    target.set_importing(run.name)
    run.write([(row(0), vectors(1)[0])])
    assert len(list(folder.iterdir())) == 1
    copied = bulk_copy(source, target, BulkFolder(folder))
    assert (copied.copied, copied.images) == (PICTURES, PICTURES)
    assert list(folder.iterdir()) == []


def test_a_source_that_goes_away_leaves_nothing(
    source: MilvusCollection,
    target: MilvusCollection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(store: MilvusCollection) -> Iterator[object]:
        yield from [(row(n), vector) for n, vector in enumerate(vectors(600))]
        raise StoreUnavailable("the plug was pulled")

    monkeypatch.setattr(MilvusCollection, "entities", breaks)
    with pytest.raises(StoreUnavailable, match="plug"):
        bulk_copy(source, target, BulkFolder(folder))
    assert list(folder.iterdir()) == []
    assert not target.exists()
