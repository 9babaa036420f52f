"""Which thumbnails may have lost their last picture: noted in a file until somebody looked.

A content hash is noted before its thumbnail is made and before a row that has it leaves the
store. A run that comes to its end knows which of them to ask the store about; one that is killed
leaves the file behind, and the next run asks about all that are in it. So the thumbnails of
pictures that went are found without a look at every row or every thumbnail.
"""

import re
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b

from embeddings.thumbnails import ThumbnailFolder

_HASH = re.compile(r"[0-9a-f]+")


class Leftovers:
    """The notes on one store, in the folder of its thumbnails; ``store`` is any text that names
    it. Its writers take turns. All methods raise OSError where the folder does not allow it.
    """

    def __init__(self, thumbnails: ThumbnailFolder, store: str) -> None:
        self._thumbnails = thumbnails
        name = blake2b(store.encode(), digest_size=16).hexdigest()
        self._path = thumbnails.folder / f"{name}.journal"

    def noted(self) -> set[str]:
        """The hashes that a run noted and did not settle."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return set()
        return {line for line in lines if _HASH.fullmatch(line)}

    def note(self, content_hashes: Iterable[str]) -> None:
        """Note that these are in doubt if this run does not come to its end. Safe in threads."""
        lines = "".join(f"{content_hash}\n" for content_hash in content_hashes)
        if not lines:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what is written at once is not mixed with another thread's.
        with self._path.open("ab", buffering=0) as file:
            file.write(lines.encode())

    def settle(
        self, doubtful: Collection[str], held: Callable[[Collection[str]], Collection[str]]
    ) -> None:
        """Delete the thumbnails of those hashes that no picture has any more; forget the notes.

        ``held`` tells which of some hashes pictures have, in any library of this store. Another
        store may share the folder, and have one that is deleted here: it is made again where it
        is shown, which is cheaper than to ask every store that there may be.
        """
        if doubtful:
            self._thumbnails.discard(set(doubtful) - set(held(doubtful)))
        self._path.unlink(missing_ok=True)
