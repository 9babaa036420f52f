"""Pictures by id: thumbnails, kept once they are made, and the original files.

No path from outside is ever opened: an id leads to the row that indexing wrote, and the file is
given out only while it is still the one that was indexed (same size and time, a regular file).
"""

import contextlib
import stat
from pathlib import Path

from embeddings.errors import ImageError
from embeddings.images import open_image
from embeddings.thumbnails import SIDE, ThumbnailFolder, thumbnail_of
from milvus.entities import ImageRow
from milvus.int64 import storable_time
from webapp.errors import ImageGone


class Thumbnails:
    """The thumbnails that indexing made, and those that it did not."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = ThumbnailFolder(folder)
        self._max_pixels = max_pixels

    def webp(self, row: ImageRow) -> bytes:
        """A picture's thumbnail, made where it is missing. Raises ImageGone."""
        # Of a picture that is gone nothing is shown, kept thumbnails neither.
        source = original(row)
        kept = self._folder.read(row.content_hash)
        if kept:
            return kept
        made = self._made(source)
        # Shown all the same where it cannot be kept: a full disk, a folder that is only read.
        with contextlib.suppress(OSError):
            self._folder.write(row.content_hash, made)
        return made

    def _made(self, source: Path) -> bytes:
        try:
            data = source.read_bytes()
            opened = open_image(data, max_pixels=self._max_pixels, at_least=SIDE)
            return thumbnail_of(data, opened, self._max_pixels)
        except (OSError, ImageError) as error:
            raise ImageGone(f"{source} cannot be shown: {error}") from error


def original(row: ImageRow) -> Path:
    """The file of an indexed picture, as long as it is the one that was indexed.

    Raises ImageGone where it is missing, changed, or no longer a regular file.
    """
    path = Path(row.path)
    try:
        status = path.stat()
    except OSError as error:
        raise ImageGone(f"{row.path} is gone since it was indexed") from error
    mtime_ns = storable_time(status.st_mtime_ns)
    unchanged = status.st_size == row.size and mtime_ns == row.mtime_ns
    if not stat.S_ISREG(status.st_mode) or not unchanged:
        raise ImageGone(f"{row.path} has changed since it was indexed; index its folder again")
    return path
