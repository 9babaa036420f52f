"""What a library's rows were after its last whole run, kept in a file beside the store.

Reading 100,000 rows from Milvus Lite takes longer than walking as many files. The store holds a
token for each library; it is cleared before the first change of a run and set anew, together with
the file, at the end. So a file whose token is the store's tells the truth, whoever wrote last and
however a run ended, and any other is passed over.
"""

import contextlib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import numpy as np

Known: TypeAlias = dict[int, tuple[int, int, int]]
"""Size in bytes, modification time in nanoseconds and the mark's stamp, by the row's key."""


class Snapshots:
    """Snapshots of a store's libraries in a folder; ``store`` is any text that names the store."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store

    def load(self, library: str, token: str | None) -> Known | None:
        """The rows as they were when the token was set; None where there is no such file."""
        if not token:
            return None
        try:
            with self._path(library).open("rb") as file, np.load(file) as saved:
                if str(saved["token"]) != token:
                    return None
                columns = [saved[name].tolist() for name in ("sizes", "mtimes", "stamps")]
                return dict(zip(saved["keys"].tolist(), zip(*columns, strict=True), strict=True))
        except Exception:  # what a damaged file makes zipfile and NumPy raise is not foreseeable
            return None

    def save(self, library: str, known: Mapping[int, tuple[int, int, int]]) -> str:
        """Write a snapshot; the token that the store must get now. Empty if it cannot be written:
        then the next run reads the store."""
        token = uuid4().hex
        path = self._path(library)
        values = np.array(list(known.values()), dtype=np.int64).reshape(-1, 3)
        # Writers to a store take turns, so one name will do; what a kill leaves is written over.
        partial = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(
                    file,
                    token=np.array(token),
                    keys=np.array(list(known), dtype=np.int64),
                    sizes=values[:, 0],
                    mtimes=values[:, 1],
                    stamps=values[:, 2],
                )
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            return ""
        return token

    def _path(self, library: str) -> Path:
        name = blake2b(f"{self._store}\0{library}".encode(), digest_size=16).hexdigest()
        return self._folder / f"{name}.npz"
