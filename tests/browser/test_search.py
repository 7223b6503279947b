"""The page "Search" as its users have it: the demo images are indexed once, then searched."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WAIT, mistakes, settle, visit
from tests.browser.test_app import query


@pytest.fixture(scope="module")
def search(app: str, browser: Browser) -> Iterator[str]:
    """The address of the page with the demo images indexed by its button."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    visit(page, f"{app}/search?searched=demo")
    index = page.get_by_role("button", name="Index 6 images")
    indexed = page.get_by_text("Type a word to look for in the 6 images")
    expect(index.or_(indexed)).to_be_visible()
    if index.count():  # another test may have done it already
        expect(page.get_by_text("Nothing is indexed yet").first).to_be_visible()
        index.click()
        expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("Type a word to look for in the 6 images").first).to_be_visible()
    assert mistakes(page) == []
    context.close()
    yield f"{app}/search?searched=demo"


def cards(page: Page) -> list[str]:
    return page.locator(".odits-hit h4").all_inner_texts()


def test_enter_searches_and_the_link_keeps_the_query(search: str, page: Page) -> None:
    visit(page, search)
    page.get_by_role("textbox", name="Words").fill("pharmacy")
    page.keyboard.press("Enter")
    page.locator(".odits-hit").first.wait_for()
    settle(page)
    assert query(page)["query"] == "pharmacy"
    assert cards(page)[0] == "1. pharmacy.jpg"
    card = page.locator(".odits-hit").first
    expect(card).to_contain_text("% sure")
    expect(card).to_contain_text("Read “")
    expect(card.get_by_role("img", name="pharmacy.jpg with pharmacy outlined")).to_be_visible()
    expect(card.get_by_role("img", name="The place enlarged")).to_be_visible()
    assert mistakes(page) == []


def test_wrong_letters_and_no_result(search: str, page: Page) -> None:
    visit(page, f"{search}&query=pharmasy&wrong=1")
    assert cards(page)[0] == "1. pharmacy.jpg"
    expect(page.locator(".odits-hit").first).to_contain_text("1 letter differs")
    visit(page, f"{search}&query=zzxqj")
    expect(page.get_by_text("No image shows zzxqj").first).to_be_visible()
    assert cards(page) == []


def test_both_rankings_side_by_side_and_the_table(search: str, page: Page) -> None:
    visit(page, f"{search}&query=hotel&ranking=beside")
    page.get_by_role("button", name=re.compile("Embed 6 images")).click()
    expect(page.get_by_role("heading", name="By reading")).to_be_visible()
    settle(page)
    assert cards(page)[0] == "1. hotel.jpg"
    expect(page.get_by_text(re.compile(r"\d\. by CLIP")).first).to_be_visible()
    assert len(cards(page)) > 6, "CLIP gives every image a place"
    with page.expect_download() as download:
        page.get_by_role("button", name="Results").first.click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["image"] == "hotel.jpg" and float(rows[0]["probability"]) > 0.5
    assert mistakes(page) == []


def test_it_fits_a_narrow_window(search: str, page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    visit(page, f"{search}&query=cafe&part-of=True")
    assert cards(page)[0] == "1. cafe.jpg"
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
