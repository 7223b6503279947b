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
