"""A password before everything: page, API and pictures alike (HTTP Basic, RFC 7617)."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.accounts import Accounts
from webapp.addresses import Allowances, visitor

REALM = 'Basic realm="text-image-search", charset="UTF-8"'
# Browsers send the password with each of a page's pictures; checking a hash takes long on purpose.
REMEMBERED_S = 600.0
MOST_REMEMBERED = 4096
# Hashes that are checked at once, each with some 32 MiB, and how many wait for that.
CHECKED_AT_ONCE = 2
MOST_WAITING = 128
# Different wrong passwords from one address: so many at once, then one in so many seconds.
GUESSES = 10
SECONDS_A_GUESS = 6.0
# Who goes on guessing all the same is no longer told of a right password either.
MOST_PRESSING = 100
MAX_CREDENTIALS = 4096


class BasicAuth:
    """ASGI middleware around the whole application, so that no new route can be forgotten.

    What was found of some credentials is remembered for a while, by address, as an HMAC with a key
    of this process: a right password is checked once and not for every picture, and a program that
    repeats a wrong one is refused without guessing anything. Addresses that try many different
    passwords are slowed down, and no others.
    """

    def __init__(
        self, app: ASGIApp, accounts: Accounts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._checking: dict[bytes, asyncio.Future[bool]] = {}
        self._guesses = Allowances(GUESSES, 1 / SECONDS_A_GUESS, debt=MOST_PRESSING, clock=clock)
        self._threads = ThreadPoolExecutor(CHECKED_AT_ONCE, "passwords")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        credentials = _credentials(scope)
        if credentials is None:
            return _unauthorized()
        self._accounts.refresh()
        address = visitor(scope)
        tag = self._tag(address, credentials)
        told = self._recall(tag)
        if told is True and self._guesses.level(address) > 1 - MOST_PRESSING:
            return None
        if told is False:
            return _unauthorized()
        if wait := self._guesses.wait(address):
            self._guesses.take(address)
            return _later(429, wait, "too many wrong passwords from this address")
        if tag not in self._checking and len(self._checking) >= MOST_WAITING:
            return _later(503, 5, "too many passwords to check at once")
        return None if await self._check(tag, address, credentials) else _unauthorized()

    async def _check(self, tag: bytes, address: str, credentials: str) -> bool:
        # A page asks for its pictures all at once: they wait for one check.
        checking = self._checking.get(tag)
        if checking is None:
            loop = asyncio.get_running_loop()
            checking = loop.run_in_executor(self._threads, self._accounts.admits, credentials)
            self._checking[tag] = checking
            checking.add_done_callback(lambda done: self._note(tag, address, done))
        return await asyncio.shield(checking)

    def _note(self, tag: bytes, address: str, done: "asyncio.Future[bool]") -> None:
        self._checking.pop(tag, None)
        if done.cancelled() or done.exception():
            return
        if not done.result():
            self._guesses.take(address)
        self._remembered[tag] = (done.result(), self._clock() + REMEMBERED_S)
        self._remembered.move_to_end(tag)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    def _recall(self, tag: bytes) -> bool | None:
        right, until = self._remembered.get(tag, (None, 0.0))
        return right if self._clock() < until else None

    def _tag(self, address: str, credentials: str) -> bytes:
        text = f"{self._accounts.version}\0{address}\0{credentials}"
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


def _credentials(scope: Scope) -> str | None:
    """``user:password`` as it was sent, or None."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, encoded = given.partition(b" ")
    if scheme.lower() != b"basic" or len(encoded) > MAX_CREDENTIALS:
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return decoded if ":" in decoded else None


def _unauthorized() -> PlainTextResponse:
    return PlainTextResponse("user name and password, please", 401, {"WWW-Authenticate": REALM})


def _later(status: int, seconds: int, reason: str) -> PlainTextResponse:
    return PlainTextResponse(
        f"{reason}; try again in {seconds} seconds", status, {"Retry-After": str(seconds)}
    )
