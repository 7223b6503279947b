"""SAM's masks once at loose thresholds, and its filters replayed over them: what a run anew would give, at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.objects.filters import Suppression


class Filters(NamedTuple):
    """The filters that come after SAM, as in `odits.models.segmentation.sam.SamParameters`."""

    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    box_nms_thresh: float = 0.7
    min_mask_region_area: int = 0


@dataclass(frozen=True, eq=False)
class KeptCandidates:
    """All masks of one image that pass loose thresholds, in the order in which SAM gives them.

    Attributes:
        size: height and width that SAM saw.
        least: the loose thresholds on quality and stability.
        crop_nms_thresh: as in SamParameters.
        crops: int64 (R, 4), the crops searched; x0, y0, x1, y1.
        quality, stability: float32 (K,).
        crop: int64 (K,), which crop a mask is of.
        box: int64 (K, 4), in the whole image, both ends within.
        bits: uint8, the packed pixels of all boxes in turn.
    """

    size: tuple[int, int]
    least: tuple[float, float]
    crop_nms_thresh: float
    crops: np.ndarray
    quality: np.ndarray
    stability: np.ndarray
    crop: np.ndarray
    box: np.ndarray
    bits: np.ndarray
    _cleaned: dict[tuple[int, int], tuple[bool, np.ndarray]] = field(default_factory=dict, repr=False)
    _stays: dict[tuple[float, ...], list[int]] = field(default_factory=dict, repr=False)
    _starts: list[int] = field(default_factory=list, repr=False)
    _crops: list[tuple[np.ndarray, Suppression]] = field(default_factory=list, repr=False)

    def mask(self, index: int) -> np.ndarray:
        """bool (H, W): a mask at the size that SAM saw."""
        if not self._starts:
            sides = self.box[:, 2:] - self.box[:, :2] + 1
            self._starts.extend([0, *np.cumsum(-(-sides.prod(axis=1) // 8)).tolist()])
        x0, y0, x1, y1 = self.box[index]
        count = int((y1 - y0 + 1) * (x1 - x0 + 1))
        packed = self.bits[self._starts[index] : self._starts[index + 1]]
        found = np.zeros(self.size, bool)
        found[y0 : y1 + 1, x0 : x1 + 1] = np.unpackbits(packed, count=count).view(bool).reshape(y1 - y0 + 1, -1)
        return found

    def cleaned(self, index: int, area: int) -> tuple[bool, np.ndarray]:
        """Whether a mask has holes or islands smaller than `area`, and its box without them; remembered."""
        key = (index, area)
        if key not in self._cleaned:
            window = self._window(index, area)
            mask, changed = _clean(self.mask(index)[window], area)
            corner = np.array([window[1].start, window[0].start] * 2)
            self._cleaned[key] = (changed, _box(mask) + corner if mask.any() else _box(mask))
        return self._cleaned[key]

    def _window(self, index: int, area: int) -> tuple[slice, slice]:
        """Rows and columns around a mask in which it is cleaned as in the whole image, much sooner.

        The ground around the mask must not pass for a hole: on every side there is as much of it as makes `area`.
        """
        x0, y0, x1, y1 = self.box[index].tolist()
        aside, above = -(-area // (y1 - y0 + 1)), -(-area // (x1 - x0 + 1))
        height, width = self.size
        rows = slice(max(0, y0 - above), min(height, y1 + 1 + above))
        return rows, slice(max(0, x0 - aside), min(width, x1 + 1 + aside))

    def count(self, filters: Filters) -> int:
        """How many masks SAM's generator would return with these filters. Raises OditsError as `replay`."""
        return len(replay(self, filters))

    def by_crop(self) -> list[tuple[np.ndarray, Suppression]]:
        """For each crop its candidates, best first, int64 (k,), and the suppression of doubles among them."""
        if not self._crops:
            for number in range(len(self.crops)):
                some = np.flatnonzero(self.crop == number)
                order = some[np.argsort(-self.quality[some], kind="stable")]
                self._crops.append((order, Suppression(self.box[order])))
        return self._crops

    def to_bytes(self) -> bytes:
        """The candidates as a NumPy archive, for a file."""
        target = io.BytesIO()
        kept: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self) if item.name[0] != "_"}
        np.savez_compressed(target, **kept)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> KeptCandidates:
        """What `to_bytes` wrote. Raises ValueError or KeyError where it did not."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            values: dict[str, Any] = {item.name: archive[item.name] for item in fields(cls) if item.name[0] != "_"}
        values["size"] = tuple(values["size"].tolist())
        values["least"] = tuple(values["least"].tolist())
        values["crop_nms_thresh"] = float(values["crop_nms_thresh"])
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Replayed:
    """What the filters leave: indices of candidates in SAM's order, and masks that were cleaned of small regions."""

    kept: KeptCandidates
    filters: Filters
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def masks(self) -> list[np.ndarray]:
        """bool (H, W) each."""
        area = self.filters.min_mask_region_area
        found = [self.kept.mask(index) for index in self.indices]
        return [_clean(mask, area)[0] for mask in found] if area else found


def collect(
    model: Any, image: np.ndarray, arguments: dict[str, Any], advance: Callable[[int, int], None] | None = None
) -> KeptCandidates:
    """The candidates of an RGB image, uint8 (H, W, 3).

    Args:
        model: a `Sam`.
        image: as SAM is to see it.
        arguments: of SamAutomaticMaskGenerator; its thresholds on quality and stability are the loose ones.
        advance: called with (done, of); what it raises ends the work.
    """
    from odits.models.segmentation.sam_generator import MaskGenerator

    generator = MaskGenerator(model, advance, **arguments)
    crops, found, crop = [], [], []
    for number, (crop_box, candidates) in enumerate(generator.candidates(image)):
        crops.append(crop_box)
        found += [(item, crop_box) for item in candidates]
        crop += [number] * len(candidates)
    return KeptCandidates(
        size=(image.shape[0], image.shape[1]),
        least=(generator.pred_iou_thresh, generator.stability_score_thresh),
        crop_nms_thresh=generator.crop_nms_thresh,
        crops=np.array(crops, np.int64),
        quality=np.array([item.quality for item, _ in found], np.float32),
        stability=np.array([item.stability for item, _ in found], np.float32),
        crop=np.array(crop, np.int64),
        box=np.array([np.add(item.box, box[:2] * 2) for item, box in found], np.int64).reshape(-1, 4),
        bits=np.concatenate([np.empty(0, np.uint8), *(item.bits for item, _ in found)]),
    )


def replay(kept: KeptCandidates, filters: Filters) -> Replayed:
    """The masks that SAM's generator would return with these filters.

    Raises:
        OditsError: a threshold is looser than the one that the candidates were kept at.
    """
    for name, value, least in zip(filters._fields, filters[:2], kept.least, strict=False):
        if value < least:
            raise OditsError(f"{name} cannot be tried below {least:g}: the masks were computed with that threshold.")
    if filters[:3] not in kept._stays:
        kept._stays[filters[:3]] = _without_doubles(kept, *filters[:3])
    stay = kept._stays[filters[:3]]
    if filters.min_mask_region_area and stay:
        cleaned = [kept.cleaned(index, filters.min_mask_region_area) for index in stay]
        boxes = np.array([box for _, box in cleaned])
        unchanged = np.array([not changed for changed, _ in cleaned], np.float32)
        order = _suppress(boxes, unchanged, max(filters.box_nms_thresh, kept.crop_nms_thresh))
        stay = [stay[index] for index in order]
    return Replayed(kept, filters, tuple(stay))


def _without_doubles(kept: KeptCandidates, least_quality: float, least_stability: float, overlap: float) -> list[int]:
    """Indices of the masks that pass the thresholds and have no better double, in SAM's order."""
    passes = np.ones(len(kept.quality), bool)
    if least_quality > 0:
        passes &= kept.quality > np.float32(least_quality)
    if least_stability > 0:
        passes &= kept.stability >= np.float32(least_stability)
    stay: list[int] = []
    for order, suppression in kept.by_crop():
        stay += order[suppression.survivors(passes[order], overlap)].tolist()
    if len(kept.crops) > 1:
        sides = (kept.crops[:, 2:] - kept.crops[:, :2]).prod(axis=1)
        order = _suppress(kept.box[stay], (1 / sides[kept.crop[stay]]).astype(np.float32), kept.crop_nms_thresh)
        stay = [stay[index] for index in order]
    return stay


def _suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices that stay, best first, by the function that segment-anything uses."""
    import torch
    from torchvision.ops.boxes import batched_nms

    tensors = torch.as_tensor(boxes).float(), torch.as_tensor(scores)
    found: np.ndarray = batched_nms(*tensors, torch.zeros(len(boxes)), iou_threshold=threshold).numpy()
    return found


def _clean(mask: np.ndarray, area: int) -> tuple[np.ndarray, bool]:
    """A mask without holes and islands smaller than `area`, and whether it had any."""
    from segment_anything.utils.amg import remove_small_regions

    mask, filled = remove_small_regions(mask, area, mode="holes")
    mask, removed = remove_small_regions(mask, area, mode="islands")
    return mask, filled or removed


def _box(mask: np.ndarray) -> np.ndarray:
    """int64 (4,): x0, y0, x1, y1 of a mask's pixels, both ends within; zeros where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array((columns[0], rows[0], columns[-1], rows[-1]) if len(rows) else (0, 0, 0, 0), np.int64)
