"""How many requests one visitor has open."""

from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.addresses import Counts, visitor
from webapp.answers import later

EACH = 256
LATER_S = 5


class OpenRequests:
    """ASGI middleware: answers 503 to who has ``each`` requests open, such as streams.

    A server's connections are bounded by address, but those of a proxy stand for many visitors.
    """

    def __init__(self, app: ASGIApp, each: int = EACH) -> None:
        self._app = app
        self._each = each
        self._open = Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = visitor(scope)
        if self._open[address] >= self._each:
            reason = f"too many requests at once; try again in {LATER_S} seconds"
            await later(503, LATER_S, reason)(scope, receive, send)
            return
        self._open.change(address, 1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._open.change(address, -1)
