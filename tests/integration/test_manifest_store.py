"""A manifest in both kinds of store: the mark and the columns come back as they were written."""

from pathlib import Path

from fakes import RECORD, FakeEncoder
from PIL import Image

from indexer.caption import Weights
from indexer.downloads import Downloads
from indexer.fetch import Limits
from indexer.manifest import Manifest
from indexer.mark import MARK
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport
from milvus.collection import MilvusCollection
from milvus.connection import Connection


def index(path: Path, table: str, store: MilvusCollection, weights: Weights) -> IndexReport:
    path.write_text(table)
    source = Manifest(path, Downloads(path.parent / "downloads", Limits()), weights)
    return index_library(source, store, FakeEncoder, PipelineOptions())


def test_rows_are_known_again(tmp_path: Path, connection: Connection) -> None:
    store = MilvusCollection(connection)
    store.prepare(RECORD)
    for name in ("red", "green"):
        Image.new("RGB", (40, 30), name).save(tmp_path / f"{name}.png")
    path = tmp_path / "photos.csv"
    table = 'path,caption,year,share,fresh\nred.png,"say ""blue"" ü",2019,0.5,true\ngreen.png,,,,\n'
    weights = Weights(0.7, 0.3)
    assert index(path, table, store, weights).added == 2
    assert index(path, table, store, weights).unchanged == 2
    (key,) = [row.m_id for row in store.rows(str(path)) if row.path.endswith("red.png")]
    (row,) = store.get([key])
    mark = row.extras[MARK]
    assert dict(row.extras) == {
        "caption": 'say "blue" ü',
        "year": 2019,
        "share": 0.5,
        "fresh": True,
        MARK: mark,
    }
    report = index(path, table.replace("2019", "2020"), store, weights)
    assert (report.updated, report.unchanged, report.encoded) == (1, 1, 0)
    report = index(path, table.replace("2019", "2020"), store, Weights())
    assert (report.updated, report.unchanged, report.encoded) == (1, 1, 1)
