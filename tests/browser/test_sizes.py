"""Every page in several windows, at a zoom of 200 % and in forced colours: nothing scrolls sideways or is cut."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WAIT, settle, visit
from tests.browser.test_app import PAGES

SIZES = {
    "1280x720": (1280, 720),
    "1440x900": (1440, 900),
    "1920x1080": (1920, 1080),
    "800x1200": (800, 1200),
    "1280x720 at 200 %": (640, 360),
}
ADDRESSES = {path: f"{path}?images=demo&vocabulary=demo&model=embedded" for path in PAGES} | {
    "search": "search?searched=demo",
    "models": "models",
    "checkpoints": "checkpoints?tab=runs",
    "data": "data?tab=images",
}
_CUT = """() => [...document.querySelectorAll("button p, label p, h1, h2, h3")].filter((one) => {
    const { overflow, textOverflow } = getComputedStyle(one);
    const cut = one.offsetParent && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1;
    return cut && overflow !== "visible" && textOverflow !== "ellipsis";
}).map((one) => one.textContent)"""


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways_or_cuts_text(app: str, page: Page, path: str) -> None:
    visit(page, f"{app}/{ADDRESSES[path]}")
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(700)  # charts draw themselves anew
        for part in (page.get_by_test_id("stMain"), page.locator("html")):
            wider = part.evaluate("element => element.scrollWidth - element.clientWidth")
            assert wider <= 1, f"{name}: {wider} pixels too wide"
        assert page.evaluate(_CUT) == [], name


@pytest.mark.slow
def test_forced_colours_keep_focus_and_choice_visible(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, forced_colors="active")
    context.set_default_timeout(WAIT)
    page = context.new_page()
    visit(page, f"{app}/?images=demo&vocabulary=demo&model=embedded")
    copy = page.get_by_role("button", name="Copy link")
    copy.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(copy).to_be_focused()
    assert copy.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
    page.get_by_role("button", name="Tour", exact=True).press("Enter")
    next_button = page.get_by_role("region", name="Tour").get_by_role("button", name="Next")
    assert next_button.evaluate("element => getComputedStyle(element).borderTopWidth") == "1px"
    settle(page)
    context.close()
