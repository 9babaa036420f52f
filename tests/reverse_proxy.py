"""A small reverse proxy, as nginx or Caddy would be put before the server."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

# What belongs to one connection and is not handed on (RFC 9110, 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade"}


@contextlib.contextmanager
def reverse_proxy(upstream: str, prefix: str, *, strip: bool) -> Iterator[str]:
    """Serve ``upstream`` below ``prefix``, handed on with or without it; the proxy's address.

    It names its visitor and host as nginx does with the lines of ``docs/sharing.md``.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            if not self.path.startswith(prefix + "/"):
                self._answer(404, {}, b"another application")
                return
            path = self.path.removeprefix(prefix) if strip else self.path
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            headers["Host"] = headers["X-Forwarded-Host"] = self.headers["Host"]
            headers["X-Forwarded-Proto"] = "http"
            earlier = self.headers.get("X-Forwarded-For")
            own = self.headers.get("X-Test-Client", self.client_address[0])
            headers["X-Forwarded-For"] = f"{earlier}, {own}" if earlier else own
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = client.request(self.command, upstream + path, headers=headers, content=body)
            self._answer(answer.status_code, answer.headers, answer.content)

        do_GET = do_POST = do_HEAD = _forward  # noqa: N815

        def _answer(self, status: int, headers: Any, content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in (*HOP_BY_HOP, "content-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    client = httpx.Client(timeout=60)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()
