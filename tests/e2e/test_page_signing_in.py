"""Signing in and out on the page, in a real browser."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_driver import Visitor
from playwright.sync_api import Browser, BrowserContext, expect
from reverse_proxy import reverse_proxy

SECONDS = 1 / 3600  # of an hour
GIVE_UP_S = 90
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]


@pytest.fixture(scope="module")
def guarded(indexed: Path, serve_all: Callable[..., str]) -> str:
    return serve_all(indexed, "--auth", "anna:red apple")


@pytest.fixture
def somebody(browser: Browser, guarded: str) -> Iterator[Visitor]:
    """Somebody who is not signed in; what the page throws fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield Visitor(page, guarded)
    context.close()
    assert thrown == []


def sign_in(visitor: Visitor, password: str = "red apple") -> None:
    page = visitor.page
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def signed_in(visitor: Visitor, path: str = "/") -> None:
    """Come to a page, and sign in."""
    visitor.page.goto(visitor.address + path)
    let_in(visitor)


def let_in(visitor: Visitor) -> None:
    """Sign in, and wait for the page that was asked for."""
    sign_in(visitor)
    visitor.page.wait_for_selector("body[data-ready]")
    expect(visitor.page.get_by_role("button", name="Sign out")).to_be_visible()


def expect_the_form(visitor: Visitor) -> None:
    expect(visitor.page.get_by_label("Password")).to_be_visible()
    assert visitor.page.locator("img").count() == 1  # the program's icon
    assert visitor.page.locator("script").count() == 0


def expect_told(visitor: Visitor) -> None:
    told = visitor.page.locator("#message").get_by_text("You are not signed in any more")
    expect(told).to_be_visible()
    assert visitor.cards.count() == 0


def test_signing_in_searching_and_signing_out(somebody: Visitor) -> None:
    page = somebody.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(somebody.address + "/?q=lemon&min=0.1")
    expect_the_form(somebody)
    expect(page.get_by_label("User name")).to_be_focused()
    assert {urlsplit(url).scheme for url in asked[1:]} <= {"data"}, "the form fetches something"
    sign_in(somebody, "blue")
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    expect(page.get_by_label("User name")).to_have_value("anna")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    let_in(somebody)
    somebody.expect_cards()
    somebody.expect_asked(q="lemon", min="0.1")
    somebody.expect_loaded()
    assert somebody.found("a photo of a banana").count("banana") >= 5
    assert page.evaluate("document.cookie") == ""
    manifest = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert (manifest["errors"], bool(manifest.get("data"))) == ([], True)
    thumbnail = page.locator("#results img").first.get_attribute("src") or ""
    assert "/thumbnail?v=" in thumbnail  # kept by the browser
    assert page.evaluate("sessionStorage.length") > 0  # the last queries

    page.get_by_role("button", name="Sign out").click()
    expect_the_form(somebody)
    assert page.context.cookies() == []
    assert page.evaluate("sessionStorage.length") == 0
    page.goto(somebody.address + thumbnail)
    expect_the_form(somebody)
    for step in ("history.back()", "history.back()", "location.reload()"):
        page.evaluate(step)
        expect_the_form(somebody)
        assert page.locator(".card").count() == 0


def test_a_session_that_ended_is_told_and_taken_up_again(somebody: Visitor) -> None:
    signed_in(somebody, "/?q=lemon")
    page = somebody.page
    somebody.expect_cards()
    page.context.request.post(somebody.address + "/sign-out")  # as in another tab
    somebody.search("banana")
    expect_told(somebody)
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    page.get_by_role("tab", name="Library").click()
    again = page.locator("#library-view").get_by_role("button", name="Sign in")
    expect(again).to_be_visible()
    page.get_by_role("tab", name="Search").click()
    page.locator("#message").get_by_role("button", name="Sign in").click()
    expect_the_form(somebody)
    let_in(somebody)
    somebody.expect_cards()
    somebody.expect_asked(q="banana")


def test_pictures_that_are_refused_end_what_is_shown(somebody: Visitor) -> None:
    signed_in(somebody, "/?q=lemon")
    somebody.expect_cards()
    somebody.page.context.clear_cookies()
    somebody.cards.first.click()  # the large picture is fetched now
    expect_told(somebody)
    expect(somebody.page.get_by_role("dialog")).to_be_hidden()


def test_a_session_ends_by_itself(
    somebody: Visitor, indexed: Path, serve: Callable[..., str]
) -> None:
    somebody.address = serve(
        indexed, "--auth", "anna:red apple", "--server-session-hours", str(20 * SECONDS)
    )
    signed_in(somebody)
    until = time.monotonic() + GIVE_UP_S
    while somebody.page.context.request.get(somebody.address + "/page/start").ok:
        assert time.monotonic() < until, "the session does not end"
        time.sleep(0.5)
    somebody.search("lemon")
    expect_told(somebody)
    # The texts of another language are refused, too.
    somebody.page.get_by_label("Language").select_option("zh-CN")
    expect_the_form(somebody)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_form_breaks_no_rule_of_access(
    browser: Browser, guarded: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 844},
        bypass_csp=True,  # axe is a script
    )
    visitor = Visitor(context.new_page(), guarded)
    visitor.page.goto(guarded)
    expect_no_violation(visitor)
    sign_in(visitor, f"wrong {scheme} {width}")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect_no_violation(visitor)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
    let_in(visitor)
    expect_no_violation(visitor)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    box = visitor.page.get_by_role("button", name="Sign out").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= width
    context.close()


def expect_no_violation(visitor: Visitor) -> None:
    found = Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "label"} <= passed, "nothing was looked at"


def test_the_form_in_chinese(browser: Browser, guarded: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(guarded)
    expect(page.get_by_role("button", name="登录")).to_be_visible()
    expect(page).to_have_title(re.compile("登录 · 文本搜图"))
    context.close()


def test_signing_in_behind_a_reverse_proxy(
    browser: Browser, indexed: Path, serve: Callable[..., str]
) -> None:
    options = ("--auth", "anna:red apple", "--root-path", "/pictures")
    behind = serve(indexed, *options).removesuffix("/pictures")
    for strip in (True, False):
        with reverse_proxy(behind, "/pictures", strip=strip) as address:
            context = browser.new_context(locale="en-GB")
            visitor = Visitor(context.new_page(), address)
            signed_in(visitor, "/?q=lemon")
            visitor.expect_cards()
            assert visitor.page.url == address + "/?q=lemon"
            assert cookie_paths(context) == ["/pictures"]
            visitor.page.get_by_role("button", name="Sign out").click()
            expect(visitor.page.get_by_label("Password")).to_be_visible()
            assert visitor.page.url == address + "/"
            assert cookie_paths(context) == []
            context.close()


def cookie_paths(context: BrowserContext) -> list[str]:
    return [cookie["path"] for cookie in context.cookies()]  # type: ignore[typeddict-item]
