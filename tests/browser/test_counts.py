"""The page "Object counts" as its users have it: counted in the background, moved by sliders, searched."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import REPOSITORY, Serve, mistakes, settle, visit
from tests.browser.test_app import query

DEMO = REPOSITORY / "assets" / "demo"


def count(page: Page) -> None:
    """Has all images counted, unless they are."""
    page.get_by_role("button", name="Count objects in 10 images").or_(page.get_by_test_id("stMetric")).first.wait_for()
    button = page.get_by_role("button", name="Count objects in 10 images")
    if button.is_visible():
        button.click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Images")).to_contain_text("10")
    settle(page)


@pytest.fixture(scope="module")
def counts(browser: Browser, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page over a data set of ten small images."""
    folder = tmp_path_factory.mktemp("street")
    rows = [("file", "words", "split")]
    for number, path in enumerate([*sorted(DEMO.glob("*.jpg")), *sorted(DEMO.glob("*.jpg"))[:4]]):
        with Image.open(path) as whole:
            whole.crop((50 * number, 0, 50 * number + 300, 240 + 20 * number)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", "BAR CAFE", "train"))
    with (folder / "lexicons.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return f"{serve(REPOSITORY, data=folder)}/counts?images=train"


def mean(page: Page) -> float:
    shown = page.get_by_test_id("stMetric").filter(has_text="Mean").get_by_test_id("stMetricValue")
    return float(shown.inner_text())


def test_counted_beside_the_page_then_moved_searched_and_saved(
    counts: str, page: Page, browser: Browser, tmp_path: Path
) -> None:
    visit(page, counts)
    page.get_by_role("button", name="Count objects in 10 images").click()
    expect(page.get_by_role("progressbar").first).to_be_visible()
    other = browser.new_page()  # a second visitor sees that it runs, and where it is
    visit(other, counts)
    expect(other.get_by_text("This is running already").or_(other.get_by_text("10", exact=True)).first).to_be_visible()
    other.close()
    page.get_by_role("link", name="Data", exact=True).click()  # another page: the count goes on
    settle(page)
    visit(page, counts)
    expect(page.get_by_test_id("stMetric").filter(has_text="Images")).to_contain_text("10")
    settle(page)
    before = mean(page)
    expect(page.get_by_text("from a normal distribution at the 5 % level").first).to_be_visible()
    page.get_by_role("button", name=re.compile(r"Search \d+ settings")).click()
    page.get_by_role("button", name="Use the best").click()
    expect(page.get_by_role("heading", name="Filters, by how close the counts are to a normal")).to_be_visible()
    settle(page)
    assert "filter-" in str(query(page)) and mean(page) != before
    expect(page.get_by_text("the test says yes more often than its p-value promises").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Filters").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filters"] for row in rows[:3]] == ["as found", "sliders", "best 1"]
    assert float(rows[2]["A²"]) == float(rows[1]["A²"]) <= float(rows[0]["A²"])
    page.get_by_role("button", name="Back to all").click()
    settle(page)
    assert mean(page) == before
    assert mistakes(page) == []


def test_a_key_moves_a_slider_and_the_link_keeps_it(counts: str, page: Page) -> None:
    visit(page, counts)
    count(page)
    page.get_by_role("slider").first.press("ArrowRight")
    settle(page)
    assert query(page)["filter-least_confidence"] == "0.05"
    page.reload()
    settle(page)
    assert query(page)["filter-least_confidence"] == "0.05"
    expect(page.get_by_role("slider").first).to_have_value("0.05")


def test_it_fits_a_narrow_window(counts: str, page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    visit(page, f"{counts}&distribution=weibull_min&scale=density")
    count(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
    expect(page.get_by_text("Weibull distribution at the 5 % level").first).to_be_visible()
    assert mistakes(page) == []
