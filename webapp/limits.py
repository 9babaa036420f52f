"""Bounds that keep a careless visitor from stopping the others: searches at once, and a minute."""

import asyncio
import re
from asyncio import Future
from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.addresses import Allowances, visitor
from webapp.answers import later
from webapp.proxy import own_path
from webapp.turns import Turns

# What costs the model's or the store's time, by path; pictures and the page's files do not.
ASKED = re.compile(r"/api/(search|stats|library(/.*)?)")
POSTED = re.compile(r"/gradio_api/mcp(/.*)?")
# Searches that wait for their turn, for each one that may run, and how long they do.
WAITING_EACH = 4
LONGEST_WAIT_S = 30.0


class SearchLimits:
    """ASGI middleware: so many searches run at once, and so many a minute come from one address.

    Others wait in turn, and answers of status 503 and 429 say when to come again.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        at_once: int,
        per_minute: int,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        """``per_minute`` 0 is no bound."""
        self._app = app
        self._turns = Turns(at_once, at_once * WAITING_EACH, longest_wait_s)
        self._allowances = Allowances(per_minute, per_minute / 60) if per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = visitor(scope)
        if not is_search(scope):
            await self._app(scope, receive, send)
        elif wait := self._wait(address):
            reason = f"too many searches from your address; try again in {wait} seconds"
            await later(429, wait, reason)(scope, receive, send)
        elif (messages := await _received(receive)) is None:
            pass  # the visitor left, or is answered already
        else:
            # After the whole request, what comes is that the visitor leaves.
            leaving = asyncio.ensure_future(receive())
            try:
                await self._in_turn(address, scope, _replayed(messages, leaving), send, leaving)
            finally:
                leaving.cancel()

    async def _in_turn(
        self, address: str, scope: Scope, receive: Receive, send: Send, leaving: Future[Message]
    ) -> None:
        if not await self._turns.take(address):
            reason = "too many searches at once; try again in a few seconds"
            await later(503, 5, reason)(scope, receive, send)
            return
        try:
            if not leaving.done():
                await self._app(scope, receive, send)
        finally:
            self._turns.give_back(address)

    def _wait(self, address: str) -> int:
        """Seconds until this address may search; 0 counts the search."""
        if self._allowances is None:
            return 0
        wait = self._allowances.wait(address)
        if not wait:
            self._allowances.take(address)
        return wait


def is_search(scope: Scope) -> bool:
    """Whether a request is counted as one."""
    if scope["type"] != "http":
        return False
    path = own_path(scope)
    posted = scope["method"] == "POST" and POSTED.fullmatch(path)
    return bool(ASKED.fullmatch(path) or posted)


async def _received(receive: Receive) -> deque[Message] | None:
    """The whole request, which ``BodyLimit`` bounds in size and time; None where it does not come.

    It is read before it takes a place: who sends slowly, or nothing, keeps nobody else waiting.
    """
    messages: deque[Message] = deque()
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
    return messages if messages[-1]["type"] == "http.request" else None


def _replayed(messages: deque[Message], leaving: Future[Message]) -> Receive:
    """Gives what was received, of which nothing is kept then, and what comes after it."""

    async def replay() -> Message:
        # Who waits for it may give up; it may be asked for again.
        return messages.popleft() if messages else await asyncio.shield(leaving)

    return replay
