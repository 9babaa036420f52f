"""The library view, and indexing from it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from page_driver import Visitor
from playwright.sync_api import expect
from support import run


@pytest.fixture
def view(visitor: Visitor) -> Visitor:
    """Somebody who looks at the sample library."""
    visitor.come("/?view=library")
    visitor.page.wait_for_selector("#map canvas")
    return visitor


def test_it_shows_what_is_indexed(view: Visitor) -> None:
    summary = view.page.locator("#summary")
    for text in ("Pictures\n300", "Categories\n10", "sample · 768", "IVF_FLAT · IP"):
        assert text in summary.inner_text()
    bars = view.page.locator("#categories .bars li")
    expect(bars).to_have_count(10)
    assert "lemon" in view.page.locator("#categories").inner_text()
    expect(view.page.locator("#libraries")).to_contain_text("Last indexed")
    expect(view.page.locator("#libraries")).to_contain_text("300 added")


def test_a_bar_leads_to_a_search_in_its_category(view: Visitor) -> None:
    view.page.locator("#categories").get_by_role("link", name="lemon").click()
    view.expect_asked(q="lemon", category="lemon")
    view.expect_cards()
    assert set(view.categories()) == {"lemon"}
    view.page.go_back()
    expect(view.page.locator("#library-view")).to_be_visible()


def test_every_category_has_a_montage(view: Visitor) -> None:
    montage = view.page.locator('#montages article[data-category="banana"]')
    montage.scroll_into_view_if_needed()
    expect(montage.locator("img")).to_have_count(8)
    montage.locator(".montage button").first.click()
    large = view.page.get_by_role("dialog")
    expect(large.locator("#viewer-facts")).to_contain_text("banana")
    expect(large.get_by_role("button", name="Next picture")).to_be_disabled()
    view.page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(view.page.locator("#library-view")).to_be_visible()
    montage.locator(".montage button").first.click()
    large.get_by_role("button", name="Similar to this").click()
    view.expect_cards()
    assert view.categories().count("banana") >= 10


def test_the_map_shows_a_picture_where_one_points(view: Visitor) -> None:
    canvas = view.page.locator("#map canvas")
    canvas.scroll_into_view_if_needed()
    points = view.page.evaluate("fetch('api/library/map').then(r => r.json())")["points"]
    # The one that stands most alone, so that no other is meant.
    alone = max(
        points,
        key=lambda p: min(
            (p["x"] - q["x"]) ** 2 + (p["y"] - q["y"]) ** 2 for q in points if q is not p
        ),
    )
    box = canvas.bounding_box()
    assert box is not None
    x = 16 + (alone["x"] + 1) / 2 * (box["width"] - 32)
    y = 16 + (1 - alone["y"]) / 2 * (box["height"] - 32)
    canvas.hover(position={"x": x, "y": y})
    tip = view.page.locator("#map .tip")
    expect(tip).to_contain_text(alone["path"].rpartition("/")[2])
    view.expect_loaded("#map .tip img")
    canvas.click(position={"x": x, "y": y})
    view.expect_asked(show=alone["id"])
    expect(view.page.get_by_role("dialog")).to_be_visible()  # the address changes before it opens
    view.page.keyboard.press("Escape")
    first = view.page.locator("#map .legend button").first
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")


def test_without_leave_nothing_is_indexed_from_the_page(view: Visitor) -> None:
    expect(view.page.locator("#indexing")).to_be_hidden()
    answer = view.page.request.post(f"{view.address}/api/index", data={"folder": "/tmp"})
    assert answer.status == 403


def test_a_folder_is_indexed_from_the_page(
    visitor: Visitor, library: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(library / "lemon", photos / "one" / "lemon")
    shutil.copytree(library / "banana", photos / "one" / "banana")
    (photos / "one" / "lemon" / "damaged.jpg").write_bytes(b"no picture")
    ran = run("index-folder", photos / "one", "--model", "sample", data=tmp_path / "data")
    assert ran.code == 0, ran.err
    shutil.copytree(library / "apple", photos / "two" / "apple")
    visitor.address = serve(tmp_path / "data", "--allow-indexing", str(photos))
    visitor.come("/?view=library")
    page = visitor.page
    expect(page.locator("#libraries")).to_contain_text("1 file skipped")
    page.locator("#libraries summary").click()
    expect(page.locator("#libraries")).to_contain_text("not a picture in a known format")
    options = page.locator("#folders option")
    expect(options).to_have_count(3)  # the folder that is allowed, and the two in it
    page.get_by_label("Folder on the server").fill(str(photos / "two"))
    page.get_by_role("button", name="Index it").click()
    expect(page.locator("#indexing")).to_contain_text("Done · 30 added")
    expect(page.locator("#summary")).to_contain_text("90")
    page.get_by_role("tab", name="Search").click()
    visitor.search("a photo of an apple")
    visitor.expect_cards()
    assert visitor.categories().count("apple") >= 14
    page.get_by_role("tab", name="Library").click()
    page.get_by_label("Folder on the server").fill("/etc")
    page.get_by_role("button", name="Index it").click()
    expect(page.locator("#indexing")).to_contain_text(
        "Only the folders that --allow-indexing named"
    )


def test_an_empty_store_offers_to_index(
    visitor: Visitor, library: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('[model]\nname = "sample"\n')
    visitor.address = serve(
        tmp_path / "data", "--allow-indexing", str(library), "--config", str(config)
    )
    visitor.come("/?view=library")
    expect(visitor.page.get_by_text("Nothing is indexed yet").first).to_be_visible()
    visitor.page.get_by_role("button", name="Index it").click()
    expect(visitor.page.locator("#summary")).to_contain_text("300")
    visitor.page.wait_for_selector("#map canvas")
