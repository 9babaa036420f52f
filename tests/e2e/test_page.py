"""The page in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

LOADED = (
    "() => [...document.querySelectorAll('#results img')].every(i => i.complete && i.naturalWidth)"
)


@pytest.fixture(scope="module")
def address(indexed: Path, serve: Callable[..., str]) -> str:
    return serve(indexed)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield page
    context.close()


def search(page: Page, words: str) -> None:
    page.get_by_label("Search your pictures").fill(words)
    page.keyboard.press("Enter")


def categories(page: Page) -> list[str]:
    expect(page.locator("#results .card")).to_have_count(16)
    return page.locator("#results .category").all_inner_texts()


def test_words_find_sixteen_pictures(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_text("300 pictures are ready")).to_be_visible()
    search(page, "a photo of a lemon")
    assert categories(page).count("lemon") >= 14
    expect(page.locator("#results .status")).to_have_text(
        re.compile(r"16 best of 300 pictures · \d+ ms")
    )
    scores = [float(score) for score in page.locator("#results .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    page.locator("#results img").last.scroll_into_view_if_needed()
    page.wait_for_function(LOADED)


def test_the_button_searches_too(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Search your pictures").fill("a photo of a banana")
    page.get_by_role("button", name="Search").click()
    assert categories(page).count("banana") >= 14


def test_a_card_leads_to_the_original(page: Page, address: str) -> None:
    page.goto(address)
    search(page, "red apples")
    link = page.locator("#results .card").first.get_attribute("href")
    answer = page.request.get(f"{address}/{link}")
    assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("words", "said"),
    [("", "Type a few words to search for"), ("x" * 5000, "The query has 5,000 characters")],
)
def test_a_bad_query_is_told(page: Page, address: str, words: str, said: str) -> None:
    page.goto(address)
    expect(page.get_by_text("300 pictures are ready")).to_be_visible()
    search(page, words)
    expect(page.get_by_text("That cannot be searched for")).to_be_visible()
    expect(page.get_by_text(said)).to_be_visible()
    search(page, "a photo of a lemon")
    assert len(categories(page)) == 16


@pytest.mark.parametrize(("width", "columns"), [(1280, 4), (760, 3), (390, 2)])
def test_the_grid_suits_the_width(page: Page, address: str, width: int, columns: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(address)
    search(page, "cherries")
    expect(page.locator("#results .card")).to_have_count(16)
    lefts = {
        round(box["x"])
        for card in page.locator("#results li").all()
        if (box := card.bounding_box())
    }
    assert len(lefts) == columns
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_nothing_comes_from_another_host(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    search(page, "grapes")
    expect(page.locator("#results .card")).to_have_count(16)
    page.wait_for_load_state("networkidle")
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_an_empty_store_says_how_to_index(
    page: Page, serve: Callable[..., str], tmp_path: Path
) -> None:
    page.goto(serve(tmp_path / "data"))
    expect(page.get_by_text("Nothing is indexed yet")).to_be_visible()
    expect(page.get_by_text("index-folder /path/to/your/photos")).to_be_visible()
    search(page, "lemon")
    expect(page.get_by_text("Nothing is indexed yet")).to_be_visible()


def test_a_store_that_is_away_is_told(
    page: Page, serve: Callable[..., str], tmp_path: Path
) -> None:
    page.goto(serve(tmp_path / "data", "--milvus-uri", "http://127.0.0.1:9"))
    expect(page.get_by_text("The store is not there")).to_be_visible()
    expect(page.get_by_text("No answer from Milvus at")).to_be_visible()
    search(page, "lemon")
    expect(page.get_by_text("The store is not there")).to_be_visible()


def test_a_password_guards_the_page(
    browser: Browser, indexed: Path, serve: Callable[..., str]
) -> None:
    guarded = serve(indexed, "--auth", "me:secret")
    stranger = browser.new_context()
    for path in ("/", "/config", "/api/search?q=a", "/healthz", "/gradio_api/info"):
        assert stranger.request.get(guarded + path).status == 401
    stranger.close()
    context = browser.new_context(http_credentials={"username": "me", "password": "secret"})
    friend = context.new_page()
    friend.goto(guarded)
    search(friend, "a photo of a lemon")
    expect(friend.locator("#results .card")).to_have_count(16)
    friend.locator("#results img").last.scroll_into_view_if_needed()
    friend.wait_for_function(LOADED)
    context.close()
