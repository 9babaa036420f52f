"""The large view of one picture: its facts, its keys, and where it leads."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import Locator, expect
from support import run


@pytest.fixture
def large(visitor: Visitor) -> Locator:
    """The large view over the results for lemons, not opened yet."""
    visitor.come("/?q=a+photo+of+a+lemon")
    visitor.expect_cards()
    return visitor.page.get_by_role("dialog")


def name_of(large: Locator) -> str:
    return large.locator("#viewer-name").inner_text()


def test_a_click_shows_what_is_known(visitor: Visitor, large: Locator) -> None:
    visitor.cards.nth(2).click()
    expect(large).to_be_visible()
    expect(large.locator("#viewer-picture[data-whole=true]")).to_be_visible()
    facts = large.locator("#viewer-facts").inner_text()
    assert re.search(r"Category\nlemon\n", facts)
    assert f"Score\n{visitor.scores()[2]:.3f}" in facts
    assert re.search(r"Size\n\d+ × \d+, \d+(\.\d)? kB", facts)
    assert re.search(r"Date\n\d+ \w+ 20\d\d", facts)
    assert f"/library/lemon/{name_of(large)}" in facts
    visitor.expect_asked(show=visitor.ids()[2])


def test_keys_go_on_and_escape_goes_back_to_the_card(visitor: Visitor, large: Locator) -> None:
    ids = visitor.ids()
    visitor.cards.first.click()
    expect(large.get_by_role("button", name="Previous picture")).to_be_disabled()
    for index in (1, 2):
        visitor.page.keyboard.press("ArrowRight")
        visitor.expect_asked(show=ids[index])
    visitor.page.keyboard.press("ArrowLeft")
    visitor.expect_asked(show=ids[1])
    visitor.page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(visitor.cards.nth(1)).to_be_focused()
    expect(visitor.page).to_have_url(re.compile(r"\?q=a\+photo\+of\+a\+lemon$"))
    visitor.page.go_back()  # one step leads to before the search, not through every picture
    expect(visitor.page).not_to_have_url(re.compile("lemon"))


def test_past_the_last_result_more_are_fetched(visitor: Visitor, large: Locator) -> None:
    visitor.cards.nth(15).click()
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_cards(32)
    visitor.expect_asked(show=visitor.ids()[16])


def test_the_back_button_closes_it(visitor: Visitor, large: Locator) -> None:
    visitor.cards.nth(3).click()
    expect(large).to_be_visible()
    visitor.page.go_back()
    expect(large).to_be_hidden()
    visitor.expect_cards()


def test_a_link_to_a_picture_opens_it(visitor: Visitor, large: Locator) -> None:
    link = visitor.cards.nth(4).get_attribute("href")
    visitor.come(f"/{link}")
    expect(large).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.cards.nth(4)).to_be_focused()
    other = visitor.ids()[4]
    visitor.come(f"/?q=a+photo+of+a+banana&show={other}")  # which is not among the results
    expect(large.locator("#viewer-facts")).to_contain_text("lemon")


def test_similar_pictures_take_the_place_of_the_query(visitor: Visitor, large: Locator) -> None:
    chosen = visitor.ids()[0]
    visitor.cards.first.click()
    large.get_by_role("button", name="Similar to this").click()
    visitor.expect_asked(like=chosen)
    expect(visitor.box).to_have_value("")
    visitor.expect_cards()
    assert chosen not in visitor.ids()
    assert visitor.categories().count("lemon") >= 14
    visitor.page.get_by_role("button", name="Remove: similar to this").click()
    expect(visitor.page.get_by_text("300 pictures are ready")).to_be_visible()


def test_more_and_less_like_this_refine_the_query(visitor: Visitor, large: Locator) -> None:
    visitor.found("fruit")
    before = visitor.ids()
    visitor.cards.first.click()
    large.get_by_role("button", name="Less like this").click()
    visitor.expect_asked(q="fruit", less=before[0])
    visitor.expect_cards()
    expect(visitor.page.locator("#refinements li")).to_have_count(1)
    assert visitor.ids() != before
    visitor.cards.first.click()
    large.get_by_role("button", name="More like this").click()
    expect(visitor.page.locator("#refinements li")).to_have_count(2)
    visitor.page.go_back()
    expect(visitor.page.locator("#refinements li")).to_have_count(1)
    visitor.page.go_back()
    expect(visitor.page.locator("#refinements li")).to_have_count(0)
    visitor.expect_cards()
    assert visitor.ids() == before


def test_the_button_on_a_card_finds_similar_ones(visitor: Visitor, large: Locator) -> None:
    chosen = visitor.ids()[5]
    visitor.cards.nth(5).hover()
    visitor.page.locator("#results .similar").nth(5).click()
    visitor.expect_asked(like=chosen)


def test_the_original_is_opened_downloaded_and_its_path_copied(
    visitor: Visitor, large: Locator, library: Path
) -> None:
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.cards.first.click()
    file = library / "lemon" / name_of(large)
    link = large.get_by_role("link", name="Open the original")
    address = f"{visitor.address}{link.get_attribute('href')}"
    assert visitor.page.request.get(address).body() == file.read_bytes()
    with visitor.page.expect_download() as started:
        large.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == file.name
    assert started.value.path().read_bytes() == file.read_bytes()
    large.get_by_role("button", name="Copy the path").click()
    expect(large.get_by_role("button", name="Copied")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == str(file)


def test_a_path_is_copied_where_the_browser_offers_no_clipboard(
    visitor: Visitor, large: Locator
) -> None:
    visitor.page.evaluate("delete Navigator.prototype.clipboard")  # as on plain http
    visitor.page.evaluate(
        "document.addEventListener('copy', e => { window.copied = getSelection().toString() || "
        "e.target.value; })"
    )
    visitor.cards.first.click()
    large.get_by_role("button", name="Copy the path").click()
    expect(large.get_by_role("button", name="Copied")).to_be_visible()
    assert visitor.page.evaluate("window.copied").endswith(name_of(large))


def test_a_picture_that_went_away_is_told(
    visitor: Visitor, library: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    folder, data = tmp_path / "library", tmp_path / "data"
    shutil.copytree(library / "lemon", folder / "lemon")
    assert run("index-folder", folder, "--model", "sample", data=data).code == 0
    shutil.rmtree(folder / "lemon")
    visitor.address = serve(data)
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    expect(visitor.page.locator("#results .gone:visible").first).to_have_text(
        "The file is gone or has changed"
    )
    visitor.cards.first.click()
    expect(visitor.page.get_by_text("The file is gone, or has changed since")).to_be_visible()


def test_a_phone_shows_it_whole(visitor: Visitor, large: Locator) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.cards.first.click()
    box = large.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    assert large.evaluate("e => e.scrollWidth <= e.clientWidth")
    large.get_by_role("button", name="Close").click()
    expect(visitor.cards.first).to_be_focused()
