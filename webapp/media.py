"""Pictures by id: thumbnails, made once and kept, and the original files.

No path from outside is ever opened: an id leads to the row that indexing wrote, and the file is
given out only while it is still the one that was indexed (``originals.py``).
"""

import contextlib
import os
import stat
import tempfile
import threading
from pathlib import Path

from PIL import Image

from embeddings.errors import ImageError
from embeddings.images import open_image
from milvus.entities import ImageRow
from webapp.errors import ImageGone
from webapp.originals import open_original, original

# Longest side in pixels: sharp in a grid of four columns on a dense screen, 20 to 30 KB each.
THUMBNAIL_SIDE = 384
THUMBNAIL_QUALITY = 80
# A small file may hold a large picture, of some gigabyte while it is decoded.
RENDERED_AT_ONCE = 4


class Thumbnails:
    """WebP thumbnails in a folder, named by the content's hash."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._rendering = threading.Semaphore(RENDERED_AT_ONCE)

    def path(self, row: ImageRow) -> Path:
        """The thumbnail's file, made where it is missing. Raises ImageGone."""
        # Of a picture that is gone nothing is shown, kept thumbnails neither.
        original(row)
        thumbnail = self._folder / row.content_hash[:2] / f"{row.content_hash}.webp"
        if not _is_kept(thumbnail):
            self._write(thumbnail, self._render(row))
        return thumbnail

    def _render(self, row: ImageRow) -> Image.Image:
        try:
            with self._rendering, open_original(row) as source:
                image = open_image(
                    source.read(), max_pixels=self._max_pixels, at_least=THUMBNAIL_SIDE
                ).image
        except (OSError, ImageError) as error:
            raise ImageGone(f"{row.path} cannot be shown: {error}") from error
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


def _is_kept(thumbnail: Path) -> bool:
    """Whether it is there, and a file of this folder: a link in its place may lead anywhere."""
    try:
        modes = [path.lstat().st_mode for path in (thumbnail.parent, thumbnail)]
    except OSError:
        return False
    if not stat.S_ISDIR(modes[0]):
        raise ImageGone(f"{thumbnail.parent} is no folder; remove it")
    return stat.S_ISREG(modes[1])
