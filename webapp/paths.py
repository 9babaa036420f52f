"""Paths that mean one thing to a guard and another to a route are refused before both."""

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Starlette's routes end with ``$``, which matches before a last newline: /api/search%0A is a search
# to them. No address of ours has one of these.
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class PlainPaths:
    """ASGI middleware, the first of all guards: no control character in a path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not CONTROLS.search(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse({"error": "there is no such address"}, 404)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})
