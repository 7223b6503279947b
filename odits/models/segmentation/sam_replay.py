"""SAM's masks once at loose thresholds, and its filters replayed over them: the masks of another run, without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from odits.core.errors import OditsError
from odits.core.progress import Progress
from odits.core.store import pack_arrays, unpack_arrays
from odits.objects.filters import Suppression

if TYPE_CHECKING:
    from odits.models.segmentation.sam_generator import MaskCandidate


class Filters(NamedTuple):
    """The filters that come after SAM, as in `odits.models.segmentation.parameters.SamParameters`.

    Example:
        >>> Filters(box_nms_thresh=0.5)
        Filters(pred_iou_thresh=0.88, stability_score_thresh=0.95, box_nms_thresh=0.5, min_mask_region_area=0)
    """

    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    box_nms_thresh: float = 0.7
    min_mask_region_area: int = 0


@dataclass(frozen=True, eq=False)
class MaskCandidates:
    """All masks of one image that pass loose thresholds, in the order in which SAM gives them.

    Attributes:
        size: height and width that SAM saw.
        least: the loose thresholds on quality and stability.
        crop_nms_thresh: as in SamParameters.
        crops: int64 (R, 4), the crops searched; x0, y0, x1, y1.
        quality: predicted IoU, float32 (K,).
        stability: stability score, float32 (K,).
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
    _survivors: dict[tuple[float, ...], list[int]] = field(default_factory=dict, repr=False)
    _starts: list[int] = field(default_factory=list, repr=False)
    _crops: list[tuple[np.ndarray, Suppression]] = field(default_factory=list, repr=False)

    def mask(self, index: int) -> np.ndarray:
        """Return a mask at the size that SAM saw, bool (H, W)."""
        if not self._starts:
            sides = self.box[:, 2:] - self.box[:, :2] + 1
            self._starts.extend([0, *np.cumsum(-(-sides.prod(axis=1) // 8)).tolist()])
        x0, y0, x1, y1 = self.box[index]
        count = int((y1 - y0 + 1) * (x1 - x0 + 1))
        packed = self.bits[self._starts[index] : self._starts[index + 1]]
        mask = np.zeros(self.size, bool)
        mask[y0 : y1 + 1, x0 : x1 + 1] = np.unpackbits(packed, count=count).view(bool).reshape(y1 - y0 + 1, -1)
        return mask

    def cleaned(self, index: int, area: int) -> tuple[bool, np.ndarray]:
        """Return whether a mask has holes or islands smaller than `area`, and its box without them; cached."""
        key = (index, area)
        if key not in self._cleaned:
            window = self._window(index, area)
            mask, changed = _clean(self.mask(index)[window], area)
            corner = np.array([window[1].start, window[0].start] * 2)
            self._cleaned[key] = (changed, _box(mask) + corner if mask.any() else _box(mask))
        return self._cleaned[key]

    def _window(self, index: int, area: int) -> tuple[slice, slice]:
        """Return rows and columns around a mask in which it is cleaned as in the whole image, much sooner.

        The ground around the mask must not pass for a hole: on every side there is as much of it as makes `area`.
        """
        x0, y0, x1, y1 = self.box[index].tolist()
        aside, above = -(-area // (y1 - y0 + 1)), -(-area // (x1 - x0 + 1))
        height, width = self.size
        rows = slice(max(0, y0 - above), min(height, y1 + 1 + above))
        return rows, slice(max(0, x0 - aside), min(width, x1 + 1 + aside))

    def count(self, filters: Filters) -> int:
        """Count the masks that SAM's generator would return with these filters. Raises OditsError as `replay`."""
        return len(replay(self, filters))

    def by_crop(self) -> list[tuple[np.ndarray, Suppression]]:
        """Return for each crop its candidates, best first, int64 (k,), and the suppression of duplicates among them."""
        if not self._crops:
            for number in range(len(self.crops)):
                some = np.flatnonzero(self.crop == number)
                order = some[np.argsort(-self.quality[some], kind="stable")]
                self._crops.append((order, Suppression(self.box[order])))
        return self._crops

    def to_bytes(self) -> bytes:
        """Encode the candidates as a NumPy archive."""
        return pack_arrays({item.name: getattr(self, item.name) for item in fields(self) if item.name[0] != "_"})

    @classmethod
    def from_bytes(cls, content: bytes) -> MaskCandidates:
        """Decode what `to_bytes` wrote. Raises ValueError or KeyError where it did not."""
        arrays = unpack_arrays(content)
        values: dict[str, Any] = {item.name: arrays[item.name] for item in fields(cls) if item.name[0] != "_"}
        values["size"] = tuple(values["size"].tolist())
        values["least"] = tuple(values["least"].tolist())
        values["crop_nms_thresh"] = float(values["crop_nms_thresh"])
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Replayed:
    """The masks that pass filters: indices of candidates in SAM's order, cleaned of small regions on demand."""

    candidates: MaskCandidates
    filters: Filters
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def masks(self) -> list[np.ndarray]:
        """Return the masks, bool (H, W) each."""
        area = self.filters.min_mask_region_area
        masks = [self.candidates.mask(index) for index in self.indices]
        return [_clean(mask, area)[0] for mask in masks] if area else masks


def collect(
    model: Any, image: np.ndarray, arguments: dict[str, Any], progress: Progress | None = None
) -> MaskCandidates:
    """Compute the candidates of an image.

    Args:
        model: a `Sam`.
        image: RGB as SAM is to see it, uint8 (H, W, 3).
        arguments: of SamAutomaticMaskGenerator; its thresholds on quality and stability are the loose ones.
        progress: called with (done, of); what it raises ends the work.
    """
    from odits.models.segmentation.sam_generator import MaskGenerator

    return candidates_of(MaskGenerator(model, progress, **arguments), image)


class CandidateGenerator(Protocol):
    """Yields the masks of an image that pass its thresholds, crop by crop, duplicates among them."""

    pred_iou_thresh: float
    stability_score_thresh: float
    crop_nms_thresh: float

    def candidates(self, image: np.ndarray) -> Iterator[tuple[list[int], list[MaskCandidate]]]:
        """Yield every crop, as x0, y0, x1, y1, with its masks."""
        ...


def candidates_of(generator: CandidateGenerator, image: np.ndarray) -> MaskCandidates:
    """Compute the candidates of an image, RGB, uint8 (H, W, 3), with a generator."""
    crops, pairs, crop = [], [], []
    for number, (crop_box, masks) in enumerate(generator.candidates(image)):
        crops.append(crop_box)
        pairs += [(item, crop_box) for item in masks]
        crop += [number] * len(masks)
    return MaskCandidates(
        size=(image.shape[0], image.shape[1]),
        least=(generator.pred_iou_thresh, generator.stability_score_thresh),
        crop_nms_thresh=generator.crop_nms_thresh,
        crops=np.array(crops, np.int64),
        quality=np.array([item.quality for item, _ in pairs], np.float32),
        stability=np.array([item.stability for item, _ in pairs], np.float32),
        crop=np.array(crop, np.int64),
        box=np.array([np.add(item.box, box[:2] * 2) for item, box in pairs], np.int64).reshape(-1, 4),
        bits=np.concatenate([np.empty(0, np.uint8), *(item.bits for item, _ in pairs)]),
    )


def replay(candidates: MaskCandidates, filters: Filters) -> Replayed:
    """Find the masks that SAM's generator would return with these filters.

    Args:
        candidates: of an image.
        filters: not looser than the thresholds of the candidates.

    Raises:
        OditsError: a threshold is looser than that of the candidates.
    """
    for name, value, least in zip(filters._fields, filters[:2], candidates.least, strict=False):
        if value < least:
            raise OditsError(f"{name} cannot be tried below {least:g}: the masks were computed with that threshold.")
    if filters[:3] not in candidates._survivors:
        candidates._survivors[filters[:3]] = _without_duplicates(candidates, *filters[:3])
    survivors = candidates._survivors[filters[:3]]
    if filters.min_mask_region_area and survivors:
        cleaned = [candidates.cleaned(index, filters.min_mask_region_area) for index in survivors]
        boxes = np.array([box for _, box in cleaned])
        unchanged = np.array([not changed for changed, _ in cleaned], np.float32)
        order = _suppress(boxes, unchanged, max(filters.box_nms_thresh, candidates.crop_nms_thresh))
        survivors = [survivors[index] for index in order]
    return Replayed(candidates, filters, tuple(survivors))


def _without_duplicates(
    candidates: MaskCandidates, min_quality: float, min_stability: float, iou_threshold: float
) -> list[int]:
    """Return indices of the masks that pass the thresholds and have no better duplicate, in SAM's order."""
    passes = np.ones(len(candidates.quality), bool)
    if min_quality > 0:
        passes &= candidates.quality > np.float32(min_quality)
    if min_stability > 0:
        passes &= candidates.stability >= np.float32(min_stability)
    survivors: list[int] = []
    for order, suppression in candidates.by_crop():
        survivors += order[suppression.survivors(passes[order], iou_threshold)].tolist()
    if len(candidates.crops) > 1:
        sizes = (candidates.crops[:, 2:] - candidates.crops[:, :2]).prod(axis=1)
        scores = (1 / sizes[candidates.crop[survivors]]).astype(np.float32)
        order = _suppress(candidates.box[survivors], scores, candidates.crop_nms_thresh)
        survivors = [survivors[index] for index in order]
    return survivors


def _suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return the indices of the survivors, best first, by the function that segment-anything uses."""
    import torch
    from torchvision.ops.boxes import batched_nms

    tensors = torch.as_tensor(boxes).float(), torch.as_tensor(scores)
    survivors: np.ndarray = batched_nms(*tensors, torch.zeros(len(boxes)), iou_threshold=threshold).numpy()
    return survivors


def _clean(mask: np.ndarray, area: int) -> tuple[np.ndarray, bool]:
    """Remove holes and islands smaller than `area`, and return whether there were any."""
    from segment_anything.utils.amg import remove_small_regions

    mask, filled = remove_small_regions(mask, area, mode="holes")
    mask, removed = remove_small_regions(mask, area, mode="islands")
    return mask, filled or removed


def _box(mask: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 of a mask's pixels, both ends within, int64 (4,); zeros where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array((columns[0], rows[0], columns[-1], rows[-1]) if len(rows) else (0, 0, 0, 0), np.int64)
