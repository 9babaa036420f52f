from pathlib import Path

import pytest
from watchfiles import Change

from indexer.watch import _Pictures


@pytest.mark.parametrize(
    ("change", "path", "passes"),
    [
        (Change.added, "a/new.jpg", True),
        (Change.modified, "a/new.HEIC", True),
        (Change.deleted, "a/gone.png", True),
        (Change.deleted, "folder", True),
        (Change.added, "real.d", True),
        (Change.modified, "folder", False),
        (Change.added, "notes.txt", False),
        (Change.added, ".git/x.jpg", False),
        (Change.added, "@eaDir/x.jpg", False),
        (Change.added, "data/milvus.db.lock.holder", False),
        (Change.modified, "data/milvus.db/collections/wal.arrow", False),
        (Change.added, "../elsewhere/x.jpg", False),
    ],
)
def test_only_what_a_walk_would_look_at_wakes_it(
    tmp_path: Path, change: Change, path: str, passes: bool
) -> None:
    root = tmp_path / "library"
    (root / "real.d").mkdir(parents=True)
    assert _Pictures([root])(change, str((root / path).resolve())) is passes
