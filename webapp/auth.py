"""One password before everything: page, API and pictures alike (HTTP Basic, RFC 7617)."""

import base64
import binascii
import hmac

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REALM = 'Basic realm="text-image-search", charset="UTF-8"'


class BasicAuth:
    """ASGI middleware around the whole application, so that no new route can be forgotten."""

    def __init__(self, app: ASGIApp, credentials: str) -> None:
        """``credentials`` is ``user:password``."""
        self._app = app
        self._expected = credentials.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._allows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = PlainTextResponse(
                "user name and password, please", 401, {"WWW-Authenticate": REALM}
            )
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _allows(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, encoded = given.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(decoded, self._expected)
