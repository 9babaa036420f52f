"""A manifest: a table that names pictures, as a library of exactly those."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from indexer.ahead import map_ahead
from indexer.caption import Weights
from indexer.columns import BadRow, ManifestRow, check_columns, manifest_row
from indexer.downloads import Downloads
from indexer.errors import BadManifest
from indexer.fetch import NotFetched
from indexer.mark import Mark
from indexer.scan import undecodable
from indexer.source import FoundFile, Skipped
from indexer.tables import TableRow, read_table
from milvus.int64 import storable_time

FETCHED_AT_ONCE = 8
# Rows that may wait for one slow download.
FETCHED_AHEAD = 64


class Manifest:
    """The library that a manifest describes. Raises BadManifest in one line."""

    def __init__(self, path: Path, downloads: Downloads, weights: Weights) -> None:
        self._path = path.resolve()
        if undecodable(str(self._path)):
            raise BadManifest(f"{str(path)!r}: its name is not valid Unicode; rename it")
        self._downloads = downloads
        self._weights = weights
        table = read_table(path)
        check_columns(path, table)
        self._rows = [_understood(path, row) for row in table.rows]

    @property
    def library(self) -> str:
        """Absolute path that names the library in the store."""
        return str(self._path)

    @property
    def nothing(self) -> str:
        """What to say where it has no row."""
        return f"no row in {self._path}"

    @property
    def is_marked(self) -> bool:
        """A row says more than its file's size and time."""
        return True

    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def files(self) -> Iterator[FoundFile | Skipped]:
        """Each row's picture, in the order of the rows; what is missing is fetched meanwhile."""
        return map_ahead(
            self._find,
            self._each_once(),
            threads=FETCHED_AT_ONCE,
            ahead=FETCHED_AHEAD,
            name="fetch",
        )

    def discard(self, file: FoundFile) -> None:
        """Forget a download that is no picture; the user's files are only ever read."""
        if file.url:
            self._downloads.discard(file.url)

    def _each_once(self) -> Iterator[ManifestRow | Skipped]:
        lines: dict[str, int] = {}
        for row in self._rows:
            if isinstance(row, ManifestRow):
                key = row.url or self._absolute(row.path)
                first = lines.setdefault(key, row.line)
                if first != row.line:
                    reason = f"line {row.line}: the same picture as in line {first}"
                    yield Skipped(key, reason)
                    continue
            yield row

    def _find(self, row: ManifestRow | Skipped) -> FoundFile | Skipped:
        if isinstance(row, Skipped):
            return row
        path = row.url or self._absolute(row.path)
        try:
            return self._found(row, str(self._downloads.picture(row.url)) if row.url else path)
        except NotFetched as error:
            hides = str(self._downloads.place(row.url)) if error.is_passing else ""
            return Skipped(path, f"line {row.line}: {error}", hides)
        except (FileNotFoundError, NotADirectoryError):
            return Skipped(path, f"line {row.line}: no such file")
        except OSError as error:
            return Skipped(path, f"line {row.line}: {error.strerror or error}", hides=path)
        except ValueError as error:
            return Skipped(path, f"line {row.line}: {error}")

    def _found(self, row: ManifestRow, path: str) -> FoundFile | Skipped:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            return Skipped(path, f"line {row.line}: not a regular file")
        caption = self._weights.caption_of(row.caption)
        return FoundFile(
            path,
            row.url or path,
            row.category,
            status.st_size,
            storable_time(status.st_mtime_ns),
            url=row.url,
            extras=row.extras,
            caption=caption,
            mark=Mark.of(row.category, row.extras, caption),
        )

    def _absolute(self, path: str) -> str:
        return os.path.normpath(self._path.parent / path)


def _understood(path: Path, row: TableRow) -> ManifestRow | Skipped:
    try:
        return manifest_row(path, row)
    except BadRow as error:
        named = next((row.cells[name] for name in ("path", "url") if row.cells.get(name)), "")
        return Skipped(str(named) or path.name, f"line {row.line}: {error}")
