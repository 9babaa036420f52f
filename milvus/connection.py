"""A connection that finds its way back: to a server, or to a shared Milvus Lite file."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from pymilvus import MilvusClient

from milvus.errors import CollectionMissing, StoreUnavailable, translated
from milvus.lite import is_lite, lite_address, release

T = TypeVar("T")


class Connection:
    """Opens on first use, and again after the other side went away.

    ``uri`` is a file (Milvus Lite) or a server's address. ``timeout`` is in seconds. With
    ``create=False`` a file that is not there is not made: reading from it raises
    CollectionMissing until somebody has indexed into it.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        db_name: str = "",
        timeout: float = 10.0,
        create: bool = True,
    ) -> None:
        self.uri = uri
        self.is_lite = is_lite(uri)
        self.timeout = timeout
        self._token = token
        self._db_name = db_name
        self._create = create
        self._client: MilvusClient | None = None
        self._lock = threading.Lock()
        self._aside = ThreadPoolExecutor(thread_name_prefix="milvus")
        # pymilvus logs a traceback before it raises; the error itself is told by whoever catches.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    def call(self, operation: Callable[[MilvusClient], T]) -> T:
        """Run an operation that may safely run twice; once more after a lost connection.

        Raises StoreError.
        """
        used: list[MilvusClient] = []

        def once() -> T:
            with translated(self.uri):
                used.append(self._connected())
                return operation(used[-1])

        def twice() -> T:
            try:
                return once()
            except StoreUnavailable:
                if not self.is_lite:
                    raise
                # The process that served the file has left: open it here, unless another thread
                # has.
                self._forget(used[-1] if used else None)
                return once()

        if threading.current_thread() is threading.main_thread():
            # Ctrl+C raises in the main thread. Inside gRPC it would leave a lock held, for which
            # every later call would wait for ever; waiting for another thread it does no harm.
            return self._aside.submit(twice).result()
        return twice()

    def lock_file(self, folder: Path, collection: str) -> Path:
        """The file that makes writers to a collection take turns: beside a local store; in
        ``folder`` for a server, where it holds for this machine."""
        if self.is_lite:
            return Path(f"{self.uri}.lock")
        name = f"{self.uri} {self._db_name} {collection}"
        return folder / f"{blake2b(name.encode(), digest_size=12).hexdigest()}.lock"

    def close(self) -> None:
        """Let go of the server, and of the file if it is served from here."""
        self._forget(self._client)
        if self.is_lite:
            release(Path(self.uri))

    def _connected(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                if self.is_lite and not self._create and not Path(self.uri).exists():
                    raise CollectionMissing.at(self.uri)
                address = lite_address(Path(self.uri)) if self.is_lite else self.uri
                self._client = MilvusClient(
                    address, token=self._token, db_name=self._db_name, timeout=self.timeout
                )
            return self._client

    def _forget(self, client: MilvusClient | None) -> None:
        """Close a client, and use it no more if it is the one in use."""
        with self._lock:
            if self._client is client:
                self._client = None
        if client is not None:
            client.close()
