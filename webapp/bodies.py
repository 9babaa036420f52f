"""No body is read further than it may be large, for longer than it may take, or beside too many."""

import asyncio
import contextlib

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.addresses import visitor
from webapp.answers import later
from webapp.held import HeldBody, HeldBytes

# A browser that is still sending shows no answer: of what is too large, so many times as much as
# is allowed is passed over, for so long.
PASSED_OVER = 10
PASSING_OVER_S = 10.0
# Bodies are in memory until they are answered, and most of them wait for a turn: so many of the
# largest at once, and so many of one address.
LARGEST_HELD = 10
LARGEST_HELD_EACH = 4
LATER_S = 5
# What is held is given back by then, whoever sends slowly or nothing more.
SENDING_S = 30.0


class BodyLimit:
    """ASGI middleware: answers 413 where a body is larger than ``most`` bytes, 408 where it does
    not come in time, and 503 where too much is held of others; counts what has arrived.

    Starlette's own limit leaves the answer to the application, and Gradio's makes a 500 of it.
    """

    def __init__(self, app: ASGIApp, most: int, *, sending_s: float = SENDING_S) -> None:
        self._app = app
        self._most = most
        self._sending_s = sending_s
        self._held = HeldBytes(most * LARGEST_HELD, most * LARGEST_HELD_EACH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most:
            if b"expect" not in headers:  # who asks first has sent nothing yet
                await self._pass_over(receive)
            await self._too_large()(scope, receive, send)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = HeldBody(self._held, visitor(scope))
        until = asyncio.get_running_loop().time() + self._sending_s
        whole, started, refused = False, False, False

        async def counting() -> Message:
            nonlocal whole, refused
            if refused:
                return {"type": "http.disconnect"}
            try:
                # After the body, what is waited for is that the visitor leaves.
                async with asyncio.timeout_at(None if whole else until):
                    message = await receive()
            except TimeoutError:
                refusal = self._too_slow()
            else:
                whole = not message.get("more_body")
                room = body.grow(len(message.get("body", b"")))
                if room and body.size <= self._most:
                    return message
                refusal = self._too_large() if body.size > self._most else _too_much_at_once()
            if not started:
                refused = True
                await refusal(scope, receive, send)
            return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        try:
            await self._app(scope, counting, unless_refused)
        except Exception:
            if not refused:  # after that, all the application can say is that the visitor left
                raise
        finally:
            body.give_back()

    def _too_large(self) -> JSONResponse:
        reason = f"the request is larger than {self._most / 1e6:g} MB; send less"
        return JSONResponse({"error": reason}, 413)

    def _too_slow(self) -> JSONResponse:
        reason = f"the request did not arrive within {self._sending_s:g} seconds; send it again"
        return JSONResponse({"error": reason}, 408)

    async def _pass_over(self, receive: Receive) -> None:
        left = self._most * PASSED_OVER
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASSING_OVER_S):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return


def _too_much_at_once() -> JSONResponse:
    reason = f"too much is being sent at once; try again in {LATER_S} seconds"
    return later(503, LATER_S, reason)
