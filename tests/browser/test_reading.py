"""Word spotting on the page Words, with the real networks in a real browser."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import mistakes, settle, visit


def test_words_are_read_in_the_picture(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg&vocabulary=demo&model=spotting")
    expect(page.get_by_text("Word spotting with PP-OCRv6-small")).to_be_visible()
    figure = page.get_by_label(re.compile("^The picture with the words found: .*BOOKS"))
    expect(figure).to_be_visible()
    expect(figure.get_by_text("LUNA", exact=True)).to_be_visible()
    expect(page.get_by_text("found (9)")).to_be_visible()
    assert mistakes(page) == []


def test_two_models_see_and_read_side_by_side(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=hotel.jpg&vocabulary=demo&compare=True&model=spotting")
    expect(page.get_by_text("ODITS Signs", exact=True).last).to_be_visible()
    expect(page.get_by_text("Word spotting with PP-OCRv6-small")).to_be_visible()
    expect(page.get_by_label(re.compile("^The 10 most probable words")).nth(1)).to_be_visible()
    assert mistakes(page) == []


def test_another_spotters_results_stand_beside_ours(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg&vocabulary=demo&model=spotting")
    page.get_by_text("Compare with another spotter").click()
    chooser = (
        page.get_by_test_id("stExpander").filter(has_text="Compare with another spotter").locator("input[type=file]")
    )
    chooser.set_input_files({"name": "broken.json", "mimeType": "application/json", "buffer": b"{not json"})
    expect(page.get_by_text("broken.json is not a JSON file.")).to_be_visible()
    settle(page)
    entries = [
        {"image_name": "cafe.jpg", "polys": [[10, 10], [200, 10], [200, 60], [10, 60]], "rec": "Luna", "score": 0.9},
        {"image_name": "cafe.jpg", "polys": [[10, 80], [200, 80], [200, 120], [10, 120]], "rec": "zebra", "score": 0.9},
    ]
    content = json.dumps(entries).encode()
    chooser.set_input_files({"name": "deepsolo.json", "mimeType": "application/json", "buffer": content})
    expect(page.get_by_text("deepsolo", exact=True)).to_be_visible()
    settle(page)  # while a run draws the columns anew, the former picture stands beside its successor
    expect(page.get_by_label(re.compile("^The picture with the words found: LUNA$"))).to_be_visible()
    expect(page.get_by_label(re.compile("^The picture with the words found: .*BOOKS"))).to_be_visible()
    settle(page)
    assert mistakes(page) == []
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("deepsolo", exact=True)).not_to_be_visible()
    settle(page)
    expect(page.get_by_label(re.compile("^The picture with the words found: "))).to_have_count(1)
