"""What the page says when there is something the matter."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import expect
from support import BIN, run

HINT = "index-folder /path/to/your/photos"
SLOW_S = 10
SLOW = f"""
import time
import embeddings.load
load = embeddings.load.load_encoder
def slowly(*args, **kwargs):
    time.sleep({SLOW_S})
    return load(*args, **kwargs)
embeddings.load.load_encoder = slowly
"""
GONE = """
import embeddings.load
from embeddings.errors import WeightsNotFound
def gone(*args, **kwargs):
    raise WeightsNotFound("no weights of sample; put them back")
embeddings.load.load_encoder = gone
"""


def test_an_empty_store_says_how_to_index_and_finds_what_comes(
    visitor: Visitor, library: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    visitor.address = serve(tmp_path / "data")
    visitor.come()
    expect(visitor.page.get_by_text("Nothing is indexed yet")).to_be_visible()
    expect(visitor.page.get_by_text(HINT)).to_be_visible()
    visitor.search("lemon")
    expect(visitor.page.get_by_text("Nothing is indexed yet")).to_be_visible()
    assert run("index-folder", library, "--model", "sample", data=tmp_path / "data").code == 0
    visitor.expect_cards()  # without a reload


def test_a_store_that_is_away_is_told_and_tried_again(
    visitor: Visitor, tmp_path: Path, serve: Callable[..., str]
) -> None:
    visitor.address = serve(tmp_path / "data", "--milvus-uri", "http://127.0.0.1:9")
    visitor.come()
    expect(visitor.page.get_by_text("The store is not there")).to_be_visible()
    expect(visitor.page.get_by_text("No answer from Milvus at")).to_be_visible()
    visitor.search("lemon")
    with (
        visitor.page.expect_response("**/api/search"),
        visitor.page.expect_request("**/api/search"),
    ):
        expect(visitor.page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_server_that_went_is_told_and_found_again(
    visitor: Visitor, indexed: Path, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def start() -> "subprocess.Popen[str]":
        server = subprocess.Popen(
            [BIN / "image-search", "serve", "--port", str(port)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(indexed)},
        )
        assert server.stderr is not None
        assert any("serving on" in line for line in server.stderr)
        return server

    with start() as server:
        visitor.address = f"http://127.0.0.1:{port}"
        visitor.come("/?q=lemon")
        visitor.expect_cards()
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    visitor.search("banana")
    expect(visitor.page.get_by_text("The server does not answer")).to_be_visible()
    with start() as server:
        visitor.expect_cards()
        assert visitor.categories().count("banana") >= 14
        server.send_signal(signal.SIGTERM)


@pytest.fixture
def serve_with(indexed: Path) -> Iterator[Callable[[str], str]]:
    """Start the page's command after some lines of Python; its address."""
    servers: list[subprocess.Popen[str]] = []

    def start(lines: str) -> str:
        program = f"{lines}\nfrom webapp.cli import main\nmain(['serve', '--port', '0'])"
        server = subprocess.Popen(
            [BIN / "python", "-c", program],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(indexed)},
        )
        servers.append(server)
        assert server.stderr is not None
        line = next(line for line in server.stderr if "serving on" in line)
        found = re.search(r"http://\S+", line)
        assert found is not None
        return found[0]

    yield start
    for server in servers:
        with server:
            server.send_signal(signal.SIGTERM)


def test_the_page_is_there_before_the_model(
    visitor: Visitor, serve_with: Callable[[str], str]
) -> None:
    visitor.address = serve_with(SLOW)
    began = time.monotonic()
    visitor.come()
    banner = visitor.page.locator("#banner")
    expect(banner).to_have_text(re.compile("The model is being loaded. You can type already"))
    assert time.monotonic() - began < SLOW_S, "the page came no earlier than the model"
    visitor.search("a photo of a lemon")
    visitor.expect_cards()
    expect(banner).to_be_hidden()


def test_weights_that_went_are_told(visitor: Visitor, serve_with: Callable[[str], str]) -> None:
    visitor.address = serve_with(GONE)
    visitor.come()
    visitor.search("lemon")
    expect(visitor.page.get_by_text("The model is not there")).to_be_visible()
    expect(visitor.page.get_by_text("No weights of sample; put them back.")).to_be_visible()


def test_a_busy_server_is_waited_for(visitor: Visitor) -> None:
    answers = iter([429, 503])

    def refuse(route) -> None:  # type: ignore[no-untyped-def]
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, json={"error": "too many searches just now"})

    visitor.page.route("**/api/search", refuse)
    visitor.come("/?q=lemon")
    expect(visitor.page.get_by_text("Many are searching just now")).to_be_visible()
    visitor.expect_cards()


def test_more_results_that_do_not_come_leave_those_that_are_there(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    visitor.page.route("**/api/search", lambda route: route.abort())
    visitor.page.get_by_role("button", name="More results").click()
    expect(visitor.page.get_by_text("The server does not answer")).to_be_visible()
    visitor.expect_cards()
    visitor.page.unroute("**/api/search")
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.expect_cards(32)
    expect(visitor.page.get_by_text("The server does not answer")).to_be_hidden()
