"""The page "Objects" as its users have it: hidden by a key, beside the original, filtered, exported; SAM at work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pycocotools.coco import COCO

from tests.browser.conftest import mistakes, press, settle, visit
from tests.browser.test_app import query
from tests.models.segmentation.small_hub_sam import write_small_sam2, write_small_sam3
from tests.models.segmentation.small_sam import write_small_sam

CAFE = "objects?images=demo&image=cafe.jpg&vocabulary=demo"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAM with random weights that finds something."""
    return write_small_sam(tmp_path_factory.mktemp("sam"))


def headline(page: Page) -> str:
    return page.get_by_text(re.compile(r"\d+ objects")).first.inner_text()


def test_one_key_hides_the_objects_and_shows_them_again(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}")
    expect(page.get_by_text("Press H to hide the objects.").first).to_be_visible()
    press(page, "h", "Press H to show them again.")
    press(page, "h", "Press H to hide the objects.")
    assert mistakes(page) == []


def test_the_picture_names_objects_under_the_pointer_and_comes_near(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}")
    stage, image = page.locator(".st-key-pane-overlay .stage"), page.locator(".st-key-pane-overlay .world img")
    assert image.evaluate("image => image.naturalWidth") > 100, "the picture is there"
    stage.hover(position={"x": 60, "y": 60})
    expect(page.locator(".st-key-pane-overlay .tip")).to_contain_text(re.compile(r"Object \d+ · .*area [\d,]+ px"))
    before = image.bounding_box()
    page.get_by_role("button", name="Zoom in").click()
    near = image.bounding_box()
    assert before is not None and near is not None and near["width"] > 1.4 * before["width"]
    page.get_by_role("button", name="Whole picture").click()
    assert image.bounding_box() == before
    assert mistakes(page) == []


def test_opacity_and_outlines_redraw_without_a_new_picture(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}")
    path = page.locator(".st-key-pane-overlay .stage path").first
    path.evaluate("path => { path.oditsSame = true; }")

    def style(name: str) -> float:
        return float(path.evaluate("(path, name) => parseFloat(getComputedStyle(path)[name])", name))

    assert style("fillOpacity") == pytest.approx(0.45) and style("strokeWidth") == 1.5
    page.locator(".st-key-opacity").get_by_role("slider").press("ArrowRight")
    page.wait_for_function("path => getComputedStyle(path).fillOpacity === '0.5'", arg=path.element_handle())
    page.locator(".st-key-outline label").click()
    page.wait_for_function("path => getComputedStyle(path).strokeWidth === '0px'", arg=path.element_handle())
    page.get_by_role("heading", level=1).click()  # a key that a field has is the field's
    page.keyboard.press("h")
    page.wait_for_function("path => getComputedStyle(path).opacity === '0'", arg=path.element_handle())
    assert path.evaluate("path => path.oditsSame"), "the objects were sent once"


def test_a_click_beside_all_objects_lets_go_of_the_one_chosen(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}&object=4&size=2-5")
    heading = page.get_by_role("heading", name="Object 4", exact=True)
    expect(heading).to_be_visible()
    stage = page.locator(".st-key-pane-overlay .stage")
    free = stage.evaluate(
        """stage => {
          stage.scrollIntoView();
          const area = stage.getBoundingClientRect();
          for (let y = 60; y < area.height; y += 4) for (let x = 3; x < area.width; x += 4)
            if (stage.getRootNode().elementFromPoint(area.x + x, area.y + y)?.tagName === "svg") return { x, y };
        }"""
    )
    stage.click(position=free)
    expect(heading).to_have_count(0)
    assert "object" not in query(page)


def test_original_and_objects_side_by_side(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}&look=pair")
    expect(page.get_by_text("Original", exact=True).first).to_be_visible()
    expect(page.get_by_text("With objects", exact=True).first).to_be_visible()
    left = page.locator(".st-key-pane-original").bounding_box()
    right = page.locator(".st-key-pane-segmented").bounding_box()
    assert left is not None and right is not None
    assert left["x"] + left["width"] <= right["x"] + 1 and abs(left["y"] - right["y"]) < 2
    assert query(page)["look"] == "pair"


def test_filters_of_a_link_and_the_coco_export_of_what_is_shown(app: str, page: Page) -> None:
    visit(page, f"{app}/{CAFE}")
    every = int(re.findall(r"\d+", headline(page))[0])
    visit(page, f"{app}/{CAFE}&size=0.5-100")
    fewer, of = map(int, re.findall(r"\d+", headline(page))[:2])
    assert 0 < fewer < of == every
    with page.expect_download() as download:
        page.get_by_role("button", name="COCO").first.click()
    coco = COCO(str(download.value.path()))
    assert len(coco.getAnnIds()) == fewer, "what is shown is saved"
    for item in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(item).sum() == item["area"]
    assert mistakes(page) == []


def test_sam_works_beside_the_page_and_can_be_stopped(app: str, page: Page, weights: Path) -> None:
    address = f"{app}/objects?images=demo&image=market.jpg&vocabulary=demo&segmenter=sam:file&weights={weights}"
    visit(page, f"{address}&sam-points_per_side=96&sam-pred_iou_thresh=0.3&sam-stability_score_thresh=0.0")
    expect(page.get_by_test_id("stProgress").get_by_text("Finding objects in market.jpg")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped.").first).to_be_visible()
    expect(page.get_by_role("button", name="Find the objects")).to_be_visible()
    visit(page, f"{address}&sam-points_per_side=2&sam-pred_iou_thresh=0.3&sam-stability_score_thresh=0.0")
    expect(page.get_by_text(re.compile("SAM with 2 layers of width 32")).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ objects?")).first).to_be_visible()
    settle(page)
    assert mistakes(page) == []


LOOSE = "sam-points_per_side=2&sam-pred_iou_thresh=0.0&sam-stability_score_thresh=0.0&sam-box_nms_thresh=1.0"


def test_sam_2_finds_everything_and_answers_a_click(app: str, page: Page, tmp_path: Path) -> None:
    address = f"{app}/{CAFE}&segmenter=sam2:folder&weights={write_small_sam2(tmp_path / 'sam2')}&{LOOSE}"
    visit(page, address)
    expect(page.get_by_text(re.compile(r"\d+ objects? .*by SAM 2")).first).to_be_visible()
    visit(page, f"{address}&do=one")
    picture = page.get_by_alt_text("The picture to click on")
    box = picture.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile("Masks, with the quality|Nothing was found there")).first).to_be_visible()
    settle(page)
    assert mistakes(page) == []


def test_sam_3_finds_what_a_text_names(app: str, page: Page, tmp_path: Path) -> None:
    folder = write_small_sam3(tmp_path / "sam3")
    visit(page, f"{app}/{CAFE}&segmenter=sam3:folder&weights={folder}&{LOOSE}&sam-text_threshold=0.05&sam-text=sign")
    expect(page.get_by_text(re.compile("named by the text asked for")).first).to_be_attached()
    settle(page)
    assert mistakes(page) == []


def test_it_fits_a_narrow_window(app: str, page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    visit(page, f"{app}/{CAFE}")
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
    assert mistakes(page) == []
