"""The page as a visitor uses it, for the browser tests."""

import re
from pathlib import Path
from urllib.parse import parse_qs, quote_plus, urlsplit

from playwright.sync_api import Locator, Page, expect

# The tests share two cores with servers and a browser.
PATIENCE_MS = 60_000
LOADED = """selector => [...document.querySelectorAll(selector)]
    .every(picture => picture.complete && picture.naturalWidth)"""

# The results are those of the address, whatever it shows large.
SETTLED = """count => {
    const address = new URLSearchParams(location.search);
    address.delete("show");
    const asked = address.size ? `?${address}` : "./";
    const results = document.querySelector("#results");
    return results.dataset.of === asked && results.children.length === count;
}"""


class Visitor:
    """One browser page with the words of a person for what is done on it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)

    def come(self, path: str = "/") -> "Visitor":
        self.page.goto(self.address + path)
        self.page.wait_for_selector("body[data-ready]")
        return self

    @property
    def box(self) -> Locator:
        return self.page.get_by_label("Search your pictures")

    def search(self, words: str) -> None:
        self.box.fill(words)
        self.page.keyboard.press("Enter")

    @property
    def cards(self) -> Locator:
        return self.page.locator("#results .card")

    def expect_cards(self, count: int = 16) -> None:
        """Wait for so many results of what the address asks for."""
        self.page.wait_for_function(SETTLED, arg=count)

    def found(self, words: str) -> list[str]:
        """The categories that a search of these words finds; waits for its own answer."""
        self.search(words)
        self.expect_asked(q=quote_plus(words))
        self.expect_cards()
        return self.categories()

    def categories(self) -> list[str]:
        return self.page.locator("#results .category").all_inner_texts()

    def scores(self) -> list[float]:
        return [float(text) for text in self.page.locator("#results .score").all_inner_texts()]

    def ids(self) -> list[str]:
        items = self.page.locator("#results li").all()
        return [item.get_attribute("data-id") or "" for item in items]

    def expect_loaded(self, selector: str = "#results img") -> None:
        self.page.locator(selector).last.scroll_into_view_if_needed()
        self.page.wait_for_function(LOADED, arg=selector)

    def asked(self) -> dict[str, list[str]]:
        """What the address asks for."""
        return parse_qs(urlsplit(self.page.url).query)

    def expect_asked(self, **wanted: str) -> None:
        for name, value in wanted.items():
            pattern = re.compile(rf"[?&]{name}={re.escape(value)}(&|$)")
            expect(self.page).to_have_url(pattern)

    def drop(self, picture: Path) -> None:
        """Drag a file from the desktop onto the page."""
        transfer = self.page.evaluate_handle(
            """([bytes, name]) => {
                const transfer = new DataTransfer();
                transfer.items.add(
                    new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
                return transfer;
            }""",
            [list(picture.read_bytes()), picture.name],
        )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event("#results", event, {"dataTransfer": transfer})

    def paste(self, picture: Path) -> None:
        """Paste a picture."""
        self.page.evaluate(
            """([bytes, name]) => {
                const transfer = new DataTransfer();
                transfer.items.add(
                    new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
                document.dispatchEvent(new ClipboardEvent(
                    "paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
            }""",
            [list(picture.read_bytes()), picture.name],
        )
