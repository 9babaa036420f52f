"""What an image store is, for everything that uses one."""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.filters import EVERYTHING, ImageFilter
from milvus.runs import LastRun


class ImageStore(Protocol):
    """Images with their embeddings. All methods raise StoreError."""

    @property
    def is_lite(self) -> bool:
        """Whether this is a local file."""

    def prepare(self, model: ModelRecord) -> None:
        """Make the collection for this model, or check that it is this model's."""

    def model(self) -> ModelRecord:
        """The model of the collection; raises CollectionMissing before anything is indexed."""

    def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        """Write images; one that is there already is replaced."""

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images."""

    def flush(self) -> None:
        """Seal what was written, so that it is searched through the index. Once at the end."""

    def search(
        self,
        embedding: Embedding,
        top_k: int,
        only: ImageFilter = EVERYTHING,
        *,
        with_embeddings: bool = False,
    ) -> list[Match]:
        """The ``top_k`` images of highest cosine similarity that the filter lets through, best
        first."""

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        """The images of these ids with their extras, as far as they are there, in no certain
        order."""

    def at_paths(self, paths: Sequence[str]) -> list[ImageRow]:
        """The images whose files these are, with their extras."""

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        """Stored embeddings by id."""

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        """All images, or those of one library, without extras, in no certain order."""

    def entities(self, only: ImageFilter = EVERYTHING) -> Iterator[tuple[ImageRow, Embedding]]:
        """Images that the filter lets through, whole, in no certain order."""

    def held_hashes(self, content_hashes: Collection[str]) -> set[str]:
        """Those of these content hashes that an image of any library has."""

    def count(self) -> int:
        """Number of images."""

    def token(self, library: str) -> str | None:
        """What ``set_token`` kept for a library; None where there is nothing."""

    def set_token(self, library: str, token: str) -> None:
        """Keep a word with the collection that names the state of a library's rows."""

    def note_run(self, library: str, run: LastRun, token: str | None = None) -> None:
        """Keep with the collection what the last run over a library did; a token in the same
        write."""

    def last_runs(self) -> dict[str, LastRun]:
        """What ``note_run`` kept, by library; without those that cannot be read."""
