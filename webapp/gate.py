"""What of Gradio is open: the few routes that the page needs, and none that a release adds.

Its other routes fetch addresses and files, take uploads, or change the program. Gradio checks what
they are asked for, and had to be corrected there more than once; here they are simply not there.
"""

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.proxy import own_path

NAME = r"[A-Za-z0-9_-]+"
PAGE = re.compile(
    r"/|/(config|theme\.css|robots\.txt|favicon\.ico|manifest\.json)"
    # The page's scripts and styles: names of one kind, in folders of their own.
    rf"|/(assets|static)(/{NAME}(\.{NAME})*)+"
    # What the frame asks when it is shown. Functions are not called here: before one is, Gradio
    # opens whatever path or address an argument holds that looks like a file. The page and programs
    # ask the HTTP API.
    r"|/gradio_api/(info|startup-events|app_id|theme\.css|openapi\.json)"
    rf"|/gradio_api/heartbeat/{NAME}"
)
MCP = re.compile(r"/gradio_api/mcp(/[A-Za-z0-9_.-]*)*")


class PageGate:
    """ASGI middleware around Gradio's application: lets through what the page needs."""

    def __init__(self, app: ASGIApp, *, mcp: bool = False) -> None:
        self._app = app
        self._mcp = mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_open(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse({"error": "there is no such address"}, 404)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_open(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path = own_path(scope)
        return bool(PAGE.fullmatch(path) or (self._mcp and MCP.fullmatch(path)))
