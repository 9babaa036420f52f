"""Serve the encoder alone until Ctrl+C; the model is loaded meanwhile."""

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future

from starlette.types import ASGIApp

from embeddings.service import Vectorizer
from webapp.accounts import Accounts
from webapp.announcing import say, shown_address
from webapp.auth import BasicAuth
from webapp.bodies import BodyLimit
from webapp.checking import PasswordChecks
from webapp.http_server import BoundedServer

# An indexer sends many pictures at once, maybe over a slow line; it waits as long for answers.
SENDING_S = 300.0


def serve_encoder(
    app: ASGIApp,
    loading: "Future[Vectorizer]",
    load: Callable[[], Vectorizer],
    listener: socket.socket,
    accounts: Accounts | None,
    max_body_bytes: int,
) -> None:
    """Serve ``app``, and fill ``loading``. Raises what ``load`` raises."""
    bounded = BodyLimit(app, max_body_bytes, sending_s=SENDING_S)
    server = BoundedServer(BasicAuth(bounded, PasswordChecks(accounts)) if accounts else bounded)

    def fill() -> None:
        try:
            loading.set_result(load())
            say(f"ready: {loading.result().encoder.model_id}")
        except Exception as error:
            loading.set_exception(error)
            server.should_exit = True

    threading.Thread(target=fill, name="loading", daemon=True).start()
    say(f"serving on {shown_address(listener)} (Ctrl+C ends)")
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
        server.run(sockets=[listener])
    if loading.done() and (error := loading.exception()):
        raise error
