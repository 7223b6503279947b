"""What stands beside every title: the link, the tour and the terms; and the browser's back on every page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from pages._shared.glossary import TERMS
from pages._shared.guide import TOUR
from tests.browser.conftest import WAIT, mistakes, settle, visit
from tests.browser.test_app import PAGES, query

DEMO = "images=demo&image=cafe.jpg&vocabulary=demo&model=embedded"


def test_the_tour_has_six_steps_is_skipped_for_good_and_called_again(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto(app)
    tour = page.get_by_role("region", name="Tour")
    for number, step in enumerate(TOUR, start=1):
        expect(tour.get_by_role("heading")).to_have_text(step.title)
        expect(tour).to_contain_text(f"{number} / 6")
        if number == 2:
            expect(page.locator(step.shows)).to_have_attribute("style", re.compile("outline"))
        tour.get_by_role("button", name="Done" if number == 6 else "Next").click()
    expect(tour).to_be_hidden()
    page.goto(app)
    settle(page)
    expect(tour).to_be_hidden()
    page.get_by_role("button", name="Tour", exact=True).press("Enter")
    expect(tour.get_by_role("button", name="Next")).to_be_focused()
    page.keyboard.press("Escape")
    expect(tour).to_be_hidden()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_focused()
    context.close()


def test_a_link_opens_what_it_shows_and_no_tour(app: str, page: Page) -> None:
    visit(page, f"{app}/?{DEMO}")
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Tour")).to_be_hidden()
    page.get_by_role("button", name=re.compile("Terms")).click()
    for term in ("Lexicon", "Contribution"):
        expect(page.get_by_text(TERMS[term.lower()])).to_be_visible()


def test_the_link_of_every_page_is_copied(app: str, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, f"{app}/?{DEMO}")
    for path, title in PAGES.items():
        if path:
            page.get_by_role("link", name=title, exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(title)
            settle(page)
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == page.url
        assert path in page.url


class Step(NamedTuple):
    """A step on a page: where it begins, what is done, and the name in the address that it changes."""

    address: str
    act: Callable[[Page], object]
    name: str


def press(label: str) -> Callable[[Page], object]:
    return lambda page: page.get_by_role("radio", name=label, exact=True).click()


STEPS = {
    "words": Step(f"?{DEMO}", lambda page: page.get_by_role("button", name="Next").click(), "image"),
    "browse": Step("browse?images=demo&vocabulary=demo&model=embedded", press("Agreement"), "part"),
    "search": Step("search?searched=demo", press("CLIP"), "ranking"),
    "objects": Step(f"objects?{DEMO}", press("Point at one"), "do"),
    "explain": Step(f"explain?{DEMO}", lambda page: page.get_by_role("button", name="Next").click(), "image"),
    "checkpoints": Step("checkpoints?tab=runs", press("Compare"), "tab"),
    "data": Step("data?tab=overview", press("Images"), "tab"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_back_undoes_the_last_step_and_forward_does_it_again(app: str, page: Page, name: str) -> None:
    step = STEPS[name]
    visit(page, f"{app}/{step.address}")
    before = query(page).get(step.name)
    step.act(page)
    page.wait_for_url(lambda _: query(page).get(step.name) != before)
    after = query(page)[step.name]
    settle(page)
    page.go_back()
    settle(page)
    assert query(page).get(step.name) == before
    page.go_forward()
    settle(page)
    assert query(page).get(step.name) == after
    assert mistakes(page) == []


def test_back_while_the_page_is_at_work_goes_back(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=hotel.jpg&vocabulary=demo&model=embedded")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("3 of 6")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Next").click()
    page.go_back()  # before the fourth picture's address was written, or after: what is shown is what the address says
    settle(page)
    number = {"hotel.jpg": 2, "cafe.jpg": 3, "pharmacy.jpg": 4}[query(page)["image"]]
    expect(page.get_by_text(f"{number} of 6")).to_be_visible()
    assert mistakes(page) == []
