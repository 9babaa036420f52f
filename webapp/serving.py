"""Listen, say where, and serve until Ctrl+C."""

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.types import ASGIApp

from configs.settings import ServerSettings
from embeddings.errors import EncoderError, first_line
from milvus.errors import CollectionMissing, StoreError, StoreUnavailable
from webapp.accounts import Accounts
from webapp.announcing import ALL_ADDRESSES, is_local, lan_address, say, say_qr, shown_address
from webapp.api import build_api
from webapp.bodies import BodyLimit
from webapp.errors import CannotListen
from webapp.gate import PageGate
from webapp.headers import SafeHeaders
from webapp.http_server import BoundedServer
from webapp.indexing import Indexing
from webapp.limits import SearchLimits
from webapp.media import Thumbnails
from webapp.open_requests import OpenRequests
from webapp.paths import PlainPaths
from webapp.proxy import Forwarded, RootPath, known_proxies
from webapp.search import SearchService
from webapp.sign_in_form import SIGN_IN, SIGN_OUT
from webapp.signing_in import SignIn
from webapp.sites import LOOPBACK, OwnSite

# Where Gradio's routes are; ours are asked for their own.
GRADIO_FOLDERS = {"gradio_api", "assets", "static", "config"}
# Until then the model is not needed.
LOOK_AGAIN_S = 3.0


def listen(settings: ServerSettings) -> socket.socket:
    """A listening socket. Raises CannotListen with the reason."""
    host = ALL_ADDRESSES if settings.lan else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; without it, each answer waits
    # 40 ms for the client's acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"cannot listen on {host} port {settings.port}: "
            f"{(error.strerror or str(error)).lower()}; give another --port or --host"
        ) from error
    return listener


def serve(
    service: SearchService,
    thumbnails: Thumbnails,
    listener: socket.socket,
    settings: ServerSettings,
    indexing: Indexing,
    accounts: Accounts | None,
    *,
    index_type: Callable[[], str],
    metric_type: str,
    top_k: int,
    max_query_chars: int,
    max_upload_bytes: int,
) -> bool:
    """Serve page and API until Ctrl+C; whether the model was still being loaded then."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", _private_folder())
    if settings.mcp and find_spec("mcp") is None:
        raise CannotListen("--mcp needs a package that is not installed; run: pip install mcp")
    from webapp.ui import build_page, mount_page

    app = build_api(
        service,
        thumbnails,
        indexing,
        index_type=index_type,
        metric_type=metric_type,
        default_top_k=top_k,
        max_query_chars=max_query_chars,
        max_upload_bytes=max_upload_bytes,
    )
    mount_page(app, build_page(service, max_query_chars), mcp=settings.mcp)
    close_rest_of_gradio(app, mcp=settings.mcp)
    _refuse_own_names(app, settings.root_path)
    server = BoundedServer(
        guarded(app, settings, accounts, max_upload_bytes, local=is_local(listener)),
        known_proxies(_proxies(settings)),
    )
    ended = threading.Event()
    warming = threading.Thread(target=_warm_up, args=(service, ended), name="warm-up", daemon=True)
    warming.start()
    _announce(listener, settings)
    try:
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
            server.run(sockets=[listener])
    finally:
        ended.set()
        indexing.close()  # once more: a second Ctrl+C leaves out the routes' own end
    return warming.is_alive()


def _private_folder() -> str:
    """Until the program ends. Gradio's usual one may have been made by any user of the machine, as
    a link to wherever."""
    folder = tempfile.mkdtemp(prefix="text-image-search-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def guarded(
    app: ASGIApp,
    settings: ServerSettings,
    accounts: Accounts | None,
    max_body_bytes: int,
    *,
    local: bool,
) -> ASGIApp:
    """The application behind everything that a request must pass, the last of it first."""
    app = SearchLimits(
        app, at_once=settings.max_concurrent, per_minute=settings.requests_per_minute
    )
    app = BodyLimit(app, max_body_bytes)
    if accounts:
        app = SignIn(
            app,
            accounts,
            idle_s=settings.session_idle_hours * 3600,
            longest_s=settings.session_hours * 3600,
        )
    alone = local and not (settings.share or settings.root_path)
    app = OwnSite(app, LOOPBACK | {settings.host.lower()} if alone else None)
    if prefix := settings.root_path.rstrip("/"):
        app = RootPath(app, prefix)
    return SafeHeaders(PlainPaths(Forwarded(OpenRequests(app), _proxies(settings))))


def _proxies(settings: ServerSettings) -> str:
    # The public link's tunnel ends on this machine and names its visitors as a proxy does.
    return settings.trusted_proxies if settings.root_path or settings.share else ""


def close_rest_of_gradio(app: FastAPI, *, mcp: bool) -> None:
    """Leave open what the page needs of the application that it is mounted with."""
    for route in app.routes:
        if isinstance(route, Mount):
            route.app = PageGate(route.app, mcp=mcp)


def _refuse_own_names(app: FastAPI, root_path: str) -> None:
    """Below ``/api``, ``/api/search`` could be meant with the root path or without it."""
    paths = [str(getattr(route, "path", "")) for route in app.routes]
    own = {path.split("/")[1] for path in (*paths, SIGN_IN, SIGN_OUT) if path}
    first = root_path.split("/")[1] if root_path else ""
    if first and first in own | GRADIO_FOLDERS:
        raise CannotListen(
            f"--root-path {root_path} begins like this program's own addresses; "
            "choose another, such as /pictures"
        )


def _announce(listener: socket.socket, settings: ServerSettings) -> None:
    address, port = shown_address(listener), listener.getsockname()[1]
    below = settings.root_path.rstrip("/")
    say(f"serving on {address}{below} (Ctrl+C ends)")
    if settings.lan:
        others = f"http://{lan_address()}:{port}{below}"
        say(f"for others on this network: {others}")
        say_qr(others)
    if settings.mcp:
        say(f"for language-model clients (MCP): {address}{below}/gradio_api/mcp/")
    if settings.share:
        say(f"public link: {_public_link(address, port)}")
    if (settings.share or not is_local(listener)) and not (settings.auth or settings.auth_file):
        say(
            "anyone who has that address can see these pictures; guard them with "
            "--auth user:password or --auth-file"
        )


def _public_link(address: str, port: int) -> str:
    import secrets

    from gradio.networking import setup_tunnel

    try:
        return setup_tunnel(
            address.removeprefix("http://").rpartition(":")[0],
            port,
            share_token=secrets.token_urlsafe(32),
            share_server_address=None,
            share_server_tls_certificate=None,
        )
    except Exception as error:  # Gradio raises whatever its tunnel's parts raise
        raise CannotListen(
            f"Gradio's public link could not be made ({first_line(error)}); go on without --share"
        ) from error


def _warm_up(service: SearchService, ended: threading.Event) -> None:
    """Load the model behind the page, as soon as something is indexed; what fails is told to
    whoever searches."""
    told = ""
    try:
        while not ended.is_set():
            try:
                service.warm_up()
                return
            except (CollectionMissing, StoreUnavailable) as error:
                # Something may be indexed soon, or the store come back.
                if isinstance(error, StoreUnavailable) and str(error) != told:
                    told = str(error)
                    say(f"image-search: {error}")
                ended.wait(LOOK_AGAIN_S)
    except (StoreError, EncoderError) as error:
        say(f"image-search: {error}")
    except Exception:
        # Ctrl+C may come while the model's modules are being imported, which then fails in any way.
        if not ended.is_set():
            raise
