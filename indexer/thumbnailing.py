"""Thumbnails during a run: made in the decoding threads, deleted when their last picture went."""

import contextlib
from collections.abc import Callable, Iterable

from embeddings.errors import ImageError
from embeddings.images import OpenedImage
from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder, thumbnail_of
from milvus.store import ImageStore


class Thumbnailing:
    """What runs over a store's libraries do about thumbnails, one run after the other.

    Nothing that goes wrong with a thumbnail stops a run: ``problem`` tells of it. ``makes`` says
    whether new pictures get one; those that went lose theirs in any case.
    """

    def __init__(
        self,
        folder: ThumbnailFolder,
        leftovers: Leftovers,
        *,
        makes: bool = True,
        max_pixels: int = 200_000_000,
    ) -> None:
        self.problem = ""
        """What people must know of the run, in one line; after it no more are made."""
        self._folder = folder
        self._leftovers = leftovers
        self._makes = makes
        self._max_pixels = max_pixels
        self._doubtful: set[str] = set()

    def begin(self) -> None:
        """Take over what runs that were cut short left to be looked into."""
        self.problem = ""
        self._doubtful = set()
        with contextlib.suppress(OSError):  # told when one is to be made
            self._doubtful = self._leftovers.noted()
            if self._doubtful:
                self._folder.discard_abandoned()

    @property
    def wanted(self) -> bool:
        """Whether thumbnails are made, or still are."""
        return self._makes and not self.problem

    def make(self, content_hash: str, data: bytes, opened: OpenedImage) -> None:
        """Keep the thumbnail of a picture; equal pictures share one. Safe in threads."""
        self._keep(content_hash, lambda: thumbnail_of(data, opened, self._max_pixels))

    def keep(self, content_hash: str, thumbnail: bytes) -> None:
        """Keep a thumbnail that others made."""
        self._keep(content_hash, lambda: thumbnail)

    def _keep(self, content_hash: str, make: Callable[[], bytes]) -> None:
        if not self.wanted:
            return
        try:
            if not self._folder.path(content_hash).exists():
                thumbnail = make()
                self._leftovers.note([content_hash])
                self._folder.write(content_hash, thumbnail)
        except ImageError:
            pass  # the model could look at it all the same
        except (OSError, MemoryError) as error:
            self._tell("thumbnails cannot be kept", error, "the page makes them as it shows them")

    def gone(self, content_hashes: Iterable[str]) -> None:
        """Note the hashes of rows before those leave the store."""
        hashes = set(content_hashes) - self._doubtful
        self._doubtful |= hashes
        with contextlib.suppress(OSError):  # deleting frees a full disk: try that all the same
            self._leftovers.note(hashes)

    def settle(self, store: ImageStore) -> None:
        """At the end of a whole run: delete those that no picture has any more.

        Raises StoreError.
        """
        try:
            self._leftovers.settle(self._doubtful, store.held_hashes)
        except OSError as error:
            self._tell(
                "thumbnails of pictures that are gone cannot be deleted",
                error,
                "delete the folder when you can: the page makes those that it shows",
            )

    def _tell(self, what: str, error: OSError | MemoryError, then: str) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.problem = self.problem or f"{what} in {self._folder.folder} ({reason}); {then}"
