"""Pages in several windows, at a zoom of 200 % and in forced colours: nothing scrolls sideways or is cut.

The states of `test_accessibility` are looked at in all windows while they are open.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WAIT, settle, visit

SIZES = {
    "1280x720": (1280, 720),
    "1440x900": (1440, 900),
    "1920x1080": (1920, 1080),
    "800x1200": (800, 1200),
    "1280x720 at 200 %": (640, 360),
}
_CUT = """() => [...document.querySelectorAll("button p, label p, h1, h2, h3")].filter((one) => {
    const { overflow, textOverflow } = getComputedStyle(one);
    const cut = one.offsetParent && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1;
    return cut && overflow !== "visible" && textOverflow !== "ellipsis";
}).map((one) => one.textContent)"""


def misfits(page: Page) -> list[str]:
    """What scrolls sideways or is cut on a page, in each of the windows."""
    found: list[str] = []
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(700)  # charts draw themselves anew
        for part in (page.get_by_test_id("stMain"), page.locator("html")):
            wider = part.evaluate("element => element.scrollWidth - element.clientWidth")
            if wider > 1:
                found.append(f"{name}: {wider} pixels too wide")
        found += [f"{name}: “{text}” is cut" for text in page.evaluate(_CUT)]
    return found


def test_what_is_too_wide_or_cut_is_found(page: Page) -> None:
    cut = '<button style="width: 40px"><p style="width: 30px; overflow: hidden; white-space: nowrap">a long name</p>'
    page.set_content(f'<div data-testid="stMain">{cut}</button></div><div style="width: 900px">wide</div>')
    assert misfits(page) == [
        *(f"{name}: “a long name” is cut" for name in list(SIZES)[:3]),
        "800x1200: 108 pixels too wide",
        "800x1200: “a long name” is cut",
        "1280x720 at 200 %: 268 pixels too wide",
        "1280x720 at 200 %: “a long name” is cut",
    ]


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
