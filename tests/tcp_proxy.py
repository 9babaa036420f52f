"""A TCP proxy before a Milvus server that a test makes misbehave: gRPC speaks HTTP/2 through it."""

import contextlib
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

# The client's first bytes are no frame (RFC 9113, 3.4).
PREFACE = 24
FRAME_HEADER = 9
DATA, HEADERS = 0, 1
# With it closing a socket sends a reset.
RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Listens on a port of its own and hands on to a server, until it is told otherwise."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, parts.port or 80)
        self._listener = _listening(0)
        self._port = self._listener.getsockname()[1]
        self._open: set[_Pair] = set()
        self._lock = threading.Lock()
        self._healed = threading.Event()
        self.delay = 0.0
        """Seconds by which answers are late, until ``heal``."""
        self.swallows = False
        self.cut_above = 0
        """The next request of more bytes than this is cut in the middle; 0 for none."""
        self.lose_above = 0
        """The server does the next request of more bytes than this, and its answer is lost."""
        self.happened = threading.Event()
        """Set when a request was cut, or an answer lost or kept back."""
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def address(self) -> str:
        """What a client is given in place of the server's address."""
        return f"http://127.0.0.1:{self._port}"

    def refuse(self) -> None:
        """Reset all connections, and refuse new ones."""
        _close(self._listener)
        self.reset()

    def reset(self) -> None:
        """Reset all connections; new ones are welcome."""
        with self._lock:
            pairs, self._open = self._open, set()
        for pair in pairs:
            pair.reset()

    def swallow(self) -> None:
        """From now on no byte arrives anywhere, as behind a cable that was pulled. The connections
        of this moment stay so for ever; new ones until ``heal``."""
        self.swallows = True
        with self._lock:
            for pair in self._open:
                pair.is_dead = True

    def heal(self) -> None:
        """Hand on again, without any delay."""
        self.delay, self.swallows = 0.0, False
        self._healed.set()
        self._healed = threading.Event()
        if self._listener.fileno() == -1:
            self._listener = _listening(self._port)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.heal()
        self.refuse()

    def wait(self) -> None:
        """Keep an answer back for the delay, or until ``heal``."""
        if self.delay:
            self.happened.set()
            self._healed.wait(self.delay)

    def forget(self, pair: "_Pair") -> None:
        """A connection has ended."""
        with self._lock:
            self._open.discard(pair)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream, timeout=10)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            pair = _Pair(self, client, server)
            pair.is_dead = self.swallows
            with self._lock:
                self._open.add(pair)
            pair.start()


class _Pair:
    """One connection and its continuation to the server."""

    def __init__(self, proxy: TcpProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.is_dead = False
        self._asked: dict[int, int] = defaultdict(int)
        """Bytes of each request so far, by its stream."""
        self._lost: int | None = None
        """The stream whose answer is not to arrive."""

    def start(self) -> None:
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._run, args=(pump,), daemon=True).start()

    def reset(self) -> None:
        _reset(self._client)
        _close(self._server)

    def _run(self, pump: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            pump()
        self.reset()
        self._proxy.forget(self)

    def _requests(self) -> None:
        for raw, kind, stream in _frames(self._client, PREFACE):
            if kind == DATA:
                self._asked[stream] += len(raw) - FRAME_HEADER
                asked = self._asked[stream]
                if self._proxy.cut_above and asked > self._proxy.cut_above:
                    self._proxy.cut_above = 0
                    self._server.sendall(raw[: len(raw) // 2])
                    self._proxy.happened.set()
                    return
                if self._proxy.lose_above and asked > self._proxy.lose_above:
                    self._proxy.lose_above = 0
                    self._lost = stream
            if not self.is_dead:
                self._server.sendall(raw)

    def _answers(self) -> None:
        for raw, kind, stream in _frames(self._server, 0):
            self._proxy.wait()
            if kind == HEADERS and stream == self._lost:
                self._proxy.happened.set()
                return
            if not self.is_dead:
                self._client.sendall(raw)


def _frames(source: socket.socket, skip: int) -> Iterator[tuple[bytes, int, int]]:
    """HTTP/2 frames as they are, with type and stream; what is before the first counts as type -1.

    Ends with the connection.
    """
    buffer = b""
    while received := source.recv(1 << 16):
        buffer += received
        if skip:
            if len(buffer) < skip:
                continue
            yield buffer[:skip], -1, 0
            buffer, skip = buffer[skip:], 0
        while len(buffer) >= FRAME_HEADER:
            whole = FRAME_HEADER + int.from_bytes(buffer[:3], "big")
            if len(buffer) < whole:
                break
            yield buffer[:whole], buffer[3], int.from_bytes(buffer[5:9], "big")
            buffer = buffer[whole:]


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(32)
    return listener


def _reset(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    _close(peer)


def _close(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RD)  # wakes who waits for it, and tells the other side nothing
    peer.close()
