"""Thumbnails during a run: made in the decoding threads, deleted when their last picture went."""

import contextlib
from collections.abc import Iterable

from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
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
    ) -> None:
        self.problem = ""
        """What people must know of the run, in one line; after it no more are made."""
        self._folder = folder
        self._leftovers = leftovers
        self._makes = makes
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

    def is_wanted(self, content_hash: str) -> bool:
        """Whether a picture needs a thumbnail; equal pictures share one. Safe in threads."""
        if not self.wanted:
            return False
        try:
            return not self._folder.path(content_hash).exists()
        except OSError as error:
            self._tell_of(error)
            return False

    def keep(self, content_hash: str, thumbnail: bytes) -> None:
        """Keep the thumbnail of a picture. Safe in threads."""
        try:
            self._leftovers.note([content_hash])
            self._folder.write(content_hash, thumbnail)
        except OSError as error:
            self._tell_of(error)

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

    def _tell_of(self, error: OSError) -> None:
        self._tell("thumbnails cannot be kept", error, "the page makes them as it shows them")

    def _tell(self, what: str, error: OSError, then: str) -> None:
        reason = error.strerror or str(error) or type(error).__name__
        self.problem = self.problem or f"{what} in {self._folder.folder} ({reason}); {then}"
