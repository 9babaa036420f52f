"""Serve the encoder alone until Ctrl+C; the model is loaded meanwhile."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

import uvicorn
from starlette.types import ASGIApp

from embeddings.service import Vectorizer
from webapp.auth import BasicAuth

SHUTDOWN_S = 2


def serve_encoder(
    app: ASGIApp,
    loading: "Future[Vectorizer]",
    load: Callable[[], Vectorizer],
    listener: socket.socket,
    credentials: str | None,
) -> None:
    """Serve ``app``, and fill ``loading``. Raises what ``load`` raises."""
    guarded = BasicAuth(app, credentials) if credentials else app
    server = uvicorn.Server(
        uvicorn.Config(
            guarded, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S, access_log=False
        )
    )

    def fill() -> None:
        try:
            loading.set_result(load())
            _say(f"ready: {loading.result().encoder.model_id}")
        except Exception as error:
            loading.set_exception(error)
            server.should_exit = True

    threading.Thread(target=fill, name="loading", daemon=True).start()
    host, port = listener.getsockname()[:2]
    _say(f"serving on http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl+C ends)")
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
        server.run(sockets=[listener])
    if loading.done() and (error := loading.exception()):
        raise error


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
