"""The stage in a real browser: unbroken columns, linked words, full screen that stays, a file that plays offline."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import mistakes, press, settle, visit

STAGE = "stage?images=demo&model=embedded&model2=spotting&model3=&list=cafe.jpg%0Abakery.jpg"


def test_the_stage_is_shown_turned_and_saved(page: Page, app: str, browser: Browser, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    visit(page, f"{app}/{STAGE}")
    rows = page.locator("tr[data-word]")
    expect(rows.first).to_be_visible()
    assert mistakes(page) == []
    for row in rows.all():  # a cell a model, all in one line
        tops = {round(cell.bounding_box()["y"]) for cell in row.locator("td").all()}  # type: ignore[index]
        assert row.locator("td").count() == 2 and len(tops) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    rows.nth(1).hover()
    expect(rows.nth(1)).to_have_class("lit")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    press(page, "ArrowRight", "bakery.jpg")
    settle(page)
    expect(page.locator("figcaption b")).to_have_text("bakery.jpg")
    assert page.evaluate("document.fullscreenElement !== null"), "the next picture stays on the full screen"
    page.keyboard.press("f")

    page.locator('[class*="st-key-start-stage-file"] button').click()
    with page.expect_download() as saved:
        page.locator(".st-key-stage-save button").click()
    file = tmp_path / "stage.html"
    saved.value.save_as(file)
    context = browser.new_context(offline=True)
    alone = context.new_page()
    asked: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(file.as_uri())
    expect(alone.locator("figcaption b:visible")).to_have_text("cafe.jpg")
    alone.keyboard.press("ArrowRight")
    expect(alone.locator("figcaption b:visible")).to_have_text("bakery.jpg")
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    context.close()
