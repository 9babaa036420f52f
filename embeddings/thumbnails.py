"""Thumbnails: small WebP pictures in a folder, each named by the hash of its original's content.

The folder is a cache that any number of collections share. A thumbnail that is missing is made
where it is shown, so one that is deleted too many costs a moment and nothing else.
"""

import contextlib
import io
import os
import stat
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from embeddings.images import OpenedImage, open_image

# Longest side in pixels: sharp in a grid of four columns on a dense screen.
SIDE = 384
# Sixteen of them are a page of at most half a megabyte.
MAX_BYTES = 30_000
# Sides and qualities that are tried until one is small enough. Nearly all photos are with the
# first; noise is with the last.
ATTEMPTS = ((SIDE, 75), (SIDE, 50), (SIDE, 25), (SIDE // 2, 50))
# WebP's fastest: three tenths of the default's time, for files that are three tenths larger at the
# same signal-to-noise ratio.
METHOD = 0

# What a program that was killed was writing this long ago, nobody is writing any more.
ABANDONED_S = 60
# Without following links, nor waiting for what is no file; Windows has neither.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def thumbnail_of(data: bytes, opened: OpenedImage, max_pixels: int) -> bytes:
    """The thumbnail of a file's bytes as WebP: of ``opened``, its picture, where that was decoded
    large enough, or else decoded once more.

    Raises ImageError.
    """
    wanted = min(SIDE, max(opened.width, opened.height))
    if max(opened.image.size) < wanted:
        opened = open_image(data, max_pixels=max_pixels, at_least=SIDE)
    return encoded(opened.image)


def encoded(image: Image.Image) -> bytes:
    """A picture as a thumbnail: WebP of at most ``MAX_BYTES``, without EXIF data."""
    content = b""
    for side, quality in ATTEMPTS:
        small = image.copy() if max(image.size) > side else image
        small.thumbnail((side, side))
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=METHOD)
        content = buffer.getvalue()
        if len(content) <= MAX_BYTES:
            break
    return content


class ThumbnailFolder:
    """Thumbnails by content hash, as ``ab/abcd….webp``. Safe in threads and several programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_hash: str) -> Path:
        """Where a thumbnail is, or would be."""
        return self.folder / content_hash[:2] / f"{content_hash}.webp"

    def read(self, content_hash: str) -> bytes | None:
        """A thumbnail, or None where there is none that can be read.

        A link in its place is not followed: it may lead to any file.
        """
        path = self.path(content_hash)
        try:
            if path.parent.is_symlink():
                return None
            with os.fdopen(os.open(path, OPEN_FLAGS), "rb") as file:
                is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                return file.read() if is_file else None
        except OSError:
            return None

    def write(self, content_hash: str, content: bytes) -> None:
        """Keep a thumbnail; others see all of it or nothing. Raises OSError."""
        path = self.path(content_hash)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.is_symlink():
            raise NotADirectoryError(f"{path.parent} is a link and not a folder; remove it")
        # Two may write the same one at once: each has its own file, and the last one stays.
        descriptor, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(partial).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(partial).unlink()
            raise

    def discard(self, content_hashes: Iterable[str]) -> None:
        """Delete thumbnails, where they are. Raises OSError."""
        for content_hash in content_hashes:
            self.path(content_hash).unlink(missing_ok=True)

    def discard_abandoned(self) -> None:
        """Delete what programs that were killed had begun to write. Raises OSError."""
        before = time.time() - ABANDONED_S
        for partial in self.folder.glob("??/*.part"):
            with contextlib.suppress(FileNotFoundError):
                if partial.stat().st_mtime < before:
                    partial.unlink()
