"""The first screen in a real browser: a picture with its answer, and ways to put another picture in its place."""

from __future__ import annotations

import io
import re

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, expect

from tests.browser.conftest import mistakes, settle, visit

CHART = "^The 10 most probable words: "


def as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sign(word: str) -> bytes:
    """A sign with one word on it."""
    image = Image.new("RGB", (640, 360), (236, 232, 220))
    font = ImageFont.load_default(110)
    ImageDraw.Draw(image).text((60, 110), word, (30, 30, 60), font)
    return as_png(image)


def add(page: Page, name: str, content: bytes) -> None:
    chooser = page.locator('.st-key-add-images input[type="file"]')
    chooser.set_input_files([{"name": name, "mimeType": "image/png", "buffer": content}])
    expect(page.locator(".st-key-stepper").get_by_role("combobox")).to_have_value(name)
    settle(page)


def lowest(page: Page, *selectors: str) -> float:
    """The pixels from the window's top to the lowest edge of some elements."""
    boxes = [page.locator(selector).first.bounding_box() for selector in selectors]
    assert None not in boxes
    return max(box["y"] + box["height"] for box in boxes if box is not None)


def test_the_first_screen_answers_without_scrolling(app: str, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    visit(page, f"{app}/")
    expect(page.locator(".st-key-speaker").get_by_text("ODITS Street")).to_be_visible()
    expect(page.get_by_label(re.compile(CHART))).to_be_visible()
    objects = page.get_by_label(re.compile(r"^The picture with \d+ objects; those that carry \w+: .*text"))
    expect(objects).to_be_visible()
    expect(page.locator(".st-key-carriers")).to_contain_text("to its log-odds")
    assert page.locator('.st-key-strip [class*="st-key-thumb-"] button').count() == 6
    shown = (".st-key-pane-overlay .stage", ".st-key-pane-words .odits-bars", ".st-key-carriers")
    assert lowest(page, *shown) <= 720
    assert page.get_by_test_id("stMain").evaluate("element => element.scrollTop") == 0
    assert mistakes(page) == []


def test_a_click_on_a_bar_and_the_box_choose_the_word_whose_objects_are_shown(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg")
    bar = page.locator(".st-key-pane-words .odits-bars tbody b").nth(2)
    word = (page.locator(".st-key-pane-words .odits-bars tbody th").nth(2).text_content() or "").split()[-1]
    box = bar.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 6, box["y"] + box["height"] / 2)
    expect(page.get_by_label(re.compile(f"those that carry {word}: .*{word}"))).to_be_visible()
    expect(page.locator(".st-key-pane-overlay .labels").get_by_text(re.compile(rf"^{word} \+"))).to_be_visible()
    settle(page)
    page.locator(".st-key-pane-words").get_by_role("combobox").press("ArrowDown")
    page.get_by_role("option", name="Objects that carry LUNA").click()
    expect(page.get_by_label(re.compile("those that carry LUNA: .*LUNA"))).to_be_visible()
    expect(page).to_have_url(re.compile("word=LUNA"))


def test_a_word_is_chosen_by_keyboard_and_keeps_the_focus(app: str, page: Page) -> None:
    visit(page, f"{app}/?images=demo&image=cafe.jpg")
    words = page.locator(".st-key-pane-words .odits-bars tbody button")
    word = words.nth(1).inner_text()
    words.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label(re.compile(f"those that carry {word}: .*{word}"))).to_be_visible()
    expect(words.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(words.nth(1)).to_be_focused()
    assert page.get_by_test_id("stDataFrame").count() == 0
    page.get_by_text("The numbers").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.locator(".st-key-chart-0-save")).to_be_visible()
    assert mistakes(page) == []


def test_a_thumbnail_and_an_upload_take_the_pictures_place(app: str, page: Page) -> None:
    visit(page, f"{app}/")
    page.get_by_role("button", name="pharmacy.jpg").click()
    expect(page.get_by_text("4 of 6")).to_be_visible()
    expect(page.get_by_label(re.compile(CHART + ".*PHARMACY"))).to_be_visible()
    add(page, "mine.png", sign("GARAGE"))
    expect(page.get_by_text("1 of 1")).to_be_visible()
    expect(page.get_by_label(re.compile(CHART + "GARAGE"))).to_be_visible()
    page.get_by_role("button", name="cafe.jpg").click()
    expect(page.get_by_text("3 of 6")).to_be_visible()
    settle(page)
    assert mistakes(page) == []


def test_a_picture_is_pasted(app: str, page: Page) -> None:
    visit(page, f"{app}/")
    expect(page.locator(".st-key-paste [data-listens]")).to_be_attached()
    page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
          const data = new DataTransfer();
          data.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".st-key-stepper").get_by_role("combobox")).to_have_value("pasted.png")
    expect(page.get_by_text("No readable words")).to_be_visible()


def test_a_picture_without_words_gets_a_guess_marked_as_one(app: str, page: Page) -> None:
    visit(page, f"{app}/")
    gradient = Image.linear_gradient("L").resize((480, 360)).convert("RGB")
    add(page, "wall.png", as_png(gradient))
    expect(page.get_by_text("No readable words")).to_be_visible()
    expect(page.get_by_text("A guess, not read").or_(page.get_by_text("Nor is there a guess"))).to_be_visible()
    expect(page.get_by_label(re.compile(r"^The picture with \d+ objects"))).to_be_visible()
    assert mistakes(page) == []


def test_the_camera_is_asked_for_only_by_its_button(app: str, page: Page) -> None:
    visit(page, f"{app}/")
    assert page.get_by_test_id("stCameraInput").count() == 0
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_test_id("stCameraInput")).to_be_visible()


def test_three_models_side_by_side(app: str, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    visit(page, f"{app}/?images=demo&image=cafe.jpg&compare=True&model3=spotting")
    charts = page.locator('[class*="st-key-pane-model-"]')
    expect(charts).to_have_count(3)
    expect(page.get_by_label(re.compile(CHART))).to_have_count(3)
    tops = {round(box["y"]) for box in (chart.bounding_box() for chart in charts.all()) if box is not None}
    assert len(tops) == 1
    assert mistakes(page) == []
