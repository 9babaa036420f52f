"""uvicorn as our commands run it: bounded in connections and open files, and quiet."""

import asyncio
import contextlib
import functools
import logging
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from webapp.announcing import say
from webapp.connections import BoundedProtocol, Connections
from webapp.opened import AnswerCut

# Connections; a browser opens six, and thirty people may share an address.
MOST = 1024
EACH_SHARE = 4
FEWEST = 16
# So many open files are the program's own: the store's, the model's, those of connections that are
# being taken up. A request may open two beside its connection.
OWN_FILES = 128
FILES_EACH = 3
WANTED_FILES = OWN_FILES + FILES_EACH * MOST
# Of connections that wait, asyncio takes up so many before it looks at any; where it finds no
# descriptor for the first, it tries, and tells of, each of the others, too.
TAKEN_UP_AT_ONCE = 16
WAITING = 1024
# Pages hold a stream open, which would keep the server from ending.
SHUTDOWN_S = 2
SAID_AGAIN_S = 60.0


class BoundedServer(uvicorn.Server):
    """A server for connections that are counted."""

    def __init__(self, app: ASGIApp, is_proxy: Callable[[str], bool] = lambda host: False) -> None:
        """``is_proxy`` tells the addresses that stand for many visitors."""
        most = max(FEWEST, min(MOST, (open_files() - OWN_FILES) // FILES_EACH))
        bounds = Connections(most, max(FEWEST, most // EACH_SHARE), is_proxy)
        super().__init__(
            uvicorn.Config(
                app,
                http=cast(Any, functools.partial(BoundedProtocol, bounds)),
                ws="none",
                loop="asyncio",
                backlog=TAKEN_UP_AT_ONCE,
                log_level="error",  # visitors cause warnings, as many as they like
                timeout_graceful_shutdown=SHUTDOWN_S,
                access_log=False,
                proxy_headers=False,  # Forwarded looks at them
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._said = -SAID_AGAIN_S

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        asyncio.get_running_loop().set_exception_handler(self._quietly)
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(WAITING)

    def _quietly(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "accept() out of system resource" not in context["message"]:
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said >= SAID_AGAIN_S:
            self._said = time.monotonic()
            say(
                "no connection can be taken up just now: this program has too many files open; "
                "raise the limit (ulimit -n)"
            )


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn writes a traceback for what is ended on purpose, too: a file's answer, or all that
    are not done when the server has to end."""
    on_purpose = (AnswerCut, asyncio.CancelledError)
    return not (record.exc_info and isinstance(record.exc_info[1], on_purpose))


def open_files() -> int:
    """How many this process may have, after asking for as many as all connections need."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return WANTED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    with contextlib.suppress(ValueError, OSError):  # a system may allow less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
