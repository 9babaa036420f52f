"""Thumbnails by id: kept ones, and those that are made when they are first asked for.

No path from outside is ever opened: an id leads to the row that indexing wrote, and the file is
looked at only while it is still the one that was indexed (``originals.py``).
"""

import contextlib
from pathlib import Path

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from embeddings.decoding.decode import decode
from embeddings.errors import ImageError
from embeddings.thumbnails import ThumbnailFolder
from milvus.entities import ImageRow
from webapp.errors import ImageGone
from webapp.originals import open_original, original

# A small file may hold a large picture, of some gigabyte while it is decoded.
RENDERED_AT_ONCE = 4


class Thumbnails:
    """The thumbnails that indexing made, and those that it did not."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = ThumbnailFolder(folder)
        self._max_pixels = max_pixels
        self._rendering = CapacityLimiter(RENDERED_AT_ONCE)

    async def webp(self, row: ImageRow) -> bytes:
        """A picture's thumbnail, made where it is missing. Raises ImageGone."""
        # In threads of their own: however many are to be made, what is asked beside them goes on.
        kept = await run_sync(self.kept, row)
        if kept:
            return kept
        return await run_sync(self.made, row, limiter=self._rendering)

    def kept(self, row: ImageRow) -> bytes | None:
        """The thumbnail that indexing made. Raises ImageGone."""
        # Of a picture that is gone nothing is shown, kept thumbnails neither.
        original(row)
        return self._folder.read(row.content_hash)

    def made(self, row: ImageRow) -> bytes:
        """A new thumbnail, which is kept where it can be. Raises ImageGone."""
        made = self._made(row)
        # Shown all the same where it cannot be kept: a full disk, a folder that is only read.
        with contextlib.suppress(OSError):
            self._folder.write(row.content_hash, made)
        return made

    def _made(self, row: ImageRow) -> bytes:
        try:
            with open_original(row) as source:
                thumbnail = decode(source.read(), self._max_pixels, with_thumbnail=True).thumbnail
        except (OSError, ImageError) as error:
            raise ImageGone(f"{row.path} cannot be shown: {error}") from error
        assert thumbnail is not None
        return thumbnail
