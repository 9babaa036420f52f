"""What a manifest's columns mean: where the picture is, its category, and what is kept beside it.

``path`` or ``url`` says where (a path may be a URL, too), ``category`` names its category, and all
others are stored with it as they are, ``caption`` among them.
"""

import datetime
import decimal
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from indexer.errors import BadManifest
from indexer.mark import MARK, Cell
from indexer.tables import TEXT_COLUMNS, Table, TableRow
from milvus.int64 import MAX_INT64
from milvus.schema import EMBEDDING, FIXED_FIELDS, KEY, MAX_CATEGORY

# Milvus keeps all extras of an entity as one JSON of at most 65,536 bytes.
MAX_EXTRAS = 65_000

_NOT_EXTRAS = ("path", "category")
# What image-search label writes would be lost to a column of its name, or the other way round.
_LABELS = ("label", "label_score")
_RESERVED = {KEY, EMBEDDING, *FIXED_FIELDS, MARK, *_LABELS} - set(_NOT_EXTRAS)


@dataclass(frozen=True)
class ManifestRow:
    """One picture of a manifest."""

    line: int
    path: str
    """As it was written; empty where the picture is behind a URL."""
    url: str
    category: str
    extras: Mapping[str, Cell]

    @property
    def caption(self) -> str:
        """Empty where there is none."""
        return str(self.extras.get("caption", ""))


class BadRow(Exception):
    """Why one row is left out."""


def check_columns(path: Path, table: Table) -> None:
    """Raises BadManifest for columns that are missing or cannot be stored."""
    if not {"path", "url"} & set(table.columns):
        named = ", ".join(repr(name) for name in table.columns)
        raise BadManifest(f"{path} has neither a column 'path' nor 'url', but {named}")
    for name, count in Counter(table.columns).items():
        if count > 1:
            raise BadManifest(f"{path}: there are {count} columns {name!r}")
        if name in _RESERVED:
            raise BadManifest(f"{path}: a column cannot be named {name!r}, as a field of the store")
        if not (name.isascii() and name.isidentifier()):
            raise BadManifest(
                f"{path}: column {name!r} must be named with letters, digits and _ to be stored"
            )


def manifest_row(path: Path, row: TableRow) -> ManifestRow:
    """A row's meaning. Raises BadRow, or BadManifest for what no cell of a column may hold."""
    if row.problem:
        raise BadRow(row.problem)
    cells = {}
    for name, value in row.cells.items():
        try:
            cell = _cell(value)
        except TypeError:
            raise BadManifest(
                f"{path} line {row.line}: column {name!r} holds a {type(value).__name__}; "
                "only text, numbers and true or false can be stored"
            ) from None
        if cell is not None:
            _check(name, cell)
            cells[name] = str(cell) if name in TEXT_COLUMNS else cell
    where, url = str(cells.get("path", "")), str(cells.get("url", ""))
    if _is_url(where):
        where, url = "", where
    if not (where or url):
        raise BadRow("it has neither a path nor a URL")
    category = str(cells.get("category", "")) or _first_folder(where)
    if len(category.encode()) > MAX_CATEGORY:
        raise BadRow(f"its category is longer than {MAX_CATEGORY} bytes")
    extras = {name: cell for name, cell in cells.items() if name not in _NOT_EXTRAS}
    if url:
        extras["url"] = url
    if (length := len(json.dumps(extras, ensure_ascii=False).encode())) > MAX_EXTRAS:
        raise BadRow(f"its columns hold {length} bytes, and at most {MAX_EXTRAS} can be stored")
    return ManifestRow(row.line, where, "" if where else url, category, extras)


def _cell(value: Any) -> Cell | None:
    """A value as it is stored; None where there is none. Raises TypeError."""
    match value:
        case None | "":
            return None
        case bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return _cell(float(value))
        case datetime.date() | datetime.time():
            return value.isoformat()
    raise TypeError


def _check(name: str, cell: Cell) -> None:
    if isinstance(cell, int) and abs(cell) > MAX_INT64:
        raise BadRow(f"column {name!r} holds too large a number")
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            raise BadRow(f"column {name!r} is not valid Unicode") from None


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _first_folder(path: str) -> str:
    """The category of a relative path that leads below the manifest's folder."""
    parts = PurePath(path).parts
    inside = len(parts) > 1 and not PurePath(path).is_absolute() and ".." not in parts
    return parts[0] if inside else ""
