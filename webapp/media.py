"""Pictures by id: thumbnails, made once and kept, and the original files.

No path from outside is ever opened: an id leads to the row that indexing wrote, and the file is
given out only while it is still the one that was indexed (same size and time, a regular file).
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from PIL import Image

from embeddings.errors import ImageError
from embeddings.images import open_image
from milvus.entities import ImageRow
from milvus.int64 import storable_time
from webapp.errors import ImageGone

# Longest side in pixels: sharp in a grid of four columns on a dense screen, 20 to 30 KB each.
THUMBNAIL_SIDE = 384
THUMBNAIL_QUALITY = 80


class Thumbnails:
    """WebP thumbnails in a folder, named by the content's hash."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = folder
        self._max_pixels = max_pixels

    def path(self, row: ImageRow) -> Path:
        """The thumbnail's file, made where it is missing. Raises ImageGone."""
        # Of a picture that is gone nothing is shown, kept thumbnails neither.
        source = original(row)
        thumbnail = self._folder / row.content_hash[:2] / f"{row.content_hash}.webp"
        if not thumbnail.is_file():
            self._write(thumbnail, self._render(source))
        return thumbnail

    def _render(self, source: Path) -> Image.Image:
        try:
            image = open_image(
                source.read_bytes(), max_pixels=self._max_pixels, at_least=THUMBNAIL_SIDE
            ).image
        except (OSError, ImageError) as error:
            raise ImageGone(f"{source} cannot be shown: {error}") from error
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        return image

    def _write(self, thumbnail: Path, image: Image.Image) -> None:
        try:
            thumbnail.parent.mkdir(parents=True, exist_ok=True)
            # Two requests may make the same one at once: each writes its own file, the last wins.
            descriptor, partial = tempfile.mkstemp(dir=thumbnail.parent, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    image.save(file, "WEBP", quality=THUMBNAIL_QUALITY)
                Path(partial).replace(thumbnail)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(partial).unlink()
                raise
        except OSError as error:
            raise ImageGone(f"a thumbnail cannot be written: {error}") from error


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
