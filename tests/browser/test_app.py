"""The app as its users have it: a real server, a real browser, real models."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import REPOSITORY, Serve, mistakes, press, settle, visit

PAGES = {
    "": "Words",
    "browse": "Browse",
    "search": "Search",
    "objects": "Objects",
    "explain": "Explain",
    "counts": "Object counts",
    "models": "Models",
    "checkpoints": "Checkpoints",
    "data": "Data",
}


def query(page: Page) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def demo_image() -> bytes:
    """A demo image as somebody's own file: another format, another size."""
    image = Image.open(REPOSITORY / "assets" / "demo" / "cafe.jpg").resize((640, 480))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def plain(width: int, height: int) -> bytes:
    """A picture without anything in it."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (120, 140, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator('input[type="file"]').first.set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )
    page.wait_for_timeout(1000)
    settle(page)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_without_an_error_and_fits_a_narrow_window(app: str, page: Page, path: str) -> None:
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    visit(page, f"{app}/{path}")
    expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])
    expect(page).to_have_title(f"{PAGES[path]} · ODITS Explorer")
    assert mistakes(page) == []
    assert [url for url in failed if "localhost" not in url] == [], "a page must not need the network"
    page.set_viewport_size({"width": 800, "height": 900})
    page.wait_for_timeout(500)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1


def test_words_of_a_demo_image_with_model_checkpoint_and_vocabulary_named(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg&vocabulary=demo&model=embedded")
    expect(page.locator(".odits-bars")).to_be_visible()
    said = page.get_by_text(re.compile(r"checkpoint [0-9a-f]{12}")).inner_text()
    assert "demo images, all words (38 words)" in said
    expect(page.locator(".odits-bars tbody th")).to_have_count(10)


def test_arrow_keys_go_to_the_next_and_the_previous_image(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&vocabulary=demo&model=embedded")
    expect(page.get_by_text("1 of 6").first).to_be_visible()
    press(page, "ArrowRight", "2 of 6")
    settle(page)
    assert query(page)["image"] == "hotel.jpg"
    press(page, "ArrowLeft", "1 of 6")


def test_fast_steps_are_not_lost(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&vocabulary=demo&model=embedded")
    for number in range(2, 6):
        press(page, "ArrowRight", f"{number} of 6")
    settle(page)
    assert query(page)["image"] == "theater.jpg"


def test_a_link_reopens_the_same_view(app: str, page: Page, browser: Browser) -> None:
    visit(page, f"{app}/?images=demo&image=hotel.jpg&vocabulary=typed&words=HOTEL, CAFE, BAR&model=embedded")
    press(page, "ArrowRight", "3 of 6")
    settle(page)
    other = browser.new_page()
    visit(other, page.url)
    expect(other.get_by_text("3 of 6")).to_be_visible()
    expect(other.get_by_text("typed words (3 words)")).to_be_visible()
    assert query(other) == query(page)
    other.close()


def test_pages_share_the_image_and_the_vocabulary(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=market.jpg&vocabulary=lexicon")
    page.get_by_role("link", name="Objects", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Objects")
    settle(page)
    found = query(page)
    assert (found["image"], found["vocabulary"]) == ("market.jpg", "lexicon")


def test_going_back_in_the_browser_goes_back_to_the_image(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=bakery.jpg&vocabulary=demo&model=embedded")
    press(page, "ArrowRight", "2 of 6")
    settle(page)
    page.go_back()
    expect(page.get_by_text("1 of 6").first).to_be_visible()


def test_an_upload_gives_words_and_masks(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=upload&vocabulary=demo&model=embedded")
    expect(page.get_by_text("Add one or several images").first).to_be_visible()
    upload(page, ("mine.png", demo_image()))
    expect(page.get_by_text("1 of 1").first).to_be_visible()
    expect(page.locator(".odits-bars tbody th")).to_have_count(10)
    page.get_by_role("link", name="Objects", exact=True).click()
    expect(page.get_by_text(re.compile(r"^\d+ objects")).first).to_be_visible()
    settle(page)
    expect(page.locator(".st-key-pane-overlay .stage path").nth(1)).to_be_attached()
    assert mistakes(page) == []


def test_a_broken_upload_gives_one_sentence_and_the_others_stay(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=upload&vocabulary=demo&model=embedded")
    upload(page, ("broken.png", demo_image()[:2000]), ("good.png", demo_image()))
    told = mistakes(page)
    assert len(told) == 1
    assert "broken.png" in told[0]
    assert "Traceback" not in page.content()
    expect(page.get_by_text("1 of 1").first).to_be_visible()


def test_forty_pictures_at_once_and_some_of_odd_sizes(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=upload&model=spotting")
    files = [("dot.png", plain(1, 1)), ("wide.png", plain(20_000, 300))]
    upload(page, *files, *((f"plain-{number}.png", plain(60 + number, 40)) for number in range(38)))
    expect(page.get_by_text("40 images of yours").first).to_be_visible()
    expect(page.get_by_text("No readable words").first).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("2 of 40").first).to_be_visible()
    expect(page.get_by_text("No readable words").first).to_be_visible()
    assert mistakes(page) == []


def test_a_link_to_an_object_shows_its_words(app: str, page: Page) -> None:
    visit(page, f"{app}/objects?images=demo&image=cafe.jpg&vocabulary=demo&object=2")
    expect(page.get_by_role("heading", name="Object 2", exact=True)).to_be_visible()
    expect(page.locator(".odits-bars tbody th")).to_have_count(10)


def test_clicking_the_picture_selects_an_object(app: str, page: Page) -> None:
    visit(page, f"{app}/objects?images=demo&image=cafe.jpg&vocabulary=demo")
    box = page.locator(".st-key-pane-overlay .stage").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    expect(page.get_by_role("heading", name=re.compile(r"^Object \d+$"))).to_be_visible()
    settle(page)
    assert query(page)["object"].isdecimal()


def test_counts_come_with_a_sentence_where_there_are_too_few_images(app: str, page: Page) -> None:
    visit(page, f"{app}/counts?images=demo")
    count, counted = (
        page.get_by_role("button", name=re.compile("^(Count objects|Go on)")),
        page.get_by_text("Standard deviation", exact=True),
    )
    expect(count.or_(counted).first).to_be_visible()
    if count.count():  # another test may have done it already
        count.click()
    expect(counted).to_be_visible()
    settle(page)
    expect(page.get_by_text("needs at least 8 images").first).to_be_visible()
    assert mistakes(page) == []


def test_svt_facts(app: str, page: Page, svt: Path) -> None:
    visit(page, f"{app}/data")
    expect(page.get_by_text("5,363", exact=True).first).to_be_visible()
    expect(page.get_by_text("1,464", exact=True).first).to_be_visible()
    expect(page.get_by_text("5,265 of the 5,363 words occur at most 20 times").first).to_be_visible()


def test_a_link_to_a_page_without_svt_on_a_fresh_server(
    browser: Browser, serve: Serve, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very first visit is by a link to a page, and there is no data set: the page says how to get one."""
    monkeypatch.delenv("ODITS_DATA", raising=False)
    for name in ("app.py", "pages", "odits", "assets", ".streamlit"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    address = serve(tmp_path)
    visit(page, f"{address}/data")
    expect(page.get_by_role("link", name="Object counts")).to_be_visible()
    expect(page.get_by_test_id("stAlertContentInfo").get_by_text("Get the archive svt.zip")).to_be_visible()
    page.get_by_role("link", name="Words", exact=True).click()
    expect(page.get_by_text("1 of 6").first).to_be_visible()
    settle(page)
    assert mistakes(page) == []
