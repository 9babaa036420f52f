"""The page for those who see it badly or not, or use no mouse (rules: axe-core, WCAG 2.2)."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_driver import Visitor
from playwright.sync_api import Browser, expect

PLACES = {
    "/": "#welcome .tiles img",
    "/?q=lemon&category=lemon": "#results .card",
    "/?q=lemon&min=0.99": "#message button",
    "/?view=library": "#map canvas",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_rule_of_access_is_broken(
    browser: Browser, address: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 844},
    )
    visitor = Visitor(context.new_page(), address)
    for place, there in PLACES.items():
        visitor.come(place)
        visitor.page.wait_for_selector(there)
        expect_no_violation(visitor)
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    visitor.cards.first.click()
    expect(visitor.page.locator("#viewer-picture[data-whole=true]")).to_be_visible()
    expect_no_violation(visitor)
    context.close()


def expect_no_violation(visitor: Visitor) -> None:
    found = Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "button-name", "label"} & passed, "nothing was looked at"


def test_everything_is_reached_with_the_keyboard(visitor: Visitor) -> None:
    visitor.come("/?q=lemon")
    visitor.expect_cards()
    page = visitor.page
    expect(visitor.box).to_be_focused()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("(e => e.ariaLabel || e.id || e.innerText)(document.activeElement)")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"{reached[-1]} does not show that it has the focus"
        if page.evaluate("document.activeElement.matches('.card')"):
            break
    assert "Search by a picture of yours" in reached
    assert "without" in reached
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(20):  # the focus stays in the large view
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || document.querySelector('#viewer').contains(document.activeElement)"
        )
