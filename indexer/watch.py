"""Follow folders: tell which libraries changed, as often as they do."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import Change, watch

from embeddings.images import IGNORED_FOLDERS, SUFFIXES

# Changes come in bursts (a copied folder, an editor's temporary files); one run takes them all.
BURST_MS = 1000


def changed_libraries(roots: Sequence[Path]) -> Iterator[list[Path]]:
    """The roots below which something changed, after each burst; ends with Ctrl+C.

    The first are all roots, once they are being watched: what came while the run before was
    still going on is not missed. Network drives send no notice of changes; there,
    ``WATCHFILES_FORCE_POLLING=true`` makes the library look for itself.
    """
    changes = watch(
        *roots,
        watch_filter=_Pictures(roots),
        debounce=BURST_MS,
        rust_timeout=BURST_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    if next(changes, None) is None:
        return
    yield list(roots)
    for burst in changes:
        paths = [Path(path) for _, path in burst]
        if paths:
            yield [root for root in roots if any(path.is_relative_to(root) for path in paths)]


class _Pictures:
    """Lets through what a walk would look at: pictures, and folders that come and go.

    A store or a log that somebody keeps inside a library must not wake its own indexer.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots

    def __call__(self, change: Change, path: str) -> bool:
        changed = Path(path)
        root = next((root for root in self._roots if changed.is_relative_to(root)), None)
        if root is None:
            return False
        parts = changed.relative_to(root).parts
        if any(part.startswith(".") or part in IGNORED_FOLDERS for part in parts):
            return False
        if changed.suffix.lower() in SUFFIXES:
            return True
        # A folder that is gone cannot be asked what it was.
        return change is not Change.modified and (changed.is_dir() or not changed.suffix)
