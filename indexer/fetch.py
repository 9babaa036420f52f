"""Fetch what an http(s) URL leads to, with limits, and from addresses that were looked at first.

Whoever wrote the list of URLs may not be who owns the network that they are fetched from. So each
host, that of every redirect too, is looked up once; unless all its addresses are public it is
refused, and the connection is made to the addresses that were looked at. For the same reason no
proxy is asked: it would look hosts up itself.
"""

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from indexer.name_lookup import is_public, look_up

MAX_REDIRECTS = 5
BACKOFF_S = 0.5
CHUNK = 1 << 16

HEADERS = {
    "User-Agent": "text-image-search",
    "Accept": "image/*, */*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Limits:
    """What a download may cost, and where it may lead."""

    max_bytes: int = 50_000_000
    seconds: float = 30.0
    """From the first attempt to the end of the last."""
    retries: int = 2
    """After lost connections, and answers that say: later."""
    allow_private: bool = False
    """Whether addresses of this machine and of its networks are allowed."""


class NotFetched(Exception):
    """Why a URL's content could not be had."""

    def __init__(self, reason: str, is_passing: bool = False) -> None:
        super().__init__(reason)
        self.is_passing = is_passing
        """Whether it may be had another time."""


def fetch(url: str, limits: Limits, file: BinaryIO) -> str:
    """Write a URL's content into an empty file; its media type. Raises NotFetched or OSError."""
    deadline = time.monotonic() + limits.seconds
    for attempt in range(limits.retries + 1):
        try:
            return _follow(url, limits, deadline, file)
        except NotFetched as error:
            pause = BACKOFF_S * 2**attempt
            is_last = attempt == limits.retries or time.monotonic() + pause > deadline
            if is_last or not error.is_passing:
                raise
            time.sleep(pause)
            file.seek(0)
            file.truncate()
    raise AssertionError("unreachable")


def _follow(url: str, limits: Limits, deadline: float, file: BinaryIO) -> str:
    for _ in range(MAX_REDIRECTS + 1):
        parts = _parts(url)
        with _answer(parts, limits, deadline) as answer:
            if answer.status not in REDIRECTS:
                for chunk in _content(answer, limits, deadline):
                    file.write(chunk)
                return answer.headers.get_content_type()
            url = _joined(url, answer.headers.get("Location", ""))
    raise NotFetched(f"it redirects more than {MAX_REDIRECTS} times")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise NotFetched(f"it redirects to {location[:200]!r}, which is no address") from error


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise NotFetched(f"{url[:200]} is no http or https address")
    return parts


@contextlib.contextmanager
def _answer(
    parts: SplitResult, limits: Limits, deadline: float
) -> Iterator[http.client.HTTPResponse]:
    """One request's answer."""
    with contextlib.ExitStack() as stack:
        with _telling(limits, deadline):
            peer = stack.enter_context(_connected(parts, limits.allow_private, deadline))
            stack.enter_context(_cut_at(deadline, peer))
            if isinstance(peer, ssl.SSLSocket):
                peer.do_handshake()  # only now, so that it, too, is cut at the deadline
            connection = http.client.HTTPConnection(
                parts.hostname or "", parts.port or PORTS[parts.scheme]
            )
            connection.sock = peer
            target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
            query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
            name = parts.netloc.rpartition("@")[2].encode("idna").decode("ascii")
            connection.request(
                "GET", f"{target}?{query}" if query else target, headers={"Host": name, **HEADERS}
            )
            answer = stack.enter_context(contextlib.closing(connection.getresponse()))
        yield answer


@contextlib.contextmanager
def _telling(limits: Limits, deadline: float) -> Iterator[None]:
    """Turn the network's errors into NotFetched."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        _check_time(deadline, limits)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotFetched(f"the connection failed: {reason}", is_passing=True) from error


def _content(answer: http.client.HTTPResponse, limits: Limits, deadline: float) -> Iterator[bytes]:
    if answer.status != HTTPStatus.OK:
        later = answer.status >= 500 or answer.status == HTTPStatus.TOO_MANY_REQUESTS
        raise NotFetched(f"the server answered {answer.status} {answer.reason}".strip(), later)
    size, saved = answer.length or 0, 0
    while True:
        if max(size, saved) > limits.max_bytes:
            raise NotFetched(f"it is larger than {limits.max_bytes} bytes (--download-max-bytes)")
        with _telling(limits, deadline):
            chunk = answer.read(CHUNK)
        if not chunk:
            break
        saved += len(chunk)
        yield chunk
    # A connection that is cut looks like the end of an answer.
    _check_time(deadline, limits)
    if answer.length:
        raise NotFetched("the connection was lost in the middle", is_passing=True)


def _check_time(deadline: float, limits: Limits) -> None:
    if time.monotonic() >= deadline:
        raise NotFetched(
            f"it took longer than {limits.seconds:g} seconds (--download-timeout)",
            is_passing=True,
        )


def _connected(parts: SplitResult, allow_private: bool, deadline: float) -> socket.socket:
    """A connection to the first address that answers; for https, the handshake is still to do."""
    host = parts.hostname or ""
    failure: OSError = OSError("no address")
    port = parts.port or PORTS[parts.scheme]
    for address in _addresses(host, port, allow_private, _left(deadline)):
        try:
            peer = socket.create_connection((address, port), _left(deadline))
        except OSError as error:
            failure = error
            continue
        peer.settimeout(None)  # the deadline cuts it
        if parts.scheme == "http":
            return peer
        return _tls().wrap_socket(peer, server_hostname=host, do_handshake_on_connect=False)
    raise failure


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    """Seconds until then; never nought, which sockets take for: do not wait."""
    return max(deadline - time.monotonic(), 0.001)


def _addresses(host: str, port: int, allow_private: bool, seconds: float) -> list[str]:
    found = look_up(host, port, seconds)
    for address in found:
        if not (allow_private or is_public(address)):
            raise NotFetched(
                f"{host} is at {address}, which is not on the public internet "
                "(--allow-private-urls permits it)"
            )
    return found


@contextlib.contextmanager
def _cut_at(deadline: float, peer: socket.socket) -> Iterator[None]:
    """Cut a connection at a time, whatever it is waiting for."""

    def cut() -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(peer, socket.SHUT_RDWR)

    timer = threading.Timer(_left(deadline), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
