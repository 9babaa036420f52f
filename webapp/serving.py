"""Listen, say where, and serve until Ctrl+C."""

import contextlib
import os
import socket
import sys
import threading
from importlib.util import find_spec

import uvicorn

from configs.settings import ServerSettings
from embeddings.errors import EncoderError, first_line
from milvus.errors import CollectionMissing, StoreError
from webapp.api import build_api
from webapp.auth import BasicAuth
from webapp.errors import CannotListen
from webapp.indexing import Indexing
from webapp.media import Thumbnails
from webapp.search import SearchService

ALL_ADDRESSES = "0.0.0.0"
# Pages hold a stream open, which would keep the server from ending.
SHUTDOWN_S = 2


def listen(settings: ServerSettings) -> socket.socket:
    """A listening socket. Raises CannotListen with the reason."""
    host = ALL_ADDRESSES if settings.lan else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
    *,
    index_type: str,
    metric_type: str,
    top_k: int,
    max_query_chars: int,
    max_upload_bytes: int,
) -> bool:
    """Serve page and API until Ctrl+C; whether the model was still being loaded then."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
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
    guarded = BasicAuth(app, settings.auth.get_secret_value()) if settings.auth else app
    config = uvicorn.Config(
        guarded, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S, access_log=False
    )
    ended = threading.Event()
    warming = threading.Thread(target=_warm_up, args=(service, ended), name="warm-up", daemon=True)
    warming.start()
    _announce(listener, settings)
    try:
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        ended.set()
        indexing.close()  # once more: a second Ctrl+C leaves out the routes' own end
    return warming.is_alive()


def _announce(listener: socket.socket, settings: ServerSettings) -> None:
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == ALL_ADDRESSES else host
    shown = f"[{shown}]" if ":" in shown else shown
    _say(f"serving on http://{shown}:{port} (Ctrl+C ends)")
    if settings.lan:
        _say(f"for others on this network: http://{lan_address()}:{port}")
    if settings.mcp:
        _say(f"for language-model clients (MCP): http://{shown}:{port}/gradio_api/mcp/")
    if settings.share:
        _say(f"public link: {_public_link(shown, port)}")
    local = host.startswith("127.") or host == "::1"
    if (settings.share or not local) and not settings.auth:
        _say("anyone who has that address can see these pictures; --auth user:password guards them")


def lan_address() -> str:
    """This machine's address on the local network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _public_link(host: str, port: int) -> str:
    import secrets

    from gradio.networking import setup_tunnel

    try:
        return setup_tunnel(
            host,
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
    """Load the model behind the page; what fails is told to whoever searches."""
    try:
        service.warm_up()
    except CollectionMissing:
        return
    except (StoreError, EncoderError) as error:
        _say(f"image-search: {error}")
    except Exception:
        # Ctrl+C may come while the model's modules are being imported, which then fails in any way.
        if not ended.is_set():
            raise


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
