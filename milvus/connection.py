"""A connection that finds its way back: to a server, or to a shared Milvus Lite file."""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from pymilvus import MilvusClient

from milvus.errors import (
    CollectionMissing,
    DatabaseMissing,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    translate,
    translated,
)
from milvus.lite import is_lite, lite_address, release
from milvus.patience import Patience
from milvus.tls import Tls, tls_problem

T = TypeVar("T")

# No call takes longer: loading a collection may take a minute.
RETIRED_S = 120.0
# For so long nobody tries to connect again.
FAILED_FOR_S = 0.5
# gRPC would hand a new client the old one's connection.
OWN_CHANNEL = {"grpc.use_local_subchannel_pool": 1}


class Connection:
    """Opens on first use, and again after the other side went away.

    ``uri`` is a file (Milvus Lite) or a server's address. ``timeout`` is in seconds. With
    ``create=False`` a file that is not there is not made: reading from it raises
    CollectionMissing until somebody has indexed into it; nor is a database made that is missing.
    ``patience`` says how long a server that has answered before is waited for.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        db_name: str = "",
        timeout: float = 10.0,
        create: bool = True,
        tls: Tls | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.uri = uri
        self.is_lite = is_lite(uri)
        self.timeout = timeout
        self._token = token
        self._db_name = db_name
        self._create = create
        self._tls = tls or Tls()
        self._tls_options = self._tls.options(uri)
        self._patience = patience or Patience()
        self._answered = False
        self._client: MilvusClient | None = None
        self._failed_at, self._failure = -math.inf, ""
        self._retired: list[tuple[float, MilvusClient]] = []
        """Clients that are used no more, and when they may be closed."""
        self._lock = threading.Lock()
        self._aside = ThreadPoolExecutor(thread_name_prefix="milvus")
        # pymilvus logs a traceback before it raises; the error itself is told by whoever catches.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    def call(self, operation: Callable[[MilvusClient], T]) -> T:
        """Run an operation that may safely run several times: again after a lost connection, and
        as long as there is patience.

        Raises StoreError.
        """

        def insisting() -> T:
            # A server that never answered is a wrong address rather than one that will be back.
            if self._answered and not self.is_lite:
                return self._patience.insist(lambda: self._attempt(operation))
            return self._attempt(operation)

        return self._off_main(insisting)

    def attempt(self, operation: Callable[[MilvusClient], T]) -> T:
        """The same without patience: for what must begin anew after the store was away."""
        return self._off_main(lambda: self._attempt(operation))

    def _off_main(self, work: Callable[[], T]) -> T:
        if threading.current_thread() is threading.main_thread():
            # Ctrl+C raises in the main thread. Inside gRPC it would leave a lock held, for which
            # every later call would wait for ever; waiting for another thread it does no harm.
            return self._aside.submit(work).result()
        return work()

    def _attempt(self, operation: Callable[[MilvusClient], T]) -> T:
        """Once more where the process that served a file has left, or after a missing database
        was made."""
        used: list[MilvusClient] = []

        def once() -> T:
            with translated(self.uri):
                used.append(self._connected())
                result = operation(used[-1])
            self._answered = True
            return result

        try:
            return once()
        except StoreUnavailable:
            if not self.is_lite:
                self._retire(used[-1] if used else None)
                raise
            # Open the file here, unless another thread has.
            self._forget(used[-1] if used else None)
            return once()
        except DatabaseMissing:
            if not self._create:
                raise
            self._make_database()
            return once()

    @property
    def place(self) -> str:
        """The file, or the server with its database, for messages."""
        return f"{self.uri} (database {self._db_name})" if self._db_name else self.uri

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for two connections to one store."""
        return (str(Path(self.uri).resolve()) if self.is_lite else self.uri, self._db_name)

    def lock_file(self, folder: Path, collection: str) -> Path:
        """The file that makes writers to a collection take turns: beside a local store; in
        ``folder`` for a server, where it holds for this machine."""
        if self.is_lite:
            return Path(f"{self.uri}.lock")
        name = f"{self.uri} {self._db_name} {collection}"
        return folder / f"{blake2b(name.encode(), digest_size=12).hexdigest()}.lock"

    def close(self) -> None:
        """Let go of the server, and of the file if it is served from here."""
        self._patience.end()
        self._forget(self._client)
        for _, client in self._retired:
            client.close()
        if self.is_lite:
            release(Path(self.uri))

    def _connected(self) -> MilvusClient:
        asked = time.monotonic()
        with self._lock:
            if self._client is None:
                if not self.is_lite and self._failed_at > asked - FAILED_FOR_S:
                    # Another thread has just tried in vain: thirty must not do so in turn.
                    raise StoreUnavailable(self._failure)
                self._client = self._connect()
            return self._client

    def _connect(self) -> MilvusClient:
        if self.is_lite and not self._create and not Path(self.uri).exists():
            raise CollectionMissing.at(self.uri)
        address = lite_address(Path(self.uri)) if self.is_lite else self.uri
        try:
            return self._client_of(address, self._db_name)
        except StoreUnavailable as error:
            self._failed_at, self._failure = time.monotonic(), str(error)
            raise

    def _client_of(self, address: str, db_name: str) -> MilvusClient:
        # pymilvus would share a connection between clients whatever their certificates are.
        options = (
            {}
            if self.is_lite
            else {"dedicated": True, "grpc_options": OWN_CHANNEL, **self._tls_options}
        )
        try:
            with translated(self.uri):
                return MilvusClient(
                    address, token=self._token, db_name=db_name, timeout=self.timeout, **options
                )
        except StoreUnavailable:
            problem = None if self.is_lite or self._answered else tls_problem(self.uri, self._tls)
            if problem:
                raise StoreRefused(f"no connection to Milvus at {self.uri}: {problem}") from None
            raise

    def _make_database(self) -> None:
        with self._lock, translated(self.uri):
            address = lite_address(Path(self.uri)) if self.is_lite else self.uri
            client = self._client_of(address, "")
            try:
                if self._db_name not in client.list_databases(timeout=self.timeout):
                    client.create_database(self._db_name, timeout=self.timeout)
            except Exception as error:
                raise StoreError(
                    f"Milvus at {self.uri} has no database {self._db_name!r} and does not let us "
                    f"make it ({translate(error, self.uri)}); make it there, or give another "
                    "--milvus-db"
                ) from error
            finally:
                client.close()

    def _retire(self, client: MilvusClient | None) -> None:
        """Use a client no more. A connection that leads nowhere says nothing, and gRPC would keep
        it for minutes after the server can be reached again. Other threads may yet wait for an
        answer of it, so it is closed later."""
        now = time.monotonic()
        with self._lock:
            if client is not None and self._client is client:
                self._client = None
                self._retired.append((now + RETIRED_S, client))
            due = [old for until, old in self._retired if until < now]
            self._retired = [(until, old) for until, old in self._retired if until >= now]
        for old in due:
            old.close()

    def _forget(self, client: MilvusClient | None) -> None:
        """Close a client, and use it no more if it is the one in use."""
        with self._lock:
            if self._client is client:
                self._client = None
        if client is not None:
            client.close()
