"""Searching on the page by pictures, with filters, and in Chinese."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import Browser, expect


@pytest.fixture
def banana(library: Path) -> Path:
    return sorted((library / "banana").iterdir())[0]


def expect_bananas(visitor: Visitor) -> None:
    expect(visitor.page.locator("#query-picture img")).to_be_visible()
    visitor.expect_cards()
    assert visitor.categories().count("banana") >= 10


@pytest.mark.parametrize("way", ["upload", "paste", "drop"])
def test_a_picture_finds_its_like(visitor: Visitor, banana: Path, way: str) -> None:
    visitor.come()
    if way == "upload":
        visitor.page.get_by_role("button", name="Search by a picture of yours").click()
        with visitor.page.expect_file_chooser() as chooser:
            visitor.page.get_by_role("menuitem", name="Choose a file").click()
        chooser.value.set_files(banana)
    elif way == "paste":
        visitor.paste(banana)
    else:
        visitor.drop(banana)
    expect_bananas(visitor)
    visitor.page.get_by_role("button", name="Search without the picture").click()
    expect(visitor.page.get_by_text("300 pictures are ready")).to_be_visible()


def test_a_picture_and_words_are_balanced(visitor: Visitor, banana: Path) -> None:
    visitor.come()
    visitor.paste(banana)
    expect_bananas(visitor)
    visitor.search("a photo of a lemon")
    visitor.expect_asked(q="a+photo+of+a+lemon")
    expect(visitor.page.locator("#notes")).to_contain_text("not part of this page's address")
    balance = visitor.page.get_by_label("Balance of words and picture")
    for value, wanted in (("0.9", "banana"), ("0.1", "lemon")):
        with visitor.page.expect_response(lambda r: "/api/search" in r.url):
            balance.fill(value)
            balance.dispatch_event("change")
        expect(visitor.page.locator("#results .category").first).to_have_text(wanted)
    visitor.page.go_back()
    expect(balance).to_have_value("0.9")
    expect(visitor.page.locator("#results .category").first).to_have_text("banana")


def test_a_dragged_result_finds_its_like(visitor: Visitor) -> None:
    visitor.come("/?q=a+photo+of+a+lemon")
    visitor.expect_cards()
    chosen = visitor.ids()[1]
    visitor.cards.nth(1).drag_to(visitor.box)
    visitor.expect_asked(like=chosen)


def test_what_is_no_picture_is_told(visitor: Visitor, tmp_path: Path) -> None:
    visitor.come()
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    visitor.page.locator("#picture-file").set_input_files(text)
    expect(visitor.page.get_by_text("That is no picture")).to_be_visible()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe0 not more")
    visitor.page.locator("#picture-file").set_input_files(damaged)
    expect(visitor.page.get_by_text("That cannot be searched for")).to_be_visible()
    expect(visitor.page.get_by_text("The query's picture cannot be used")).to_be_visible()


def test_a_large_photo_is_sent_small(visitor: Visitor, tmp_path: Path) -> None:
    from PIL import Image

    large = tmp_path / "large.jpg"
    Image.effect_noise((4000, 3000), 90).convert("RGB").save(large, quality=95)
    visitor.come()
    with visitor.page.expect_request("**/api/search") as sent:
        visitor.page.locator("#picture-file").set_input_files(large)
    visitor.expect_cards()
    size = int(sent.value.all_headers()["content-length"])
    assert size < large.stat().st_size / 8


def test_without_leads_away(visitor: Visitor) -> None:
    visitor.come("/?q=a+photo+of+a+lemon")
    visitor.expect_cards()
    without = visitor.page.get_by_role("textbox", name="Without")
    before = visitor.scores()[0]
    without.fill("a photo of a banana")
    visitor.page.keyboard.press("Enter")
    visitor.expect_asked(without="a+photo+of+a+banana")
    expect(visitor.page.locator("#results .score").first).not_to_have_text(f"{before:.3f}")
    visitor.box.fill("")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_text("Say also what to look for")).to_be_visible()


def test_filters_narrow_a_search(visitor: Visitor) -> None:
    visitor.come("/?q=fruit")
    visitor.expect_cards()
    visitor.page.get_by_role("button", name="Filters").click()
    panel = visitor.page.get_by_role("complementary", name="Filters")
    panel.get_by_role("checkbox", name="lemon").check()
    visitor.expect_asked(category="lemon")
    expect(visitor.page.locator("#results .category", has_text="lemon")).to_have_count(16)
    status = visitor.page.locator("#status")
    expect(status).to_contain_text("16 best within the filters, of 300 pictures in all")
    panel.get_by_role("checkbox", name="apple").check()
    expect(visitor.page.locator("#show-filters .badge")).to_have_text("2")
    visitor.page.wait_for_function(
        "new Set([...document.querySelectorAll('#results .category')]"
        ".map(c => c.textContent)).size === 2"
    )
    panel.get_by_role("button", name="Clear").click()
    expect(visitor.page.locator("#show-filters .badge")).to_be_hidden()
    expect(visitor.page).to_have_url(re.compile(r"\?q=fruit$"))


def test_a_date_and_a_score_that_nothing_meets_are_told_with_a_way_out(visitor: Visitor) -> None:
    visitor.come("/?q=lemon&before=1999-12-31")
    expect(visitor.page.get_by_text("No picture passes the filters")).to_be_visible()
    visitor.page.get_by_role("button", name="Clear the filters").click()
    visitor.expect_cards()
    visitor.come("/?q=lemon&min=0.99")
    expect(visitor.page.get_by_text("No picture scores that high")).to_be_visible()
    expect(visitor.page.get_by_text("the best has")).to_be_visible()
    visitor.page.get_by_role("button", name="Show results of any score").click()
    visitor.expect_cards()
    middle = visitor.scores()[7]
    slider = visitor.page.get_by_label("Minimum score")
    slider.fill(f"{middle:.2f}")
    visitor.page.wait_for_url("**min=**")
    expect(visitor.page.locator("#found[aria-busy]")).to_have_count(0)
    visitor.page.wait_for_function(
        "least => [...document.querySelectorAll('#results .score')]"
        ".every(s => Number(s.textContent) >= least)",
        arg=round(middle, 2),
    )


def test_dates_are_days_of_the_visitor(visitor: Visitor) -> None:
    visitor.come()
    today = visitor.page.evaluate(
        "(d => [d.getFullYear(), d.getMonth() + 1, d.getDate()]"
        ".map(n => String(n).padStart(2, '0')).join('-'))(new Date())"
    )
    visitor.come(f"/?q=lemon&after={today}&before={today}")  # drawn a moment ago
    visitor.expect_cards()


def test_the_browsers_language_decides_and_the_switch_changes_it(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(locale="zh-TW")
    visitor = Visitor(context.new_page(), address).come()
    expect(visitor.page.get_by_text("300 张图片已就绪")).to_be_visible()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-CN")
    visitor.page.get_by_label("搜索您的图片").fill("lemon")
    visitor.page.keyboard.press("Enter")
    status = visitor.page.locator("#status")
    expect(status).to_have_text(re.compile(r"300 张图片中最匹配的 16 张 · \d+ 毫秒"))
    visitor.page.goto(f"{address}/?q=lemon&min=0.99")
    expect(visitor.page.get_by_text("没有图片达到这个分数")).to_be_visible()
    visitor.page.get_by_label("语言").select_option("en")
    expect(visitor.page.get_by_text("No picture scores that high")).to_be_visible()
    visitor.come()
    expect(visitor.page.get_by_text("300 pictures are ready")).to_be_visible()  # it is kept
    context.close()


def test_every_text_of_the_chinese_page_is_chinese(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="zh-CN")
    visitor = Visitor(context.new_page(), address).come("/?q=lemon")
    visitor.page.wait_for_selector("#results .card")
    visitor.page.locator("#results .card").first.click()
    texts = visitor.page.evaluate(
        """() => [...document.querySelectorAll("[data-i18n], [data-i18n-label]")]
            .map(e => e.dataset.i18nLabel ? e.getAttribute("aria-label") : e.textContent)"""
    )
    assert len(texts) > 40
    latin = [text for text in texts if re.search(r"[A-Za-z]{4}", text)]
    assert latin == []
    context.close()


@pytest.mark.parametrize("wanted", ["light", "dark"])
def test_light_and_dark_follow_the_browser_and_the_switch(
    browser: Browser, address: str, wanted: str
) -> None:
    scheme = "dark" if wanted == "dark" else "light"
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    visitor = Visitor(context.new_page(), address).come("/?q=lemon")
    visitor.page.wait_for_selector("#results .card")
    lightness = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert (sum(visitor.page.evaluate(lightness)) < 3 * 128) == (wanted == "dark")
    visitor.page.get_by_role("button", name="Light or dark").click()
    assert (sum(visitor.page.evaluate(lightness)) < 3 * 128) == (wanted == "light")
    visitor.come()
    assert (sum(visitor.page.evaluate(lightness)) < 3 * 128) == (wanted == "light")
    context.close()


def test_a_long_query_is_cut_or_refused_and_says_so(
    visitor: Visitor, indexed: Path, serve: Callable[..., str]
) -> None:
    visitor.come()
    visitor.page.get_by_label("Results as you type").uncheck()
    visitor.search("lemon " * 100)
    note = "The text is longer than the model reads; its end was left out."
    expect(visitor.page.locator("#notes")).to_have_text(note)
    visitor.search("x" * 5000)
    expect(visitor.page.get_by_text("That cannot be searched for")).to_be_visible()
    expect(visitor.page.get_by_text("The query has 5,000 characters")).to_be_visible()
    assert visitor.found("a photo of a lemon").count("lemon") >= 14
