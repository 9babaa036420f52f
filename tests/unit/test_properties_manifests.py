"""Any bytes are a table with rows and reasons, or a BadManifest in one line."""

import csv
import io
import json
import string
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from indexer.caption import Weights
from indexer.columns import ManifestRow
from indexer.downloads import Downloads
from indexer.errors import BadManifest
from indexer.fetch import Limits
from indexer.manifest import Manifest
from indexer.mark import Mark
from indexer.source import FoundFile, Skipped

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
TEXT = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["a.png", "../a.png", "/a.png", "\0", "x\0y", "a" * 5000, "\ud800", "true", "1", "1e9", "007",
     "=1+1", "-", "é", "file:///a", "~/a", ".", "..", "", "\\\\?\\x", "a/" * 3000]
)  # fmt: skip
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
COLUMN = TEXT | st.sampled_from(["path", "PATH", " path", "category", "caption", "n", "m_id"])


def understood(content: bytes, suffix: str) -> None:
    """Read a manifest of these bytes, and look for its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m{suffix}"
        path.write_bytes(content)
        (Path(folder) / "a.png").write_bytes(b"any")
        downloads = Downloads(Path(folder) / "downloads", Limits(10, 0.01, 0, False))
        try:
            manifest = Manifest(path, downloads, Weights(image=0.5, caption=0.5))
        except BadManifest:
            return
        if any(isinstance(row, ManifestRow) and row.url for row in manifest._rows):
            return  # no example asks the network
        found = list(manifest.files())
        assert len(found) == manifest.count()
        for item in found:
            if isinstance(item, Skipped):
                assert item.reason
            else:
                is_storable(item)


def is_storable(file: FoundFile) -> None:
    assert isinstance(file, FoundFile)
    file.path.encode()
    file.category.encode()
    kept = json.loads(json.dumps(file.mark.among(file.extras), ensure_ascii=False).encode())
    assert Mark.kept_in(kept) == file.mark


@given(st.binary(max_size=200), st.sampled_from(SUFFIXES))
@examples(100)
def test_any_bytes(content: bytes, suffix: str) -> None:
    understood(content, suffix)


@given(st.text(max_size=200), st.sampled_from(SUFFIXES[:3]))
@examples(100)
def test_any_text(content: str, suffix: str) -> None:
    understood(b"path,caption\n" * (suffix == ".csv") + content.encode(), suffix)


@given(st.lists(st.dictionaries(COLUMN, VALUE, max_size=4), min_size=1, max_size=4))
@examples(150)
def test_json_lines_of_anything(rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps({"path": "a.png", **row}) for row in rows]
    understood("\n".join(lines).encode(), ".jsonl")
    understood("\n".join(map(json.dumps, rows)).encode(), ".jsonl")


@given(
    st.lists(st.sampled_from(["caption", "n", "category", "year"]), unique=True, max_size=3),
    st.lists(st.lists(TEXT.map(lambda t: t.encode("utf-8", "replace").decode()), max_size=4)),
)
@examples(100)
def test_csv_of_anything(columns: list[str], rows: list[list[str]]) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["path", *columns])
    writer.writerows(rows)
    understood(buffer.getvalue().encode(), ".csv")


ARROW = st.sampled_from(
    [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.binary(), pa.date32(),
     pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.duration("ns"),
     pa.decimal128(38, 10), pa.null(),
     pa.uint64(), pa.list_(pa.int8()), pa.dictionary(pa.int8(), pa.string()), pa.time64("ns"),
     pa.large_string(), pa.float16(), pa.struct([("a", pa.int8())]),
     pa.map_(pa.string(), pa.int8())]
)  # fmt: skip


@given(ARROW, st.binary(min_size=64, max_size=64), st.sampled_from(["n", "caption", "category"]))
@examples(80)
def test_parquet_of_any_type(kind: pa.DataType, noise: bytes, name: str) -> None:
    try:
        if pa.types.is_primitive(kind):
            data = [None, pa.py_buffer(noise)]
            column = pa.Array.from_buffers(kind, 2, data)
        else:
            column = pa.nulls(2, kind)
        table = pa.table({"path": ["a.png", "b.png"], name: column})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
    except pa.ArrowException:
        return  # no such table can be written
    understood(buffer.getvalue(), ".parquet")


@given(
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=8), st.integers(0, 800)
)
@examples(100)
def test_damaged_parquet(changes: list[tuple[int, int]], length: int) -> None:
    buffer = io.BytesIO()
    letters = list(string.ascii_lowercase)
    pq.write_table(pa.table({"path": letters, "n": list(range(26))}), buffer, compression="snappy")
    content = bytearray(buffer.getvalue())
    for at, value in changes:
        content[at % len(content)] = value
    understood(bytes(content[: max(length, 1)] if length < 400 else content), ".parquet")
