"""Word spotting on the page Words, with the real networks in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import mistakes, visit


def test_words_are_read_in_the_picture(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg&vocabulary=demo&model=spotting")
    expect(page.get_by_text("Word spotting with PP-OCRv6-small")).to_be_visible()
    figure = page.get_by_label(re.compile("^The picture with the words found: .*BOOKS"))
    expect(figure).to_be_visible()
    expect(figure.get_by_text("LUNA", exact=True)).to_be_visible()
    expect(page.get_by_text("found (9)")).to_be_visible()
    assert mistakes(page) == []


def test_two_models_see_and_read_side_by_side(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=hotel.jpg&vocabulary=demo&compare=True&model2=spotting")
    expect(page.get_by_text("ODITS Signs", exact=True).last).to_be_visible()
    expect(page.get_by_text("Word spotting with PP-OCRv6-small")).to_be_visible()
    expect(page.get_by_label(re.compile("^The 10 most probable words")).nth(1)).to_be_visible()
    assert mistakes(page) == []
