"""The collection as a file for pandas or numpy."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from milvus.entities import Embedding, ImageRow
from webapp.errors import BadQuery, CannotWrite

# Rows in one of Parquet's row groups; as many are in memory at once.
GROUP = 2000
FORMATS = (".parquet", ".npz")
# numpy gives every row the room of the longest text: one long caption would take gigabytes.
NPZ_CHARS = 4096
TEXTS = ("path", "category", "library", "caption", "label")


def check_format(path: Path) -> None:
    """Raises BadQuery for a name that says no format."""
    if path.suffix.lower() not in FORMATS:
        raise BadQuery(f"{path}: the name must end in {' or '.join(FORMATS)}")


def export(path: Path, entities: Iterable[tuple[ImageRow, Embedding]], dim: int) -> int:
    """Write ids, paths, categories, libraries, captions, labels and vectors; the number of rows.

    Parquet has a row for each picture with ``embedding`` as a list of floats; npz has an array for
    each column, ``embedding`` of shape ``(n, dim)``, and texts cut to 4,096 characters. The file
    appears whole or not at all. Raises BadQuery or CannotWrite.
    """
    check_format(path)
    writer = _write_parquet if path.suffix.lower() == ".parquet" else _write_npz
    try:
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        os.close(descriptor)
        try:
            count = writer(Path(partial), entities, dim)
            Path(partial).chmod(0o644)  # temporary files are for their owner alone
            Path(partial).replace(path)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror or error}") from error
    return count


def _write_parquet(path: Path, entities: Iterable[tuple[ImageRow, Embedding]], dim: int) -> int:
    schema = pa.schema(
        [("id", pa.int64())]
        + [(name, pa.string()) for name in TEXTS]
        + [("embedding", pa.list_(pa.float32(), dim))]
    )
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(entities):
            vectors = np.stack([vector for _, vector in group]).reshape(-1)
            columns = [pa.array([row.m_id for row, _ in group], pa.int64())]
            columns += [
                pa.array([_text(row, name) for row, _ in group], pa.string()) for name in TEXTS
            ]
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors), dim))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


def _write_npz(path: Path, entities: Iterable[tuple[ImageRow, Embedding]], dim: int) -> int:
    rows: list[ImageRow] = []
    vectors = [np.empty((0, dim), dtype=np.float32)]
    for group in _groups(entities):
        rows += [row for row, _ in group]
        vectors.append(np.stack([vector for _, vector in group]))
    arrays: dict[str, Any] = {
        name: np.array([_text(row, name)[:NPZ_CHARS] for row in rows], dtype=np.str_)
        for name in TEXTS
    }
    arrays["id"] = np.array([row.m_id for row in rows], dtype=np.int64)
    arrays["embedding"] = np.concatenate(vectors)
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return len(rows)


def _text(row: ImageRow, name: str) -> str:
    if name in ("caption", "label"):
        return str(row.extras.get(name, ""))
    return str(getattr(row, name))


def _groups(
    entities: Iterable[tuple[ImageRow, Embedding]],
) -> Iterator[list[tuple[ImageRow, Embedding]]]:
    iterator = iter(entities)
    while group := list(islice(iterator, GROUP)):
        yield group
