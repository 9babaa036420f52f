import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import FakeEncoder, MemoryStore
from picture_server import PictureServer, png, serving

from indexer.caption import Caption, Weights, mix
from indexer.columns import BadRow, check_columns, manifest_row
from indexer.downloads import Downloads
from indexer.errors import BadManifest, NothingFound
from indexer.fetch import Limits
from indexer.manifest import Manifest
from indexer.mark import MARK, NO_MARK, Mark, of_others
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport
from indexer.snapshot import Snapshots
from indexer.tables import TableRow, read_table

Paint = Callable[..., Path]
ALONE = Weights()
MIXED = Weights(image=0.7, caption=0.3)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(path: Path) -> list[dict[str, Any]]:
    return [dict(row.cells) for row in read_table(path).rows]


def test_the_formats_say_the_same(tmp_path: Path) -> None:
    expected = [
        {"path": "a.png", "caption": "a, b", "year": 2019, "mark": 1.5, "fresh": True},
        {"path": "007", "caption": "9", "year": 3, "mark": 2.0, "fresh": False},
    ]
    csv = 'Path,caption,year,mark,fresh\na.png,"a, b",2019,1.5,true\n007,9,3,2,False\n'
    lines = "".join(json.dumps(row) + "\n\n" for row in expected)
    pq.write_table(pa.Table.from_pylist(expected), tmp_path / "m.parquet")
    for path in (
        written(tmp_path / "m.csv", csv),
        written(tmp_path / "bom.CSV", b"\xef\xbb\xbf" + csv.replace("\n", "\r\n").encode()),
        written(tmp_path / "m.jsonl", lines),
        tmp_path / "m.parquet",
    ):
        table = read_table(path)
        assert table.columns == ("path", "caption", "year", "mark", "fresh")
        assert [dict(row.cells) for row in table.rows] == expected


def test_columns_of_csv_are_numbers_only_where_all_of_them_are(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", "path,a,b,c,d\n1,01,1,,nan\n2,2,x,7,1.0\n")
    assert cells(path) == [
        {"path": "1", "a": "01", "b": "1", "d": "nan"},
        {"path": "2", "a": "2", "b": "x", "c": 7, "d": "1.0"},
    ]


def test_lines_inside_quotes_and_rows_that_do_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", 'path,caption\na,"x\ny"\n\nb\nc,d,e\nf,\u2028g\n')
    rows = read_table(path).rows
    assert [(row.line, row.problem) for row in rows] == [
        (2, ""),
        (5, "1 values for 2 columns"),
        (6, "3 values for 2 columns"),
        (7, ""),
    ]
    assert (rows[0].cells["caption"], rows[3].cells["caption"]) == ("x\ny", "\u2028g")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.csv", "path\na\nb\xe9".encode("latin-1"), "m.csv line 3: not UTF-8; save the file"),
        ("m.csv", b"", "m.csv is empty; its first line names the columns"),
        ("m.csv", b'path\n"a"b\n', "m.csv line 2: ',' expected after '\"'"),
        ("m.csv", b'path\na\n"b\nc\n', "m.csv line 3: unexpected end of data"),
        ("m.jsonl", b'{"path": "a"}\n{"path": \n', "m.jsonl line 2: broken JSON: Expecting value"),
        ("m.jsonl", b"[1]\n", "m.jsonl line 1: not a JSON object, but [1]"),
        ("m.jsonl", b"[" * 100_000, "m.jsonl line 1: broken JSON"),
        ("m.jsonl", b"\n", "m.jsonl is empty"),
        ("m.parquet", b"rubbish", "m.parquet is no Parquet file that can be read"),
        ("m.xlsx", b"", "m.xlsx: a manifest's name ends in .csv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(BadManifest) as caught:
        read_table(written(tmp_path / name, content))
    assert said in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, said in (("nowhere.csv", "no such file"), ("folder.csv", "is a directory")):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(BadManifest, match=said):
            read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("file,caption", "has neither a column 'path' nor 'url', but 'file', 'caption'"),
        ("path,size", "a column cannot be named 'size', as a field of the store"),
        ("path,embedding", "a column cannot be named 'embedding'"),
        ("path,m_id", "a column cannot be named 'm_id'"),
        (f"path,{MARK}", f"a column cannot be named '{MARK}'"),
        ("path,$meta", "column '$meta' must be named with letters, digits and _"),
        ("path,", "column '' must be named"),
        ("path,my note", "column 'my note' must be named"),
        ("path,größe", "column 'größe' must be named"),
        ("path,a,a", "there are 2 columns 'a'"),
        ("path,PATH", "there are 2 columns 'path'"),
    ],
)
def test_columns_that_cannot_be_stored_are_named(tmp_path: Path, header: str, said: str) -> None:
    path = written(tmp_path / "m.csv", header)
    with pytest.raises(BadManifest) as caught:
        check_columns(path, read_table(path))
    assert said in str(caught.value)


def row_of(**values: Any) -> Any:
    return manifest_row(Path("m.jsonl"), TableRow(7, values))


def test_what_a_row_means() -> None:
    row = row_of(path="lemon/deep/a.png", caption=12, year=2019, none=None, nan=float("nan"))
    assert (row.path, row.url, row.category) == ("lemon/deep/a.png", "", "lemon")
    assert (row.caption, row.extras) == ("12", {"caption": "12", "year": 2019})
    for path in ("a.png", "./a.png", "../other/a.png", "/lemon/a.png"):
        assert row_of(path=path).category == ""
    assert row_of(path="lemon/a.png", category="citrus").category == "citrus"
    row = row_of(path="HTTP://host/lemon/a.png")
    assert (row.path, row.url, row.category) == ("", "HTTP://host/lemon/a.png", "")
    assert row_of(path="a.png", url="http://host/a").extras == {"url": "http://host/a"}
    assert row_of(path="a.png", url="http://host/a").url == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"caption": "x"}, "neither a path nor a URL"),
        ({"path": "a", "note": "\ud800"}, "column 'note' is not valid Unicode"),
        ({"path": "a", "number": 2**63}, "column 'number' holds too large a number"),
        ({"path": "a", "note": "x" * 70_000}, "its columns hold 70012 bytes, and at most 65000"),
        ({"path": "a", "category": "ü" * 200}, "its category is longer than 255 bytes"),
    ],
)
def test_bad_rows(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRow) as caught:
        row_of(**values)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a"])
def test_columns_of_other_types_are_told(value: object) -> None:
    with pytest.raises(BadManifest, match=r"line 7: column 'tags' holds a (list|dict|bytes)"):
        row_of(path="a", tags=value)


def test_marks_come_back_from_the_store() -> None:
    extras = {"caption": "red", "year": 3}
    for caption in (None, Caption("red", 0.3)):
        mark = Mark.of("c", extras, caption)
        assert Mark.kept_in(mark.among(extras)) == mark
    assert Mark.kept_in({"label": "x"}) == Mark.kept_in({MARK: "not ours"}) == NO_MARK
    assert NO_MARK.among({}) == {}
    assert of_others({**Mark.of("c", extras, None).among(extras), "label": "x"}) == {"label": "x"}
    assert Mark.of("", {}, Caption("a", 0.7 / (0.7 + 0.3))) == Mark.of("", {}, Caption("a", 7 / 10))


def test_vectors_are_the_weighted_sum_at_length_one(encoder: FakeEncoder) -> None:
    images = encoder.encode_texts(["red", "green", "blue"])
    captions = [Weights(0.7, 0.3).caption_of(text) for text in ("green", "", "red")]
    mixed = mix(images, captions, encoder.encode_texts)
    (text,) = encoder.encode_texts(["green"])
    by_hand = 0.7 * images[0] + 0.3 * text
    np.testing.assert_allclose(mixed[0], by_hand / np.linalg.norm(by_hand), atol=1e-6)
    np.testing.assert_array_equal(mixed[1], images[1])
    np.testing.assert_allclose(np.linalg.norm(mixed, axis=1), 1, atol=1e-6)
    assert mixed.dtype == np.float32
    assert mix(images, [None] * 3, encoder.encode_texts) is images
    (only_text,) = mix(images[:1], [Weights(0, 1).caption_of("green")], encoder.encode_texts)
    np.testing.assert_allclose(only_text, text, atol=1e-6)


class Library:
    """A manifest over painted pictures, indexed into a store in memory."""

    def __init__(self, path: Path, store: MemoryStore, encoder: FakeEncoder) -> None:
        self.path = path
        self.store = store
        self.encoder = encoder
        self.weights = ALONE
        self.snapshots: Snapshots | None = None
        self.downloads = Downloads(
            path.parent.parent / "downloads",
            Limits(seconds=2, retries=0, allow_private=True),
        )

    def index(self, *rows: dict[str, Any]) -> dict[str, int]:
        self.report = self.run(*rows)
        names = ("found", "added", "updated", "moved", "removed", "unchanged", "encoded")
        counts = {name: getattr(self.report, name) for name in names}
        return {name: count for name, count in counts.items() if count}

    def run(self, *rows: dict[str, Any]) -> IndexReport:
        written(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        source = Manifest(self.path, self.downloads, self.weights)
        options = PipelineOptions()
        load = lambda: self.encoder  # noqa: E731
        return index_library(source, self.store, load, options, snapshots=self.snapshots)

    def reasons(self) -> list[str]:
        return [skipped.reason for skipped in self.report.skipped]

    def extras(self, name: str) -> dict[str, Any]:
        return of_columns(self._entity(name)[0].extras)

    def note(self, name: str, **extras: Any) -> None:
        """As another program writes beside a picture."""
        row, vector = self._entity(name)
        self.store.upsert([replace(row, extras={**row.extras, **extras})], [vector])

    def vector(self, name: str) -> Any:
        return self._entity(name)[1]

    def _entity(self, name: str) -> Any:
        return next(held for held in self.store.held.values() if held[0].path.endswith(name))


def of_columns(extras: Any) -> dict[str, Any]:
    return {name: value for name, value in extras.items() if name != MARK}


@pytest.fixture(params=["without a snapshot", "with a snapshot"])
def library(
    request: pytest.FixtureRequest,
    paint: Paint,
    store: MemoryStore,
    encoder: FakeEncoder,
    tmp_path: Path,
) -> Library:
    folder = paint("red/a.png").parent.parent
    paint("green/b.png", "green")
    paint("unnamed.png", "blue")
    library = Library(folder / "photos.jsonl", store, encoder)
    if request.param == "with a snapshot":
        library.snapshots = Snapshots(tmp_path / "snapshots", "store")
    return library


A: dict[str, Any] = {"path": "red/a.png", "caption": "blue", "year": 2019}
B: dict[str, Any] = {"path": "green/b.png"}


def test_a_manifest_is_a_library_of_its_rows(library: Library) -> None:
    assert library.index(A, B) == {"found": 2, "added": 2, "encoded": 2}
    rows = {Path(row.path).name: row for row in library.store.rows(str(library.path))}
    assert {name: row.category for name, row in rows.items()} == {"a.png": "red", "b.png": "green"}
    assert library.extras("a.png") == {"caption": "blue", "year": 2019}
    assert library.extras("b.png") == {}
    assert library.index(A, B) == {"found": 2, "unchanged": 2}
    assert library.index(B) == {"found": 1, "unchanged": 1, "removed": 1}


def test_changed_columns_are_stored_and_nothing_is_encoded(library: Library) -> None:
    library.index(A, B)
    vector = library.vector("a.png")
    for change in ({"caption": "new"}, {"year": 2020}, {"category": "c"}, {"more": True}):
        row = {**A, **change}
        assert library.index(row, B) == {"found": 2, "updated": 1, "unchanged": 1}
        assert library.index(row, B) == {"found": 2, "unchanged": 2}
    assert library.index(A, B)["updated"] == 1
    assert library.extras("a.png") == {"caption": "blue", "year": 2019}
    np.testing.assert_array_equal(library.vector("a.png"), vector)


def test_what_others_noted_stays_with_the_vector(library: Library) -> None:
    library.index(A, B)
    library.note("a.png", label="cat")
    assert library.index(A, B) == {"found": 2, "unchanged": 2}
    library.index({"path": "red/a.png", "caption": "new"}, B)
    assert library.extras("a.png") == {"caption": "new", "label": "cat"}
    library.weights = MIXED
    library.index(A, B)
    assert library.extras("a.png") == {"caption": "blue", "year": 2019}


def test_captions_enter_the_vector_by_their_weight(library: Library) -> None:
    library.index(A, B)
    red = library.vector("a.png")
    library.weights = MIXED
    assert library.index(A, B) == {"found": 2, "updated": 1, "unchanged": 1, "encoded": 1}
    (blue,) = library.encoder.encode_texts(["blue"])
    by_hand = 0.7 * red + 0.3 * blue
    np.testing.assert_allclose(
        library.vector("a.png"), by_hand / np.linalg.norm(by_hand), atol=1e-6
    )
    library.weights = Weights(image=7, caption=3)
    assert library.index(A, B) == {"found": 2, "unchanged": 2}
    library.weights = Weights(image=0.5, caption=0.5)
    assert library.index(A, B) == {"found": 2, "updated": 1, "unchanged": 1, "encoded": 1}
    assert library.index({**A, "year": 1}, B) == {"found": 2, "updated": 1, "unchanged": 1}
    assert library.index({**A, "caption": "green"}, B)["encoded"] == 1
    library.weights = ALONE
    assert library.index(A, B)["encoded"] == 1
    np.testing.assert_allclose(library.vector("a.png"), red, atol=1e-6)


def test_equal_pictures_with_other_captions_have_other_vectors(library: Library) -> None:
    library.weights = MIXED
    folder = library.path.parent
    for name in ("same.png", "other.png"):
        (folder / name).write_bytes((folder / "red/a.png").read_bytes())
    library.index(A)
    rows = ({"path": "same.png", "caption": "blue"}, {"path": "other.png", "caption": "green"})
    assert library.index(A, *rows) == {"found": 3, "added": 2, "unchanged": 1, "encoded": 1}
    np.testing.assert_array_equal(library.vector("same.png"), library.vector("a.png"))
    assert float(library.vector("other.png") @ library.vector("a.png")) < 0.95


def test_moved_pictures_keep_their_vector(library: Library) -> None:
    library.index(A, B)
    folder = library.path.parent
    (folder / "red/a.png").rename(folder / "moved.png")
    moved = {**A, "path": "moved.png"}
    assert library.index(moved, B) == {"found": 2, "moved": 1, "unchanged": 1}


def test_bad_rows_are_named_and_stop_nothing(library: Library) -> None:
    library.index(A, B)
    bad = [{"path": "nowhere.png"}, {"caption": "x"}, {"path": "./red/a.png"}, {"path": "red"}]
    written(library.path.parent / "bad.png", "no picture")
    report = library.run(A, *bad, {"path": "bad.png"}, {"path": "a\0b"})
    assert (report.found, report.unchanged, report.removed) == (7, 1, 1)
    folder = str(library.path.parent)
    assert [(s.path.removeprefix(folder), s.reason) for s in report.skipped] == [
        ("/nowhere.png", "line 2: no such file"),
        ("photos.jsonl", "line 3: it has neither a path nor a URL"),
        ("/red/a.png", "line 4: the same picture as in line 1"),
        ("/red", "line 5: not a regular file"),
        ("/a\0b", "line 7: embedded null byte"),
        ("/bad.png", "not a picture in a known format"),
    ]


def test_pictures_that_are_all_away_are_not_removed(library: Library) -> None:
    library.index(A, B)
    library.path.parent.joinpath("red").rename(library.path.parent / "away")
    assert library.index(A) == {"found": 1}
    assert library.store.count() == 2


def test_a_manifest_without_rows_removes_nothing(library: Library) -> None:
    library.index(A, B)
    path = written(library.path.with_suffix(".csv"), "path\n")
    source = Manifest(path, library.downloads, ALONE)
    with pytest.raises(NothingFound, match=r"no row in .*photos\.csv; nothing was changed"):
        index_library(source, library.store, lambda: library.encoder, PipelineOptions())


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


def test_pictures_behind_urls(library: Library, server: PictureServer) -> None:
    good, page = server.url("picture/red"), server.url("page")
    rows = [{"url": good, "caption": "c"}, {"url": page}, {"url": server.url("status/404")}]
    assert library.index(*rows, B) == {"found": 4, "added": 2, "encoded": 2}
    assert {(s.path, s.reason) for s in library.report.skipped} == {
        (page, "not a picture in a known format"),
        (server.url("status/404"), "line 3: the server answered 404 Not Found"),
    }
    row = next(row for row in library.store.rows() if row.extras.get("url") == good)
    assert Path(row.path).read_bytes() == png("red")
    assert (row.category, of_columns(row.extras)) == ("", {"caption": "c", "url": good})
    assert Path(row.path).stat().st_mtime_ns == row.mtime_ns
    assert library.index(*rows, B) == {"found": 4, "unchanged": 2}
    assert server.asked["/picture/red"] == 1
    assert server.asked["/page"] == 2  # it may be a picture by now
    Path(row.path).unlink()
    assert library.index(*rows, B) == {"found": 4, "unchanged": 2}
    assert server.asked["/picture/red"] == 2


def test_pictures_stay_while_their_server_is_away(library: Library, server: PictureServer) -> None:
    url = server.url("busy/503")
    server.asked["/busy/503"] = 2
    assert library.index({"url": url}, B) == {"found": 2, "added": 2, "encoded": 2}
    library.downloads.discard(url)
    server.asked.clear()
    assert library.index({"url": url}, B) == {"found": 2, "unchanged": 1}
    assert library.reasons() == ["line 1: the server answered 503 Service Unavailable"]
    assert library.store.count() == 2
    library.index({"url": server.url("gone")}, B)
    assert library.store.count() == 1


def test_a_date_that_no_calendar_has_is_told(tmp_path: Path) -> None:
    days = pa.array([3_000_000], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"path": ["a.png"], "taken": days}), tmp_path / "m.parquet")
    with pytest.raises(BadManifest, match="date value out of range"):
        read_table(tmp_path / "m.parquet")
