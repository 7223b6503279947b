"""The embedded segmenter: lines of text, and regions of one colour and texture. It is not SAM, and its name says so.

Regions: superpixels by watershed from the calmest points of a grid; neighbours merged greedily, cheapest first
(Salembier and Garrido's binary partition tree, 2000); and the tree cut as HDBSCAN cuts its own (Campello et al., 2013):
the regions whose lifetime in the tree, weighted by area, is largest in sum. Everything is deterministic.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import supervision as sv
from PIL import Image

from odits.core.progress import Progress, no_progress
from odits.models.reading.rapidocr import TextDetector
from odits.models.reference import EMBEDDED_SEGMENTER
from odits.models.segmentation.parameters import RegionParameters
from odits.objects.detections import make_detections, mask_box, suppress


class RegionSegmenter:
    """Text lines (rapidocr's detector) and regions of one colour (a merge tree's steadiest cut).

    Deterministic, no download, under a second or two on one core. A text object's confidence is the detector's score;
    a region's is its stability: 1 − (cost at which it came together) / (cost at which it was absorbed), near 1 for a
    plain sign on a contrasting wall, near 0 for a patch among similar ones. It is not a probability.

    Args:
        parameters: the defaults unless given.
        threads: of the text detector's network; all cores by default.

    Example:
        >>> image = Image.new("RGB", (640, 480), "lightblue")
        >>> image.paste("firebrick", (160, 120, 440, 360))
        >>> objects = RegionSegmenter(RegionParameters(text=False, smallest=0.02)).segment(image)
        >>> objects.mask.shape, objects.data["kind"].tolist(), objects.xyxy.round().astype(int).tolist()
        ((1, 480, 640), ['region'], [[160, 120, 440, 360]])
    """

    name = EMBEDDED_SEGMENTER

    def __init__(self, parameters: RegionParameters | None = None, threads: int | None = None) -> None:
        self.parameters = parameters or RegionParameters()
        self.key = self.parameters.key
        self._detector = TextDetector(self.parameters.text_side, self.parameters.text_threshold, threads)

    def segment(
        self,
        image: Image.Image,
        progress: Progress | None = None,
        lines: Sequence[tuple[np.ndarray, float]] | None = None,
    ) -> sv.Detections:
        """Find the objects of an RGB image, kinds "text" and "region", as `odits.data.predictions.Segmenter` says.

        Args:
            image: the image.
            progress: called with (done, of).
            lines: corners (4, 2) and score of its lines of text where they are known; they are looked for by default.
        """
        progress = progress or no_progress
        p = self.parameters
        scale = min(1.0, p.side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = cv2.resize(np.asarray(image.convert("RGB"))[..., ::-1], size, interpolation=cv2.INTER_AREA)
        if lines is None:
            lines = self._detector.detect(image) if p.text else []
        progress(1, 2)
        factor = np.array([size[0] / image.width, size[1] / image.height], np.float32)
        text = [(_polygon(corners * factor, size), score) for corners, score in lines]
        written = np.any([mask for mask, _ in text], axis=0) if text else np.zeros(size[::-1], bool)
        regions = self._regions(small, written)
        progress(2, 2)
        # Text first: where a region coincides with a line, the line says more.
        ordered = sorted(text, key=lambda item: -item[1]) + sorted(regions, key=lambda item: -item[1])
        survivors = suppress([mask for mask, _ in ordered], p.nms_iou)[: p.max_objects]
        kinds = ["text" if index < len(text) else "region" for index in survivors]
        full_size = {id(mask): corners for (mask, _), (corners, _) in zip(text, lines, strict=True)}
        masks = (
            _polygon(full_size[id(ordered[index][0])], image.size) if kind == "text" else ordered[index][0]
            for index, kind in zip(survivors, kinds, strict=True)
        )
        return make_detections(masks, [ordered[index][1] for index in survivors], kinds, image.size)

    def _regions(self, small: np.ndarray, written: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Find regions of the reduced image with their stability, letters filled in."""
        p = self.parameters
        if min(small.shape[:2]) < 2 * p.superpixel:
            return []
        regions = cut_tree(build_tree(small, p.superpixel), p.smallest, p.largest, p.noise, p.detail)
        # Letters come out as regions of their own: they belong to the line of text, and to the sign behind them.
        regions = [
            (mask, stability)
            for mask, stability in regions
            if stability >= p.min_stability and np.count_nonzero(mask & written) <= 0.5 * np.count_nonzero(mask)
        ]
        covered = np.any([mask for mask, _ in regions], axis=0) if regions else written
        free = written | ~covered
        return [(_smooth(_fill_holes(mask, free)), stability) for mask, stability in regions]


def _polygon(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the inside of a polygon with (n, 2) corners in pixels, bool (H, W) for `size` (W, H)."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 1)
    return canvas.astype(bool)


def _smooth(mask: np.ndarray) -> np.ndarray:
    """Remove the steps and spurs that the superpixels leave."""
    window = _window(mask, 2)  # as far as the median reaches
    smooth = np.zeros_like(mask)
    smooth[window] = cv2.medianBlur(mask[window].astype(np.uint8), 5).astype(bool)
    return smooth


def _fill_holes(mask: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Fill those holes of a mask that are at least half `free` (text, or no region's)."""
    box = _window(mask, 0)
    inside, around = mask[box].copy(), free[box]
    count, parts, stats, _ = cv2.connectedComponentsWithStats((~inside).astype(np.uint8), connectivity=4)
    height, width = inside.shape
    for part in range(1, count):
        x, y, w, h, area = stats[part]
        if x == 0 or y == 0 or x + w == width or y + h == height:
            continue
        rows = np.s_[y : y + h, x : x + w]
        hole = parts[rows] == part
        if 2 * np.count_nonzero(hole & around[rows]) >= area:
            inside[rows] |= hole
    filled = mask.copy()
    filled[box] = inside
    return filled


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that a mask takes, and a margin around them."""
    x0, y0, x1, y1 = mask_box(mask)
    return slice(max(0, y0 - margin), y1 + margin), slice(max(0, x0 - margin), x1 + margin)


# Lightness counts less than hue, for a shadow changes the one and not the other; edges tell texture.
FEATURE_WEIGHTS = np.array([0.6, 1.3, 1.3, 0.5], np.float32)
EDGE_LIMIT = 40.0


@dataclass(frozen=True, eq=False)
class RegionTree:
    """A binary merge tree over superpixels.

    Nodes 0..n-1 are superpixels, the following ones merges in the order in which they happened; the last is the root.

    Attributes:
        labels: int32 (h, w), the superpixel of every pixel, 0..n-1.
        area: pixels of each node.
        birth: cost of the merge that made the node (0 for a superpixel), never decreasing.
        death: cost of the merge that took the node up (infinite for the root).
        children: the two nodes merged, or None for a superpixel.
    """

    labels: np.ndarray
    area: list[float]
    birth: list[float]
    death: list[float]
    children: list[tuple[int, int] | None]

    @property
    def leaves(self) -> int:
        """The number of superpixels."""
        return (len(self.area) + 1) // 2

    def mask(self, node: int) -> np.ndarray:
        """Return the node's region, bool (h, w)."""
        chosen = np.zeros(self.leaves, bool)
        stack = [node]
        while stack:
            current = stack.pop()
            pair = self.children[current]
            if pair is None:
                chosen[current] = True
            else:
                stack.extend(pair)
        return chosen.take(self.labels)


def build_tree(bgr: np.ndarray, step: int) -> RegionTree:
    """Build the merge tree of an image.

    Args:
        bgr: uint8 (h, w, 3).
        step: distance of superpixel centres in pixels.
    """
    calm = cv2.bilateralFilter(cv2.bilateralFilter(bgr, 7, 35, 5), 7, 25, 5)
    lab = cv2.cvtColor(calm, cv2.COLOR_BGR2LAB).astype(np.float32)
    dx, dy = cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    edges = np.sqrt((dx**2 + dy**2).sum(axis=2)) / 8
    labels = superpixels(calm, edges, step)
    features = np.dstack([lab, np.minimum(edges, EDGE_LIMIT)]) * FEATURE_WEIGHTS
    return _merge(labels, features, edges)


def superpixels(bgr: np.ndarray, edges: np.ndarray, step: int) -> np.ndarray:
    """Compute superpixels by a watershed that starts at the calmest point of each cell of a grid.

    Args:
        bgr: uint8 (h, w, 3).
        edges: float32 (h, w), how strong the edges are.
        step: side of a cell in pixels.

    Returns:
        Labels int32 (h, w), 0..n-1.
    """
    height, width = edges.shape
    markers = np.zeros((height, width), np.int32)
    reach, number = max(1, step // 3), 0
    for y in range(step // 2, height, step):
        for x in range(step // 2, width, step):
            top, left = max(0, y - reach), max(0, x - reach)
            cell = edges[top : y + reach + 1, left : x + reach + 1]
            dy, dx = divmod(int(cell.argmin()), cell.shape[1])
            number += 1
            row, column = top + dy, left + dx
            markers[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = number
    if number == 0:
        return np.zeros((height, width), np.int32)
    labels = cv2.watershed(bgr, markers)
    # The watershed leaves lines one pixel wide between its basins: give each such pixel to the nearest basin.
    line = (labels <= 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(line, cv2.DIST_L1, 3, labelType=cv2.DIST_LABEL_PIXEL)
    basin = np.zeros(int(nearest.max()) + 1, np.int32)
    basin[nearest[line == 0]] = labels[line == 0]
    return np.unique(basin[nearest], return_inverse=True)[1].reshape(height, width).astype(np.int32)


def _borders(labels: np.ndarray, edges: np.ndarray) -> dict[tuple[int, int], tuple[float, float]]:
    """Measure (length, summed edge strength) of the border between each pair of neighbouring superpixels."""
    count = int(labels.max()) + 1
    keys, strengths = [], []
    for a, b, left, right in (
        (labels[:, :-1], labels[:, 1:], edges[:, :-1], edges[:, 1:]),
        (labels[:-1], labels[1:], edges[:-1], edges[1:]),
    ):
        at = a != b
        keys.append(np.minimum(a[at], b[at]).astype(np.int64) * count + np.maximum(a[at], b[at]))
        strengths.append(np.maximum(left[at], right[at]))
    unique, index = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(index, minlength=len(unique))
    strength = np.bincount(index, np.concatenate(strengths), minlength=len(unique))
    return {
        divmod(key, count): (float(n), float(s))
        for key, n, s in zip(unique.tolist(), length.tolist(), strength.tolist(), strict=True)
    }


def _merge(labels: np.ndarray, features: np.ndarray, edges: np.ndarray) -> RegionTree:
    """Merge neighbours greedily, cheapest first, into a tree.

    The cost is (distance of mean features + mean border strength) · size^0.35, with the smaller of the two areas as the
    size, in thousandths of the image.
    """
    flat = labels.ravel()
    count = int(flat.max()) + 1
    nodes = 2 * count - 1
    area = np.bincount(flat, minlength=count).tolist()
    sums = np.stack([np.bincount(flat, features[..., c].ravel(), count) for c in range(features.shape[2])], axis=1)
    mean: list[tuple[float, ...]] = [tuple(row) for row in (sums / np.array(area)[:, None]).tolist()]
    neighbours: list[dict[int, tuple[float, float]]] = [{} for _ in range(nodes)]
    for (i, j), border in _borders(labels, edges).items():
        neighbours[i][j] = neighbours[j][i] = border
    unit = flat.size / 1000

    def cost(i: int, j: int, border: tuple[float, float]) -> float:
        return (math.dist(mean[i], mean[j]) + border[1] / border[0]) * (min(area[i], area[j]) / unit) ** 0.35

    heap = [(cost(i, j, border), i, j) for i in range(count) for j, border in neighbours[i].items() if i < j]
    heapq.heapify(heap)
    birth, death = [0.0] * count, [math.inf] * count
    children: list[tuple[int, int] | None] = [None] * count
    alive, height = [True] * count, 0.0
    while heap:
        price, i, j = heapq.heappop(heap)
        if not (alive[i] and alive[j]):
            continue
        height = max(height, price)  # a merge made cheaper by an earlier one does not go back in time
        new, size = len(area), area[i] + area[j]
        alive[i] = alive[j] = False
        death[i] = death[j] = height
        mean.append(tuple((a * area[i] + b * area[j]) / size for a, b in zip(mean[i], mean[j], strict=True)))
        area.append(size)
        birth.append(height)
        death.append(math.inf)
        children.append((i, j))
        alive.append(True)
        for old in (i, j):
            for other, border in neighbours[old].items():
                if other not in (i, j):
                    n, s = neighbours[new].get(other, (0.0, 0.0))
                    neighbours[new][other] = (n + border[0], s + border[1])
        for other, border in neighbours[new].items():
            neighbours[other].pop(i, None)
            neighbours[other].pop(j, None)
            neighbours[other][new] = border
            heapq.heappush(heap, (cost(other, new, border), other, new))
    return RegionTree(labels, [float(a) for a in area], birth, death, children)


def cut_tree(
    tree: RegionTree, smallest: float, largest: float, noise: float, detail: float
) -> list[tuple[np.ndarray, float]]:
    """Cut the tree where the sum of log(death / birth) · area^detail over the regions is largest.

    Args:
        tree: from `build_tree`.
        smallest: least area of a region, as a fraction of the image.
        largest: greatest area, as a fraction of the image.
        noise: merges cheaper than this are not differences one sees.
        detail: exponent of the area; 1 favours wholes, less favours parts.

    Returns:
        Disjoint regions as (bool (h, w) mask, stability in 0..1), largest first.
    """
    total = tree.labels.size
    best = [0.0] * len(tree.area)
    chosen = [False] * len(tree.area)
    for node, area in enumerate(tree.area):
        part, own = area / total, 0.0
        if smallest <= part <= largest and math.isfinite(tree.death[node]):
            own = math.log(max(tree.death[node], noise) / max(tree.birth[node], noise)) * part**detail
        pair = tree.children[node]
        below = best[pair[0]] + best[pair[1]] if pair else 0.0
        chosen[node] = own > 0 and own >= below
        best[node] = max(own, below)
    regions, stack = [], [len(tree.area) - 1]
    while stack:
        node = stack.pop()
        pair = tree.children[node]
        if chosen[node]:
            regions.append((node, 1 - max(tree.birth[node], noise) / tree.death[node]))
        elif pair:
            stack.extend(pair)
    regions.sort(key=lambda item: (-tree.area[item[0]], item[0]))
    return [(tree.mask(node), stability) for node, stability in regions]
