"""A web server of pictures that are slow, huge, lost, redirected, or no pictures at all."""

import contextlib
import io
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from PIL import Image


def png(colour: str = "red") -> bytes:
    """A picture's bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


class PictureServer(ThreadingHTTPServer):
    """On a free port of 127.0.0.1; ``asked`` counts the requests by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()
        self.stopping = threading.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}/{quote(path)}"


class _Handler(BaseHTTPRequestHandler):
    server: PictureServer

    def do_GET(self) -> None:
        name, _, rest = self.path.lstrip("/").partition("/")
        self.server.asked[self.path] += 1
        with contextlib.suppress(OSError):
            getattr(self, name.replace("-", "_"), self.missing)(rest)

    def picture(self, colour: str) -> None:
        self._answer(200, png(colour or "red"), "image/png")

    def page(self, rest: str) -> None:
        self._answer(200, b"<html>no picture</html>", "text/html")

    def huge(self, rest: str) -> None:
        """Says nothing of its length, and does not end."""
        self._begin(200)
        while not self.server.stopping.is_set():
            self.wfile.write(bytes(1 << 16))

    def announced(self, rest: str) -> None:
        self._begin(200, **{"Content-Length": str(1 << 40)})

    def slow(self, rest: str) -> None:
        """A byte now and then, as if it were the whole of an answer."""
        self._begin(200, **{"Content-Type": "image/png"})
        for byte in png():
            if self.server.stopping.wait(0.2):
                return
            self.wfile.write(bytes([byte]))

    def silent(self, rest: str) -> None:
        self.server.stopping.wait(60)

    def lost(self, rest: str) -> None:
        """Ends in the middle, and works from the third time on."""
        if self.server.asked[self.path] < 3:
            self._begin(200, **{"Content-Length": "1000"})
            self.wfile.write(b"half")
        else:
            self.picture("blue")

    def busy(self, rest: str) -> None:
        """Fails as ``rest`` says, and works from the third time on."""
        if self.server.asked[self.path] < 3:
            self._answer(int(rest), b"later", "text/plain")
        else:
            self.picture("green")

    def status(self, rest: str) -> None:
        self._answer(int(rest), b"no", "text/plain")

    def to(self, rest: str) -> None:
        """Redirects: the rest is the host, with ``/`` the path."""
        host, _, path = rest.partition("/")
        self._begin(302, Location=self.server.url(path, host))

    def circle(self, rest: str) -> None:
        self._begin(302, Location="/circle")

    def file(self, rest: str) -> None:
        self._begin(302, Location="file:///etc/passwd")

    def nowhere(self, rest: str) -> None:
        self._begin(302, Location="http://[")

    def negative(self, rest: str) -> None:
        """Says that a part of the answer has a length below nothing."""
        self._begin(200, **{"Transfer-Encoding": "chunked"})
        self.wfile.write(b"-5\r\nhello\r\n0\r\n\r\n")

    def missing(self, rest: str) -> None:
        self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, media_type: str) -> None:
        self._begin(status, **{"Content-Type": media_type, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[PictureServer]:
    """A running server."""
    with PictureServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()
