"""Searching on the page by words, in a real browser."""

import contextlib
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import Browser, Error, Route, expect


def test_words_find_sixteen_pictures(visitor: Visitor) -> None:
    visitor.come()
    expect(visitor.page.get_by_text("300 pictures are ready")).to_be_visible()
    expect(visitor.box).to_be_focused()
    assert visitor.found("a photo of a lemon").count("lemon") >= 14
    status = re.compile(r"^16 best of 300 pictures · \d+ ms$")
    expect(visitor.page.locator("#status")).to_have_text(status)
    assert visitor.scores() == sorted(visitor.scores(), reverse=True)
    visitor.expect_loaded()
    assert visitor.page.locator("#welcome").is_hidden()


def test_the_button_searches_too(visitor: Visitor) -> None:
    visitor.come()
    visitor.page.get_by_label("Results as you type").uncheck()
    visitor.box.fill("a photo of a banana")
    visitor.page.get_by_role("button", name="Search", exact=True).click()
    visitor.expect_cards()
    assert visitor.categories().count("banana") >= 14


def test_results_come_as_one_types_and_leave_one_step_in_the_history(visitor: Visitor) -> None:
    visitor.come()
    visitor.box.press_sequentially("a photo of a le", delay=20)
    visitor.expect_cards()
    visitor.box.press_sequentially("mon", delay=20)
    visitor.expect_asked(q="a+photo+of+a+lemon")
    expect(visitor.page.locator("#results .category").first).to_have_text("lemon")
    visitor.page.go_back()
    expect(visitor.page.get_by_text("300 pictures are ready")).to_be_visible()
    expect(visitor.box).to_have_value("")
    visitor.page.get_by_label("Results as you type").uncheck()
    visitor.come()
    visitor.box.fill("banana")
    visitor.page.wait_for_timeout(1000)  # longer than the pause after which it would search
    assert visitor.cards.count() == 0


def test_examples_and_the_last_queries_are_one_click(visitor: Visitor) -> None:
    visitor.come()
    tile = visitor.page.locator("#welcome .tiles button", has_text="banana")
    visitor.expect_loaded("#welcome .tiles img")
    tile.click()
    visitor.expect_cards()
    assert visitor.categories().count("banana") >= 14
    visitor.found("red apples")
    visitor.box.fill("")
    chips = visitor.page.locator("#welcome .chips button")
    expect(chips).to_have_text(["red apples", "banana"])
    chips.first.click()
    visitor.expect_asked(q="red+apples")
    visitor.expect_cards()


def test_more_results_without_losing_the_place(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    first = visitor.ids()
    more = visitor.page.get_by_role("button", name="More results")
    more.click()
    visitor.expect_cards(32)
    assert visitor.ids()[:16] == first
    assert len(set(visitor.ids())) == 32
    expect(visitor.cards.nth(16)).to_be_focused()
    scores = visitor.scores()
    assert scores == sorted(scores, reverse=True)
    expect(visitor.page.locator("#status")).to_contain_text("32 best of 300")


def test_the_back_button_leads_to_the_place_before(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    visitor.page.get_by_role("button", name="More results").click()
    visitor.expect_cards(32)
    ids = visitor.ids()
    visitor.page.evaluate("window.scrollTo(0, 900)")
    visitor.page.keyboard.press("/")
    visitor.page.keyboard.type("a photo of a banana")
    visitor.page.keyboard.press("Enter")
    visitor.expect_asked(q="a+photo+of+a+banana")
    expect(visitor.page.locator("#results .category").first).to_have_text("banana")
    assert visitor.page.evaluate("window.scrollY") == 0
    visitor.page.go_back()
    visitor.expect_cards(32)
    assert visitor.ids() == ids
    expect(visitor.box).to_have_value("lemon")
    visitor.page.wait_for_function("window.scrollY > 800")
    visitor.page.go_forward()
    expect(visitor.box).to_have_value("a photo of a banana")


def test_a_link_shows_another_person_the_same(visitor: Visitor, browser: Browser) -> None:
    visitor.come("/?q=fruit&without=lemon&category=lemon&category=apple&min=0.01")
    visitor.page.wait_for_selector("#results .card")
    context = browser.new_context()
    other = Visitor(context.new_page(), visitor.address)
    other.page.goto(visitor.page.url)
    other.page.wait_for_selector("#results .card")
    assert other.ids() == visitor.ids()
    assert set(other.categories()) <= {"lemon", "apple"}
    expect(other.page.get_by_role("textbox", name="Without")).to_have_value("lemon")
    expect(other.page.locator("#show-filters .badge")).to_have_text("3")
    context.close()


@pytest.mark.parametrize(("width", "columns"), [(1280, 4), (900, 3), (390, 2)])
def test_the_grid_suits_the_width(visitor: Visitor, width: int, columns: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 844})
    visitor.come("/?q=cherries")
    visitor.expect_cards()
    lefts = {
        round(box["x"])
        for item in visitor.page.locator("#results li").all()
        if (box := item.bounding_box())
    }
    assert len(lefts) == columns
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_arrow_keys_go_from_card_to_card(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    visitor.cards.first.focus()
    for key, index in (("ArrowRight", 1), ("ArrowDown", 5), ("ArrowLeft", 4), ("ArrowUp", 0)):
        visitor.page.keyboard.press(key)
        expect(visitor.cards.nth(index)).to_be_focused()
    visitor.page.keyboard.press("/")
    expect(visitor.box).to_be_focused()


def test_a_page_of_results_is_light(visitor: Visitor) -> None:
    sizes: list[int] = []
    visitor.page.on(
        "response",
        lambda r: sizes.append(len(r.body())) if "/thumbnail" in r.url else None,
    )
    visitor.come("/?q=fruit")
    visitor.expect_loaded()
    assert len(sizes) == 16
    assert sum(sizes) <= 500_000


def test_nothing_comes_from_another_host(visitor: Visitor) -> None:
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.come()
    visitor.found("grapes")
    visitor.cards.first.click()
    expect(visitor.page.locator("#viewer-picture[data-whole=true]")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("tab", name="Library").click()
    visitor.page.wait_for_selector("#map canvas")
    visitor.page.wait_for_load_state("networkidle")
    assert len(asked) > 40
    own = (visitor.address, "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_an_app_can_be_installed(visitor: Visitor) -> None:
    visitor.come()
    session = visitor.page.context.new_cdp_session(visitor.page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"] == f"{visitor.address}/manifest.json"
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        # Chromium does not install from a private window, which every test's is.
        [{"errorId": "in-incognito", "errorArguments": []}],
    )


def test_a_password_guards_the_page(
    browser: Browser, indexed: Path, serve: Callable[..., str]
) -> None:
    guarded = serve(indexed, "--auth", "me:secret")
    stranger = browser.new_context()
    for path in ("/", "/config", "/api/search?q=a", "/healthz", "/page/start", "/manifest.json"):
        assert stranger.request.get(guarded + path).status == 401
    stranger.close()
    # As a proxy sends it that asks for passwords itself.
    basic = {"Authorization": f"Basic {b64encode(b'me:secret').decode()}"}
    context = browser.new_context(extra_http_headers=basic)
    friend = Visitor(context.new_page(), guarded).come()
    assert friend.found("a photo of a lemon").count("lemon") >= 14
    friend.expect_loaded()
    expect(friend.page.locator("#sign-out")).to_be_hidden()
    session = context.new_cdp_session(friend.page)
    assert session.send("Page.getAppManifest")["errors"] == []  # with the password, too
    context.close()


def slowly(visitor: Visitor, words: str) -> Callable[[], None]:
    """Hold the answers to a search of these words until the returned function is called."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if words in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    visitor.page.route("**/api/search", hold)

    def let_go() -> None:
        for route in held:
            # A request that the page has given up has no route any more.
            with contextlib.suppress(Error):
                route.continue_()

    return let_go


def test_going_back_during_a_search_shows_what_was_there(visitor: Visitor) -> None:
    visitor.come("/?q=a+photo+of+a+lemon")
    visitor.expect_cards()
    ids = visitor.ids()
    let_go = slowly(visitor, "banana")
    visitor.search("a photo of a banana")
    visitor.expect_asked(q="a+photo+of+a+banana")
    visitor.page.go_back()
    let_go()
    visitor.expect_cards()
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.ids() == ids
    expect(visitor.box).to_have_value("a photo of a lemon")
    expect(visitor.page.locator("#found[aria-busy]")).to_have_count(0)


def test_more_of_what_is_shown_is_not_more_of_what_is_asked(visitor: Visitor) -> None:
    visitor.come("/?q=a+photo+of+a+lemon")
    visitor.expect_cards()
    let_go = slowly(visitor, "banana")
    visitor.search("a photo of a banana")
    visitor.page.get_by_role("button", name="More results").click()
    assert visitor.found("a photo of an apple").count("apple") >= 14
    let_go()
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.categories().count("apple") >= 14
    assert visitor.cards.count() == 16


def test_what_is_typed_stays_when_something_else_is_chosen(visitor: Visitor) -> None:
    visitor.come()
    visitor.page.get_by_label("Results as you type").uncheck()
    visitor.page.get_by_role("button", name="Filters").click()
    lemon = visitor.page.get_by_role("checkbox", name="lemon")
    expect(lemon).to_be_visible()
    visitor.box.fill("fruit")
    visitor.page.get_by_role("textbox", name="Without").fill("leaf")
    lemon.check()
    visitor.expect_asked(q="fruit", without="leaf", category="lemon")
    visitor.expect_cards()


def test_what_is_typed_before_the_server_has_spoken_stays(visitor: Visitor) -> None:
    held: list[Route] = []
    visitor.page.route("**/page/start", lambda route: held.append(route))
    visitor.come()
    visitor.box.press_sequentially("a photo of a lemon", delay=10)
    while not held:
        visitor.page.wait_for_timeout(10)
    held[0].continue_()
    visitor.expect_cards()
    expect(visitor.box).to_have_value("a photo of a lemon")


def test_the_library_and_back_loses_nothing(visitor: Visitor, library: Path) -> None:
    visitor.come()
    visitor.paste(min((library / "banana").iterdir()))
    visitor.expect_cards()
    ids = visitor.ids()
    visitor.page.evaluate("window.scrollTo(0, 500)")
    visitor.page.get_by_role("tab", name="Library").click()
    visitor.page.wait_for_selector("#map canvas")
    visitor.page.get_by_role("tab", name="Search").click()
    visitor.expect_cards()
    assert visitor.ids() == ids
    expect(visitor.page.locator("#query-picture img")).to_be_visible()
    visitor.page.get_by_role("tab", name="Library").click()
    visitor.paste(min((library / "lemon").iterdir()))  # there, too
    expect(visitor.page.locator("#results .category").first).to_have_text("lemon")
    visitor.expect_cards()
    expect(visitor.page.locator("#search-view")).to_be_visible()
