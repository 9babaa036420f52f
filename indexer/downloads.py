"""The pictures behind URLs, fetched once and kept: thumbnails and originals are made of them."""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from hashlib import blake2b
from pathlib import Path

from indexer.errors import IndexingError
from indexer.fetch import Limits, fetch

# The page gives originals out under the type that their name says.
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
}

# Nobody is fetching any more what was begun so long before a download's time was over.
ABANDONED_S = 60


class Downloads:
    """A folder with a folder for each URL, named by its hash, that holds one file."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._cleared = False

    def place(self, url: str) -> Path:
        """The folder that holds a URL's picture, or will."""
        return self._folder / blake2b(url.encode(), digest_size=16).hexdigest()

    def picture(self, url: str) -> Path:
        """A URL's picture, fetched where it is missing. Safe in several threads.

        Raises NotFetched, or IndexingError where the folder cannot be written.
        """
        kept = self._kept(url)
        return kept if kept is not None else self._fetch(url)

    def discard(self, url: str) -> None:
        """Forget what was fetched: it is no picture, and may be one another time."""
        shutil.rmtree(self.place(url), ignore_errors=True)

    def _kept(self, url: str) -> Path | None:
        try:
            return next(self.place(url).iterdir(), None)
        except OSError:
            return None

    def _fetch(self, url: str) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._clear()
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            partial = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    media_type = fetch(url, self._limits, file)
                place = self.place(url)
                place.mkdir(exist_ok=True)
                return partial.replace(place / f"picture{SUFFIXES.get(media_type, '')}")
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise IndexingError(f"cannot keep downloads in {self._folder}: {reason}") from error

    def _clear(self) -> None:
        """Once: delete what programs that were killed had begun to fetch."""
        with self._lock:
            cleared, self._cleared = self._cleared, True
        if cleared:
            return
        before = time.time() - ABANDONED_S - self._limits.seconds
        for partial in self._folder.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if partial.stat().st_mtime < before:
                    partial.unlink()
