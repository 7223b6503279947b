"""The embedded segmenter: what it finds in pictures whose objects are known."""

from __future__ import annotations

import dataclasses
import logging
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from odits.core.errors import OditsError
from odits.models.segmentation.parameters import RegionParameters
from odits.models.segmentation.regions import (
    RegionSegmenter,
    RegionTree,
    _borders,
    _fill_holes,
    _merge,
    build_tree,
    cut_tree,
    superpixels,
)

DEMO = Path(__file__).parents[3] / "assets" / "demo"


@pytest.fixture(scope="module")
def segmenter() -> RegionSegmenter:
    return RegionSegmenter()


@pytest.fixture(scope="module")
def street() -> Image.Image:
    """Sky, wall, road and a sign with a word, 800 × 600."""
    image = Image.new("RGB", (800, 600), (120, 170, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 180, 800, 460), fill=(170, 90, 70))
    draw.rectangle((0, 460, 800, 600), fill=(80, 80, 84))
    draw.rectangle((200, 220, 600, 320), fill=(20, 60, 40))
    draw.text((400, 270), "BAKERY", (250, 250, 240), ImageFont.load_default(70), anchor="mm")
    return image


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_parts_of_a_street_are_found(segmenter: RegionSegmenter, street: Image.Image) -> None:
    found = segmenter.segment(street)
    sky, road, sign = (np.zeros((600, 800), bool) for _ in range(3))
    sky[:180], road[460:], sign[220:320, 200:600] = True, True, True
    for part in (sky, road, sign):
        assert max(iou(mask, part) for mask in found.mask) > 0.9
    text = found.data["kind"] == "text"
    assert text.sum() == 1
    x0, y0, x1, y1 = found.xyxy[text][0]
    assert 200 < x0 < 320 and 480 < x1 < 600 and y0 > 220 and y1 < 320
    assert set(found.data["kind"]) == {"text", "region"}


def test_the_result_is_as_the_protocol_says(segmenter: RegionSegmenter, street: Image.Image) -> None:
    found = segmenter.segment(street)
    assert found.mask.dtype == bool and found.mask.shape == (len(found), 600, 800)
    assert found.xyxy.dtype == np.float32 and found.confidence.dtype == np.float32
    assert found.data["area"].dtype == np.int64
    assert found.data["area"].tolist() == found.mask.sum(axis=(1, 2)).tolist()
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()
    assert (np.diff(found.data["area"]) <= 0).all()
    for mask, (x0, y0, x1, y1) in zip(found.mask, found.xyxy.astype(int), strict=True):
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert mask[y0].any() and mask[y1 - 1].any() and mask[:, x0].any() and mask[:, x1 - 1].any()


def test_two_runs_agree(segmenter: RegionSegmenter, street: Image.Image) -> None:
    first, second = segmenter.segment(street), RegionSegmenter().segment(street)
    assert np.array_equal(first.mask, second.mask) and np.array_equal(first.confidence, second.confidence)


@pytest.mark.parametrize("name", sorted(path.name for path in DEMO.glob("*.jpg")))
def test_demo_images_have_objects_and_words(segmenter: RegionSegmenter, name: str) -> None:
    found = segmenter.segment(Image.open(DEMO / name))
    assert 5 <= len(found) <= 100
    assert (found.data["kind"] == "text").sum() >= 3


@pytest.mark.parametrize("name", ["00_03", "01_17", "02_13", "16_15"])
def test_svt_images_have_objects(svt: Path, segmenter: RegionSegmenter, name: str) -> None:
    found = segmenter.segment(Image.open(svt / "img" / f"{name}.jpg").convert("RGB"))
    assert 5 <= len(found) <= 100
    assert (found.data["kind"] == "text").sum() >= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (40, 30), (2000, 20)])
def test_odd_sizes(segmenter: RegionSegmenter, size: tuple[int, int]) -> None:
    found = segmenter.segment(Image.new("RGB", size, (90, 120, 150)))
    assert found.mask.shape[1:] == (size[1], size[0])
    assert found.xyxy.shape == (len(found), 4)


def test_a_blank_image_has_no_objects(segmenter: RegionSegmenter) -> None:
    found = segmenter.segment(Image.new("RGB", (640, 480), (200, 200, 200)))
    assert len(found) == 0 and found.mask.shape == (0, 480, 640) and len(found.data["kind"]) == 0


def test_parameters_matter(street: Image.Image) -> None:
    without = RegionSegmenter(RegionParameters(text=False)).segment(street)
    assert "text" not in set(without.data["kind"])
    assert len(RegionSegmenter(RegionParameters(max_objects=2)).segment(street)) == 2
    large = RegionSegmenter(RegionParameters(smallest=0.2)).segment(street)
    regions = large.data["area"][large.data["kind"] == "region"]
    assert (regions > 0.17 * 800 * 600).all()
    assert RegionSegmenter(RegionParameters(noise=9.0)).key != RegionSegmenter().key


@pytest.mark.parametrize("wrong", [{"side": 10}, {"superpixel": 0}, {"nms_iou": 2.0}, {"max_objects": 0}])
def test_values_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(OditsError, match=next(iter(wrong))):
        RegionParameters(**wrong)  # type: ignore[arg-type]


def test_every_parameter_says_what_it_does() -> None:
    for field in dataclasses.fields(RegionParameters):
        assert field.metadata["help"].endswith("."), field.name


def test_the_detector_is_quiet_and_needs_no_network(
    street: Image.Image, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(RegionSegmenter().segment(street)) > 0
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
    assert logging.getLogger("RapidOCR").level >= logging.CRITICAL


def test_superpixels_cover_the_image_and_keep_to_its_edges() -> None:
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[:, 67:] = 255
    edges = np.abs(cv2.Sobel(pixels[..., 0].astype(np.float32), cv2.CV_32F, 1, 0))
    labels = superpixels(pixels, edges, 9)
    assert labels.shape == (90, 120) and labels.min() == 0
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    left, right = set(labels[:, :65].ravel().tolist()), set(labels[:, 69:].ravel().tolist())
    assert not left & right


def test_the_tree_and_its_cut() -> None:
    pixels = np.full((100, 150, 3), 40, np.uint8)
    pixels[20:80, 30:100] = (30, 200, 220)
    tree = build_tree(pixels, 9)
    assert len(tree.area) == 2 * tree.leaves - 1
    assert tree.area[-1] == 100 * 150 and tree.mask(len(tree.area) - 1).all()
    assert all(birth <= death for birth, death in zip(tree.birth, tree.death, strict=True))
    for node, pair in enumerate(tree.children):
        if pair:
            assert tree.area[node] == tree.area[pair[0]] + tree.area[pair[1]]
            assert tree.birth[node] == tree.death[pair[0]] == tree.death[pair[1]]
    regions = cut_tree(tree, 0.003, 0.9, 7.0, 0.93)
    assert np.sum([mask for mask, _ in regions], axis=0).max() == 1  # disjoint
    block = np.zeros((100, 150), bool)
    block[20:80, 30:100] = True
    mask, stability = max(regions, key=lambda item: iou(item[0], block))
    assert iou(mask, block) > 0.9 and stability > 0.5


def test_borders_are_measured_on_both_axes() -> None:
    labels, edges = np.array([[0, 0, 1], [2, 2, 1]], np.int32), np.array([[1.0, 2, 3], [4, 5, 6]])
    assert _borders(labels, edges) == {(0, 1): (1.0, 3.0), (0, 2): (2.0, 9.0), (1, 2): (1.0, 6.0)}


def test_the_cheapest_neighbours_merge_first_at_the_cost_of_the_formula() -> None:
    labels, edges = np.array([[0, 0, 1], [2, 2, 1]], np.int32), np.array([[1.0, 2, 3], [4, 5, 6]])
    features = np.zeros((2, 3, 4), np.float32)
    features[labels == 1, 0], features[labels == 2, 0] = 10, 3
    tree = _merge(labels, features, edges)
    size = (2 / (6 / 1000)) ** 0.35
    assert tree.children == [None, None, None, (0, 2), (1, 3)] and tree.area == [2, 2, 2, 4, 6]
    # distance of the means and mean strength of the border; the second mean is (0 + 3) / 2, the border 2 long
    assert tree.birth == pytest.approx([0, 0, 0, (3 + 9 / 2) * size, (8.5 + 9 / 2) * size])
    assert tree.death == pytest.approx([tree.birth[3], tree.birth[4], tree.birth[3], tree.birth[4], np.inf])
    assert tree.leaves == 3 and tree.mask(3).tolist() == [[True, True, False], [True, True, False]]


def test_a_merge_made_cheaper_by_an_earlier_one_does_not_go_back() -> None:
    labels = np.array([[0, 0, 1, 2]], np.int32)
    features = np.zeros((1, 4, 1), np.float32)
    features[0, :, 0] = [0, 0, 10, 4]
    tree = _merge(labels, features, np.zeros((1, 4)))
    assert tree.birth[3] == pytest.approx(6 * 250**0.35)  # 1 and 2; their mean is 7, nearer to 0 than 1 was
    assert tree.birth[4] == pytest.approx(7 * 500**0.35)


@pytest.fixture
def tree() -> RegionTree:
    """Leaves of 2, 2, 4 and 8 of 16 pixels, merged at costs of 8, 16 and 64."""
    labels = np.repeat(np.array([0, 1, 2, 3], np.int32), [2, 2, 4, 8]).reshape(4, 4)
    death = [8.0, 8.0, 16.0, 64.0, 16.0, 64.0, np.inf]
    children = [None, None, None, None, (0, 1), (2, 4), (3, 5)]
    return RegionTree(labels, [2.0, 2, 4, 8, 4, 8, 16], [0.0, 0, 0, 0, 8, 16, 64], death, children)


@pytest.mark.parametrize(
    ("smallest", "largest", "noise", "detail", "expected"),
    [
        # the sum over regions of log(death / birth) · area^detail, equally good wholes before their parts
        (0.0, 0.5, 4.0, 1.0, [(3, 1 - 4 / 64), (5, 1 - 16 / 64)]),
        (0.0, 0.49, 4.0, 1.0, [(2, 1 - 4 / 16), (4, 1 - 8 / 16)]),
        (0.25, 0.49, 4.0, 1.0, [(2, 1 - 4 / 16), (4, 1 - 8 / 16)]),
        (0.26, 0.49, 4.0, 1.0, []),
        (0.0, 0.49, 4.0, 0.5, [(2, 1 - 4 / 16), (0, 1 - 4 / 8), (1, 1 - 4 / 8)]),
        (0.0, 0.2, 8.0, 1.0, []),  # what merges at the noise's cost is no region
        (0.0, 0.2, 7.9, 1.0, [(0, 1 - 7.9 / 8), (1, 1 - 7.9 / 8)]),
        (0.0, 1.0, 4.0, 1.0, [(3, 1 - 4 / 64), (5, 1 - 16 / 64)]),  # the whole image never ends
    ],
)
def test_the_tree_is_cut_where_regions_last_longest(
    tree: RegionTree, smallest: float, largest: float, noise: float, detail: float, expected: list[tuple[int, float]]
) -> None:
    found = cut_tree(tree, smallest, largest, noise, detail)
    assert [stability for _, stability in found] == pytest.approx([stability for _, stability in expected])
    assert all(np.array_equal(mask, tree.mask(node)) for (mask, _), (node, _) in zip(found, expected, strict=True))


def test_holes_are_filled_where_half_of_them_is_free() -> None:
    mask = np.ones((8, 9), bool)
    mask[2:4, 2:4] = mask[5:7, 5:7] = False
    mask[0, 5], mask[3, 8] = False, False  # open to the border
    free = np.zeros_like(mask)
    free[2, 2:4] = free[5, 5] = free[0, 5] = free[3, 8] = True
    filled = _fill_holes(mask, free)
    expected = mask.copy()
    expected[2:4, 2:4] = True
    assert np.array_equal(filled, expected)
    assert not mask[2, 2]


def test_regions_of_letters_and_unsteady_ones_are_left_out(street: Image.Image) -> None:
    small = np.asarray(street.resize((400, 300)))[..., ::-1].copy()
    plain = RegionParameters(text=False)
    regions = cut_tree(build_tree(small, 9), plain.smallest, plain.largest, plain.noise, plain.detail)
    nothing = np.zeros((300, 400), bool)

    def stabilities(written: np.ndarray, **changed: float) -> list[float]:
        segmenter = RegionSegmenter(dataclasses.replace(plain, **changed))
        return [stability for _, stability in segmenter._regions(small, written)]

    every = stabilities(nothing, min_stability=0.0)
    assert every == [stability for _, stability in regions] and len(every) > 3
    middle = sorted(every)[len(every) // 2]
    assert stabilities(nothing, min_stability=middle) == [one for one in every if one >= middle]
    assert stabilities(nothing, min_stability=np.nextafter(middle, 1)) == [one for one in every if one > middle]
    mask, stability = regions[0]
    pixels = np.argwhere(mask)
    written = nothing.copy()
    written[tuple(pixels[: len(pixels) // 2].T)] = True
    assert stabilities(written, min_stability=0.0) == every
    written[tuple(pixels[: len(pixels) // 2 + 1].T)] = True
    assert stabilities(written, min_stability=0.0) == every[1:] and stability == every[0]


def test_an_image_of_less_than_two_superpixels_has_no_regions() -> None:
    segmenter = RegionSegmenter(RegionParameters(text=False, smallest=0.0, largest=1.0, min_stability=0.0))
    small = np.zeros((18, 60, 3), np.uint8)
    small[:, 30:] = 255
    assert len(segmenter._regions(small, np.zeros((18, 60), bool))) > 0
    assert segmenter._regions(small[:17], np.zeros((17, 60), bool)) == []


def test_text_comes_before_regions_and_the_most_confident_first(
    street: Image.Image, segmenter: RegionSegmenter
) -> None:
    steps: list[tuple[int, int]] = []
    every = segmenter.segment(street, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    regions = np.sort(every.confidence[every.data["kind"] == "region"])[::-1]
    two = RegionSegmenter(RegionParameters(max_objects=2)).segment(street)
    assert sorted(two.data["kind"]) == ["region", "text"]
    assert two.confidence[two.data["kind"] == "region"][0] == regions[0]
