"""No request's body is read further than it may be large, whatever route it is for."""

import asyncio
import contextlib

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A browser that is still sending shows no answer: of what is too large, so many times as much as
# is allowed is passed over, for so long.
PASSED_OVER = 10
PASSING_OVER_S = 10.0


class BodyLimit:
    """ASGI middleware: answers 413 where a body is larger than ``most`` bytes.

    Starlette's own leaves the answer to the application, and Gradio's makes a 500 of it.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

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
        size, started, refused = 0, False, False

        async def counting() -> Message:
            nonlocal size, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most and not started:
                refused = True
                await self._too_large()(scope, receive, send)
                return {"type": "http.disconnect"}
            return message

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

    def _too_large(self) -> JSONResponse:
        reason = f"the request is larger than {self._most / 1e6:g} MB; send less"
        return JSONResponse({"error": reason}, 413)

    async def _pass_over(self, receive: Receive) -> None:
        left = self._most * PASSED_OVER
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASSING_OVER_S):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
