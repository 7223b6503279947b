"""The page "Browse" as annotators have it: evaluate, look, mark by key, come back, compare, take the marks along."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import mistakes, settle, visit

DEMO = "browse?images=demo&vocabulary=demo&model=embedded"


@pytest.fixture(scope="session")
def evaluated(app: str, browser: Browser) -> str:
    """The address of the page with the demo images evaluated: by its own button, the first time."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    visit(page, f"{app}/{DEMO}")
    evaluate = page.get_by_role("button", name="Evaluate 6 images")
    expect(evaluate.or_(names(page).first)).to_be_visible()
    if evaluate.count():  # another test may have done it already
        expect(page.get_by_text("has not been evaluated on these 6 images").first).to_be_visible()
        evaluate.click()
    expect(names(page)).to_have_count(6, timeout=600_000)
    assert mistakes(page) == []
    page.close()
    return f"{app}/{DEMO}"


def names(page: Page):  # type: ignore[no-untyped-def]
    """The buttons that open an image."""
    return page.locator('.st-key-gallery [class*="st-key-open-"] button')


def marked(page: Page, count: int) -> None:
    """Waits until so many words are marked."""
    expect(page.get_by_text(f"{count} of 60 words marked").first).to_be_visible()


def chosen(page: Page) -> list[str]:
    """The verdicts that are given, in the order of the words."""
    texts = page.locator('[class*="st-key-word-"] [data-testid="stBaseButton-primary"]:visible').all_inner_texts()
    # beside the word stands an icon
    return [re.findall("Right|Wrong|Unsure", text)[0] for text in texts]


def test_the_gallery_sorts_filters_and_opens(evaluated: str, page: Page) -> None:
    visit(page, f"{evaluated}&sort=right&order=high")
    right = [int(text[0]) for text in page.get_by_text(re.compile(r"^\d of 10 right")).all_inner_texts()]
    assert len(right) == 6
    assert right == sorted(right, reverse=True)
    page.get_by_label("Word", exact=True).fill("hote")
    page.keyboard.press("Enter")
    page.locator(".st-key-gallery-filter").get_by_label("Where").click()
    page.get_by_role("option", name="in the lexicon").click()
    expect(page).to_have_url(re.compile("place=lexicon"))
    expect(names(page)).to_have_text(["hotel.jpg"])
    settle(page)
    page.locator(".st-key-card-0").click(position={"x": 60, "y": 60})  # anywhere on the card
    expect(page.get_by_text("hotel.jpg 1 of 1").first).to_be_visible()
    assert mistakes(page) == []
    settle(page)  # the address is written at the end of a run
    page.go_back()
    expect(names(page)).to_have_count(1)


def test_marks_by_key_survive_a_reload_and_are_saved_as_csv(evaluated: str, page: Page) -> None:
    visit(page, f"{evaluated}&annotator=Anna")
    names(page).nth(1).click()
    expect(page.get_by_text("hotel.jpg 2 of 6").first).to_be_visible()
    settle(page)
    for key in ("r", "w", "ArrowDown", "j", "k", "u", "ArrowRight", "r", "ArrowLeft"):
        page.keyboard.press(key)  # as fast as they come: none is lost, and they count in this order
    marked(page, 4)
    expect(page.get_by_text("hotel.jpg 2 of 6").first).to_be_visible()
    settle(page)
    assert chosen(page) == ["Right", "Wrong", "Unsure"]
    field = page.get_by_label(re.compile("^Note on"))
    field.fill("ruwx")  # letters typed into a field are no keys
    field.press("Enter")
    expect(page.locator(".st-key-word-0").get_by_text("ruwx")).to_be_visible()
    page.reload()
    marked(page, 4)
    settle(page)
    assert chosen(page) == ["Right", "Wrong", "Unsure"]
    expect(page.locator(".st-key-word-0").get_by_text("ruwx")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="My marks").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    found = sorted((row["image"], row["verdict"], row["note"]) for row in rows)
    assert [(row["annotator"], row["data"]) for row in rows] == [("Anna", "demo")] * 4
    assert found == [
        ("cafe.jpg", "right", ""),
        ("hotel.jpg", "right", "ruwx"),
        ("hotel.jpg", "unsure", ""),
        ("hotel.jpg", "wrong", ""),
    ]
    second_annotator(page, evaluated, text)


def second_annotator(page: Page, evaluated: str, annas: str) -> None:
    """Ben marks two of Anna's words; the agreement of the two is shown, and Anna's file is taken in again."""
    visit(page, f"{evaluated}&annotator=Ben&view=image&opened=hotel.jpg")
    for verdict, row in (("right", 0), ("right", 1)):
        page.locator(f".st-key-{verdict}-{row} button").click()
        marked(page, row + 1)
    page.get_by_text("Agreement", exact=True).click()
    expect(page.get_by_text(re.compile(r"both marked 2 words and agree on 1 .50\.0 %.")).first).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="kappa")).to_contain_text("0.00")
    files = {"name": "anna.csv", "mimeType": "text/csv", "buffer": annas.replace("Anna", "Carla").encode()}
    page.locator('input[type="file"]').first.set_input_files(files)
    expect(page.get_by_text("anna.csv holds 4 marks of Carla; 4 of them are new here.").first).to_be_visible()
    files |= {"name": "bad.csv", "buffer": annas.replace("right", "maybe").encode()}
    page.locator('input[type="file"]').first.set_input_files(files)
    expect(page.get_by_text("There is no verdict 'maybe'").first).to_be_visible()
    assert len(mistakes(page)) == 1


def test_it_fits_a_narrow_window(evaluated: str, page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    main = page.get_by_test_id("stMain")
    for view in ("gallery", "image"):
        visit(page, f"{evaluated}&annotator=Zoe&view={view}&opened=hotel.jpg")
        assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
        assert mistakes(page) == []
