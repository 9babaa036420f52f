"""Other sites in a visitor's browser get nothing done here, and read nothing."""

import re

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.proxy import own_path

READING = ("GET", "HEAD", "OPTIONS")
OWN_SITE = ("same-origin", "none")
# What no link of another site leads to.
DATA = re.compile(r"/(api|media|gradio_api)(/.*)?")
DOCUMENTATION = "/api/docs"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OwnSite:
    """ASGI middleware: looks at Host, Origin and Sec-Fetch-Site, which browsers set by themselves.

    ``hosts`` are the names that the server answers to; None for any. A page of another site whose
    name leads to this machine (DNS rebinding) comes with that name as Host. What another site sends
    is refused, but for links to the page; programs, and browsers that do not say where a request
    comes from, send none of these headers and pass.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._unknown_host(headers)
        foreign = _is_foreign(headers)
        if not reason and foreign and not _may_read(scope, headers):
            reason = (
                "the request comes from a page of another site; behind a reverse proxy, let it "
                "hand on the Host header"
            )
        if reason and scope["type"] == "http":
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
        elif reason:
            await send({"type": "websocket.close", "code": 1008})
        elif foreign:
            # Without Origin, Gradio does not allow that site to read the answer.
            kept = [pair for pair in scope["headers"] if pair[0] != b"origin"]
            await self._app({**scope, "headers": kept}, receive, send)
        else:
            await self._app(scope, receive, send)

    def _unknown_host(self, headers: Headers) -> str:
        given = headers.getlist("host")
        if self._hosts is None or all(host_name(host) in self._hosts for host in given):
            return ""
        return (
            "this server answers to the names localhost and 127.0.0.1 only; serve with --lan, "
            "--host or, behind a reverse proxy, --root-path"
        )


def _may_read(scope: Scope, headers: Headers) -> bool:
    """Whether another site may send this: it cannot read the answer, but has it made and shown."""
    method = scope.get("method")
    if "sec-fetch-site" not in headers:
        return method in READING
    page = own_path(scope)
    return (
        method == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and (page == DOCUMENTATION or not DATA.fullmatch(page))
    )


def _is_foreign(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OWN_SITE
    origin = headers.get("origin")
    if origin is None:
        return False
    # X-Forwarded-Host is a known proxy's: anybody else's was taken away.
    own = [headers.get("host", ""), headers.get("x-forwarded-host", "").partition(",")[0].strip()]
    return origin.partition("://")[2].lower() not in [host.lower() for host in own if host]


def host_name(host: str) -> str:
    """A Host header without its port: ``[::1]:9099`` → ``::1``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".").lower()
