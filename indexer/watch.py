"""Follow folders: tell which libraries changed, as often as they do."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import Change, watch

# Changes come in bursts (a copied folder, an editor's temporary files); one run takes them all.
BURST_MS = 1000


def changed_libraries(roots: Sequence[Path]) -> Iterator[list[Path]]:
    """The roots below which something changed, after each burst; ends with Ctrl+C.

    Network drives send no notice of changes; there, ``WATCHFILES_FORCE_POLLING=true`` makes the
    library look for itself.
    """
    for changes in watch(
        *roots, watch_filter=_is_visible, debounce=BURST_MS, raise_interrupt=False, recursive=True
    ):
        paths = [Path(path) for _, path in changes]
        yield [root for root in roots if any(path.is_relative_to(root) for path in paths)]


def _is_visible(change: Change, path: str) -> bool:
    return not Path(path).name.startswith(".")
