"""Read a table whose rows are pictures: CSV, JSON lines or Parquet.

A table is read as a whole, so that one that is broken is told before anything is changed.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import BadManifest

# Columns that are text whatever they look like. They may be written in any case.
TEXT_COLUMNS = ("path", "url", "category", "caption")

# A number that is written the same when it is read and printed again; "007" is a name.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class TableRow:
    """One row."""

    line: int
    """In the file, from 1; for Parquet the row's number."""
    cells: Mapping[str, Any]
    problem: str = ""
    """What makes the row useless."""


@dataclass(frozen=True)
class Table:
    """The rows of a file and the names of all their columns."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


def read_table(path: Path) -> Table:
    """The table in a file; its suffix tells the format. Raises BadManifest in one line."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadManifest(f"{path}: a manifest's name ends in {', '.join(_READERS)}")
    try:
        return reader(path)
    except OSError as error:
        raise BadManifest(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _read_csv(path: Path) -> Table:
    # The line ends inside quotes are the cell's own.
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise BadManifest(f"{path} line {line}: {error}") from error
        if cells is None:
            break
        if cells:
            lines.append((line, cells))
    if not lines:
        raise BadManifest(f"{path} is empty; its first line names the columns")
    columns = tuple(_name(name) for name in lines[0][1])
    whole = [cells for _, cells in lines[1:] if len(cells) == len(columns)]
    typed = [_type_of(name, (c[at] for c in whole)) for at, name in enumerate(columns)]
    rows = []
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            problem = f"{len(cells)} values for {len(columns)} columns"
            rows.append(TableRow(line, dict(zip(columns, cells, strict=False)), problem))
        else:
            values = zip(columns, typed, cells, strict=True)
            rows.append(TableRow(line, {name: of(cell) for name, of, cell in values if cell}))
    return Table(columns, tuple(rows))


def _type_of(name: str, cells: Iterable[str]) -> Callable[[str], Any]:
    """What a column of a format without types holds: all of it numbers, truth, or text."""
    filled = [cell for cell in cells if cell]
    if name in TEXT_COLUMNS or not filled:
        return str
    if all(_INTEGER.fullmatch(cell) for cell in filled):
        return int
    if all(_NUMBER.fullmatch(cell) for cell in filled):
        return float
    if all(cell.lower() in _TRUTH for cell in filled):
        return lambda cell: _TRUTH[cell.lower()]
    return str


def _read_json_lines(path: Path) -> Table:
    rows = []
    columns: dict[str, None] = {}
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            cells = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadManifest(f"{path} line {line}: broken JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise BadManifest(f"{path} line {line}: broken JSON: {error}") from error
        if not isinstance(cells, dict):
            raise BadManifest(f"{path} line {line}: not a JSON object, but {text.strip()[:40]}")
        named = {_name(name): cell for name, cell in cells.items()}
        columns.update(dict.fromkeys(named))
        rows.append(TableRow(line, named))
    if not rows:
        raise BadManifest(f"{path} is empty; each line is one JSON object")
    return Table(tuple(columns), tuple(rows))


def _read_parquet(path: Path) -> Table:
    # Loaded only for those who need it: it is large.
    import pyarrow
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            table = parquet.read_table(file)
        columns = tuple(_name(name) for name in table.column_names)
        rows = table.rename_columns(list(map(str, range(len(columns))))).to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:  # a date of no calendar
        raise BadManifest(f"{path} is no Parquet file that can be read: {error}") from error
    return Table(
        columns,
        tuple(
            TableRow(number, dict(zip(columns, row.values(), strict=True)))
            for number, row in enumerate(rows, start=1)
        ),
    )


_READERS = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Without the mark at the beginning, which holds no line end.
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadManifest(f"{path} line {line}: not UTF-8; save the file as UTF-8") from error


def _name(name: str) -> str:
    name = name.strip()
    return name.lower() if name.lower() in TEXT_COLUMNS else name
