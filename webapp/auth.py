"""A password before everything: page, API and pictures alike (HTTP Basic, RFC 7617)."""

import base64
import binascii

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.addresses import visitor
from webapp.checking import PasswordChecks, Verdict

REALM = 'Basic realm="text-image-search", charset="UTF-8"'
MAX_CREDENTIALS = 4096


class BasicAuth:
    """ASGI middleware around the whole application, so that no new route can be forgotten."""

    def __init__(self, app: ASGIApp, checks: PasswordChecks) -> None:
        self._app = app
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        credentials = _credentials(scope)
        verdict = Verdict(401)
        if credentials is not None:
            verdict = await self._checks.judge(visitor(scope), credentials)
        if verdict.status == 200:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _refusal(verdict)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


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


def _refusal(verdict: Verdict) -> PlainTextResponse:
    if verdict.status == 401:
        return PlainTextResponse("user name and password, please", 401, {"WWW-Authenticate": REALM})
    return PlainTextResponse(
        f"{verdict.reason}; try again in {verdict.wait} seconds",
        verdict.status,
        {"Retry-After": str(verdict.wait)},
    )
