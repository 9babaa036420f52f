import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from picture_server import PictureServer, png, serving

import indexer.fetch
from indexer.downloads import Downloads
from indexer.errors import IndexingError
from indexer.fetch import Limits, NotFetched, fetch
from indexer.name_lookup import is_public

LIMITS = Limits(max_bytes=200_000, seconds=5, retries=2, allow_private=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureServer]:
    monkeypatch.setattr(indexer.fetch, "BACKOFF_S", 0.01)
    with serving() as server:
        yield server


def got(url: str, limits: Limits = LIMITS) -> bytes:
    file = io.BytesIO()
    fetch(url, limits, file)
    return file.getvalue()


def refusal(url: str, limits: Limits = LIMITS) -> NotFetched:
    with pytest.raises(NotFetched) as caught:
        got(url, limits)
    return caught.value


def test_a_picture_and_its_type(server: PictureServer) -> None:
    file = io.BytesIO()
    assert fetch(server.url("picture/red"), LIMITS, file) == "image/png"
    assert file.getvalue() == png("red")
    assert got(server.url("to/127.0.0.1/picture/blue")) == png("blue")
    assert got(server.url("to/localhost/picture/blue")) == png("blue")


@pytest.mark.parametrize("path", ["busy/503", "busy/429", "lost"])
def test_what_passes_is_tried_again(server: PictureServer, path: str) -> None:
    assert got(server.url(path)) in (png("green"), png("blue"))
    assert server.asked[f"/{path}"] == 3
    server.asked.clear()
    assert refusal(server.url(path), Limits(retries=1, allow_private=True)).is_passing
    assert server.asked[f"/{path}"] == 2


def test_what_stays_is_not_tried_again(server: PictureServer) -> None:
    for path, said in (("status/404", "answered 404 Not Found"), ("status/403", "answered 403")):
        error = refusal(server.url(path))
        assert said in str(error)
        assert not error.is_passing
        assert server.asked[f"/{path}"] == 1


@pytest.mark.parametrize("path", ["huge", "announced"])
def test_what_is_too_large_is_not_read_to_its_end(server: PictureServer, path: str) -> None:
    assert "larger than 200000 bytes (--download-max-bytes)" in str(refusal(server.url(path)))
    assert server.asked[f"/{path}"] == 1


@pytest.mark.parametrize("path", ["slow", "silent"])
def test_what_takes_too_long_is_cut(server: PictureServer, path: str) -> None:
    start = time.monotonic()
    error = refusal(server.url(path), Limits(seconds=0.5, allow_private=True))
    assert "longer than 0.5 seconds (--download-timeout)" in str(error)
    assert error.is_passing
    assert time.monotonic() - start < 2


def test_a_name_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def ask(*_: object, **__: object) -> list[object]:
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    start = time.monotonic()
    error = refusal("http://pictures.example/a.png", Limits(seconds=0.5))
    over.set()
    assert "longer than 0.5 seconds (--download-timeout)" in str(error)
    assert time.monotonic() - start < 5


def test_where_nobody_listens() -> None:
    error = refusal("http://127.0.0.1:9/", Limits(retries=0, allow_private=True))
    assert str(error) == "the connection failed: Connection refused"
    assert error.is_passing


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("circle", "redirects more than 5 times"),
        ("file", "file:///etc/passwd is no http or https"),
        ("nowhere", "it redirects to 'http://[', which is no address"),
        ("negative", "the connection failed"),
    ],
)
def test_redirects_that_lead_nowhere(server: PictureServer, path: str, said: str) -> None:
    assert said in str(refusal(server.url(path)))


@pytest.mark.parametrize("url", ["ftp://host/a.png", "http://", "http://[::1", "http://h:99999/a"])
def test_addresses_that_are_none(url: str) -> None:
    assert "is no http or https address" in str(refusal(url))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that nobody signed, with its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost")
    both = ("-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", *options, *names, *both], check=True, capture_output=True)
    whole = tmp_path / "whole.pem"
    whole.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return whole


def test_https_checks_the_name_that_was_asked_for(
    server: PictureServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    once = Limits(seconds=1, retries=0, allow_private=True)

    def url(path: str, host: str) -> str:
        return server.url(path, host).replace("http:", "https:")

    assert "self-signed certificate" in str(refusal(url("picture", "localhost"), once))
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(indexer.fetch, "_tls", lambda: trusting)
    assert got(url("picture", "localhost"), once) == png()
    assert "127.0.0.1" in str(refusal(url("picture", "127.0.0.1"), once))
    assert "longer than 1 seconds" in str(refusal(url("slow", "localhost"), once))


def test_private_addresses_are_refused_before_they_are_asked(server: PictureServer) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "0.0.0.0"):
        url = f"http://{host}:{server.server_port}/picture"
        assert "not on the public internet (--allow-private-urls" in str(refusal(url, Limits()))
    assert not server.asked


def test_redirects_to_private_addresses_are_refused(
    server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.fetch, "is_public", lambda address: address == "127.0.0.1")
    assert got(server.url("picture"), Limits()) == png()
    error = refusal(server.url("to/127.0.0.2/picture"), Limits())
    assert "127.0.0.2 is at 127.0.0.2, which is not on the public" in str(error)
    assert not error.is_passing
    assert list(server.asked) == ["/picture", "/to/127.0.0.2/picture"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("5f00::1", False),
        ("3fff::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_downloads_are_kept(server: PictureServer, tmp_path: Path) -> None:
    downloads = Downloads(tmp_path / "downloads", LIMITS)
    url = server.url("picture/red")
    path = downloads.picture(url)
    assert (path.suffix, path.read_bytes()) == (".png", png("red"))
    assert downloads.picture(url) == path
    assert server.asked["/picture/red"] == 1
    path.unlink()
    assert downloads.picture(url) == path
    downloads.discard(url)
    assert list((tmp_path / "downloads").iterdir()) == []
    with pytest.raises(NotFetched):
        downloads.picture(server.url("status/404"))
    assert list((tmp_path / "downloads").iterdir()) == []


def test_downloads_that_cannot_be_kept(server: PictureServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexingError, match="cannot keep downloads in"):
        Downloads(tmp_path / "file" / "downloads", LIMITS).picture(server.url("picture"))
