"""Behind a reverse proxy: the path that it serves this program under, and what it forwards."""

from collections.abc import Callable
from typing import Any, cast

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# What only a proxy may say of a visitor. The last one is Gradio's own.
FORWARDED = (b"forwarded", b"x-forwarded-", b"x-real-ip", b"x-gradio-server")


def own_path(scope: Scope) -> str:
    """A request's path below the root path: what the program's routes are named by."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def known_proxies(proxies: str) -> Callable[[str], bool]:
    """Whether an address is one of them; ``proxies`` as ``Forwarded`` takes them."""
    hosts = ProxyHeadersMiddleware(cast(Any, None), proxies).trusted_hosts
    return lambda host: host in hosts


class RootPath:
    """ASGI middleware: serves below ``prefix``, for proxies that strip it and those that do not."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """``prefix`` is as in ``/pictures``."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == self._prefix and scope["type"] == "http":
            # The page's addresses are relative to a folder.
            await RedirectResponse(self._prefix + "/")(scope, receive, send)
            return
        below = dict(scope, root_path=self._prefix)
        if not path.startswith(self._prefix + "/"):
            below["path"] = self._prefix + path
            below["raw_path"] = self._prefix.encode() + scope.get("raw_path", b"")
        await self._app(below, receive, send)


class Forwarded:
    """ASGI middleware: believes X-Forwarded-For, -Proto and -Host of known proxies alone.

    What anybody else sends under these names is taken away, so that nobody comes under another's
    address, and Gradio makes no address of it.
    """

    def __init__(self, app: ASGIApp, proxies: str) -> None:
        """``proxies`` are addresses and networks with commas between; empty for none."""
        self._app = app
        self._believing = ProxyHeadersMiddleware(cast(Any, app), proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if client and client[0] in self._believing.trusted_hosts:
            await self._believing(cast(Any, scope), cast(Any, receive), cast(Any, send))
            return
        headers = [(name, value) for name, value in scope["headers"] if not _is_forwarded(name)]
        await self._app({**scope, "headers": headers}, receive, send)


def _is_forwarded(name: bytes) -> bool:
    return name.lower().startswith(FORWARDED)
