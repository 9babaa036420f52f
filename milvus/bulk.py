"""Entities in Parquet files, put where a Milvus server reads them: a folder, or its bucket.

A run's files lie together below one name, by which they are found again and deleted. Needs the
extra ``bulk``.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from milvus.entities import Embedding, ImageRow
from milvus.errors import BulkUnusable
from milvus.schema import build_schema, to_entity

if TYPE_CHECKING:
    from minio import Minio

# The writer keeps vectors as Python's numbers, eight times as large as in the file.
CHUNK_BYTES = 64_000_000
# Below this a run's files lie in a bucket, which Milvus itself uses, too.
PREFIX = "image-search-bulk"
PARQUET = "*.parquet"
CONNECT_S = 10
RUN_LETTERS = frozenset("0123456789abcdef")


class BulkPlace(Protocol):
    """Where files are put for a server, and deleted afterwards. Methods raise BulkUnusable."""

    def check(self) -> None:
        """Whether files can be put there at all."""

    def workshop(self) -> AbstractContextManager[Path]:
        """A folder here in which files are written."""

    def deliver(self, run: str, file: Path) -> str:
        """Bring a file that was written to its place; its path as the server knows it."""

    def remove(self, run: str) -> None:
        """Delete a run's files; those that are gone already are no error."""


@dataclass(frozen=True)
class BulkFolder:
    """A folder that the server sees under the same path as this program does."""

    path: Path

    def check(self) -> None:
        """Raises BulkUnusable where it is missing, or cannot be written."""
        if not self.path.is_dir():
            raise BulkUnusable(
                f"--bulk-folder {self.path}: there is no such folder; make one that the Milvus "
                "server can read under the same path"
            )
        with _as_unusable(f"--bulk-folder {self.path}"), tempfile.NamedTemporaryFile(dir=self.path):
            pass

    def workshop(self) -> AbstractContextManager[Path]:
        """The folder itself: what is written is in its place at once."""
        return nullcontext(self.path)

    def deliver(self, run: str, file: Path) -> str:
        """Nothing is left to do."""
        return str(self._of(run) / file.name)

    def remove(self, run: str) -> None:
        """Delete a run's files and the folder that held them."""
        folder = self._of(run)
        with _as_unusable(f"--bulk-folder {self.path}"):
            for file in folder.glob(PARQUET):
                file.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                folder.rmdir()

    def _of(self, run: str) -> Path:
        return self.path / _checked(run)


@dataclass(frozen=True)
class BulkBucket:
    """The S3 bucket that the server itself is configured with."""

    endpoint: str
    """HOST:PORT, as this program reaches it; the server may know it by another name."""
    name: str
    access_key: str | None
    secret_key: str | None = field(repr=False)
    secure: bool

    def check(self) -> None:
        """Raises BulkUnusable where the bucket is missing, or does not let us in."""
        with self._told():
            if not self._client().bucket_exists(bucket_name=self.name):
                raise BulkUnusable(
                    f"{self._words} has no bucket {self.name!r}; --bulk-bucket is the one that "
                    "Milvus is configured with"
                )

    def workshop(self) -> AbstractContextManager[Path]:
        """A temporary folder, from which files go as soon as they are uploaded."""
        return _temporary()

    def deliver(self, run: str, file: Path) -> str:
        """Upload it, and delete it here."""
        key = f"{PREFIX}/{_checked(run)}/{file.name}"
        with self._told():
            self._client().fput_object(bucket_name=self.name, object_name=key, file_path=str(file))
        file.unlink()
        return key

    def remove(self, run: str) -> None:
        """Delete a run's objects."""
        client = self._client()
        with self._told():
            prefix = f"{PREFIX}/{_checked(run)}/"
            for found in client.list_objects(bucket_name=self.name, prefix=prefix):
                client.remove_object(bucket_name=self.name, object_name=found.object_name)

    def _client(self) -> "Minio":
        import urllib3
        from minio import Minio

        # minio's own pool tries for minutes, and long after anybody would believe in it.
        retries = urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])
        timeout = urllib3.Timeout(connect=CONNECT_S, read=300)
        with self._told():
            return Minio(
                endpoint=self.endpoint,
                access_key=self.access_key,
                secret_key=self.secret_key,
                secure=self.secure,
                http_client=urllib3.PoolManager(retries=retries, timeout=timeout),
            )

    @property
    def _words(self) -> str:
        return f"--bulk-endpoint {self.endpoint}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            raise BulkUnusable(
                f"{self._words} refuses bucket {self.name!r} ({error.code}); check "
                "--bulk-access-key and IMAGE_SEARCH_BULK__SECRET_KEY"
            ) from error
        except HTTPError as error:
            raise BulkUnusable(
                f"no answer from {self._words}; is it the address of Milvus's MinIO or S3, and "
                f"--bulk-secure right? ({type(error).__name__})"
            ) from error
        except (MinioException, ValueError) as error:
            raise BulkUnusable(f"{self._words}: {_line(error)}") from error
        except OSError as error:
            raise BulkUnusable(f"{self._words}: {error.strerror or error}") from error


class BulkRun:
    """Entities on their way into files, which lie below ``name`` in their place.

    Writing may be given up at any moment: ``remove`` of the place deletes what there is.
    """

    def __init__(self, place: BulkPlace, dim: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Raises BulkUnusable without the extra, or where the place cannot be used."""
        _check_extra()
        place.check()
        self._place = place
        self._dim = dim
        self._chunk_bytes = chunk_bytes
        self.name = uuid4().hex

    def write(self, entities: Iterable[tuple[ImageRow, Embedding]]) -> list[str]:
        """Write and deliver them all; the files' paths as the server knows them.

        Raises BulkUnusable, and whatever reading the entities raises.
        """
        delivered: list[str] = []
        with self._place.workshop() as workshop, _as_unusable(f"files in {workshop}"):
            writer = _writer(self._dim, workshop, self.name)
            for row, vector in entities:
                writer.append_row(to_entity(row, vector))
                if writer.buffer_size >= self._chunk_bytes:
                    delivered += self._commit(writer)
            if writer.buffer_row_count:
                delivered += self._commit(writer)
        return delivered

    def _commit(self, writer: Any) -> list[str]:
        before = len(writer.batch_files)
        writer.commit()
        if writer.failure is not None or len(writer.batch_files) == before:
            raise BulkUnusable(
                f"the files of the import cannot be written: {_line(writer.failure)}"
            ) from writer.failure
        return [self._place.deliver(self.name, Path(file)) for file in writer.batch_files[-1]]


def _writer(dim: int, folder: Path, name: str) -> Any:
    import logging

    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    # It tells of every file it writes.
    for logger in ("bulk_writer", "pymilvus.bulk_writer"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)

    class Writer(LocalBulkWriter):  # type: ignore[misc]
        """Writes in a thread, whose error would go to the terminal and nowhere else."""

        failure: Exception | None = None

        def _make_dir(self) -> None:
            self._uuid = name
            super()._make_dir()

        def _flush(self, *arguments: Any, **options: Any) -> None:
            try:
                super()._flush(*arguments, **options)
            except Exception as error:
                self.failure = error

    # No chunk of its own accord: those are written aside, while rows go on coming.
    return Writer(
        build_schema(dim), str(folder), chunk_size=1 << 62, file_type=BulkFileType.PARQUET
    )


def _check_extra() -> None:
    try:
        import pymilvus.bulk_writer  # noqa: F401
    except ImportError as error:
        raise BulkUnusable(
            "bulk import needs more packages; install them: "
            "pip install -c constraints.txt '.[bulk]'"
        ) from error


def _checked(run: str) -> str:
    """The name of a run, which may come from a collection that anybody has written to."""
    if len(run) != 32 or not set(run) <= RUN_LETTERS:
        raise BulkUnusable(f"{run[:40]!r} is no name of a bulk import's files")
    return run


@contextmanager
def _temporary() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="image-search-bulk-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _as_unusable(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BulkUnusable(f"{what}: {error.strerror or error}") from error


def _line(error: BaseException | None) -> str:
    return (str(error or "").strip() or "no reason given").splitlines()[0][:300]
