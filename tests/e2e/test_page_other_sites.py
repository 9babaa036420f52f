"""A page of another site in a visitor's browser: what it shows of ours, and what it links to."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from page_driver import Visitor
from playwright.sync_api import Browser

PAGE = """<!doctype html><title>other</title>
<img id="picture" src="{address}{picture}">
<img id="search" src="{address}/api/search?q=lemon">
<a id="link" href="{address}/?q=lemon">pictures</a>
<iframe id="frame" src="{address}/"></iframe>"""


@pytest.fixture
def other_site(address: str, tmp_path: Path) -> Iterator[str]:
    """A site of another name that shows a picture of ours, and the page in a frame."""
    hits = httpx.get(f"{address}/api/search?q=lemon", timeout=120).json()["hits"]
    page = PAGE.format(address=address, picture=hits[0]["image_url"])
    (tmp_path / "index.html").write_text(page)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"  # ours is 127.0.0.1 to this browser
        server.shutdown()
        thread.join()


def test_another_site_shows_nothing_of_ours_and_may_link_to_it(
    browser: Browser, other_site: str, address: str
) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    visitor = Visitor(page, address)
    statuses: dict[str, int] = {}
    page.on("response", lambda answer: statuses.update({answer.url: answer.status}))
    page.goto(other_site, wait_until="load")
    shown = "id => document.getElementById(id).naturalWidth"
    assert [page.evaluate(shown, name) for name in ("picture", "search")] == [0, 0]
    assert {status for url, status in statuses.items() if url.startswith(address)} <= {403}
    assert page.frames[1].locator("#query").count() == 0
    page.click("#link")
    page.wait_for_selector("body[data-ready]")
    visitor.expect_cards()
    page.reload()
    page.wait_for_selector("body[data-ready]")
    visitor.expect_cards()
    context.close()


def test_a_visitor_opens_and_saves_pictures(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    hits = httpx.get(f"{visitor.address}/api/search?q=lemon", timeout=120).json()["hits"]
    path = hits[0]["image_url"]
    with visitor.page.context.expect_page() as opened:
        visitor.page.evaluate("path => void window.open(path, '_blank', 'noopener')", path)
    opened.value.wait_for_load_state()
    assert opened.value.locator("img").evaluate("img => img.naturalWidth") > 0
    with visitor.page.expect_download() as saved:
        visitor.page.evaluate(
            """path => {
                const link = document.createElement("a");
                link.href = path; link.download = "picture.jpg";
                document.body.append(link); link.click();
            }""",
            path,
        )
    assert saved.value.failure() is None
    assert Path(saved.value.path()).read_bytes() == Path(hits[0]["path"]).read_bytes()
