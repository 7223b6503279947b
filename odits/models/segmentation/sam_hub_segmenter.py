"""Objects by SAM 2 (Ravi et al., 2024) and SAM 3 (Carion et al., 2025): all of an image, or those that a text names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import supervision as sv
from PIL import Image

from odits.core.errors import OditsError
from odits.core.progress import Progress, no_progress
from odits.models.reference import ModelRef
from odits.models.segmentation.hub_sam import HubSam, identity_of
from odits.models.segmentation.parameters import SAM_SIDE, Sam3Parameters, SamParameters, parameters_of
from odits.objects.detections import make_detections

if TYPE_CHECKING:
    from odits.models.segmentation.sam_points import PromptedHubImage
    from odits.models.segmentation.sam_replay import MaskCandidates

LONGEST = 2048
"""Pixels along the longer side that an image is reduced to: twice what the networks see of it."""


class HubSamSegmenter:
    """SAM 2 or SAM 3 behind the Segmenter protocol; kind "mask", confidence the quality or the match it predicts.

    Args:
        ref: as `odits.models.reference.parse` returns it, with its weights on this machine.
        parameters: Table 3.2's values unless given; `Sam3Parameters` has a text.
        device: "auto", "cpu" or "cuda".

    Raises:
        OditsError: a part of the weights is missing, or a parameter is SAM 1's alone.
    """

    def __init__(self, ref: ModelRef, parameters: SamParameters | None = None, device: str = "auto") -> None:
        self._weights = HubSam(ref, device)
        self._set(parameters or parameters_of(ref.family)())

    def with_parameters(self, parameters: SamParameters) -> HubSamSegmenter:
        """Return a segmenter with the same networks, not loaded again, and other parameters."""
        other = object.__new__(HubSamSegmenter)
        other.__dict__.update(self.__dict__)
        other._set(parameters)
        return other

    def _set(self, parameters: SamParameters) -> None:
        self.parameters = parameters
        self.name, self.key = identity_of(self._weights, parameters)

    @property
    def _phrases(self) -> tuple[str, ...]:
        return self.parameters.phrases if isinstance(self.parameters, Sam3Parameters) else ()

    def encode(self, image: Image.Image) -> PromptedHubImage:
        """Encode an RGB image for points and boxes."""
        from odits.models.segmentation.sam_points import PromptedHubImage

        with self._weights.lock:
            return PromptedHubImage(self._weights.network("points"), image)

    def candidates(self, image: Image.Image, progress: Progress | None = None) -> MaskCandidates:
        """Compute the masks that pass the thresholds on quality and stability, for replaying stricter filters.

        Args:
            image: RGB.
            progress: called many times a minute.

        Raises:
            OditsError: a text is to be found, so that there are no such thresholds.
        """
        from odits.models.segmentation.sam_points import PointGenerator
        from odits.models.segmentation.sam_replay import candidates_of

        if self._phrases:
            raise OditsError("Filters can be replayed over the masks of points only: leave SAM 3's text empty.")
        network = self._weights.network("points")
        with self._weights.lock:
            return candidates_of(PointGenerator(network, self.parameters, progress), _reduced(image))

    def segment(self, image: Image.Image, progress: Progress | None = None) -> sv.Detections:
        """Find the objects of an RGB image, as `odits.data.predictions.Segmenter` says.

        Args:
            image: the image.
            progress: called many times a minute.
        """
        import torch

        try:
            return self._by_text(image, progress) if self._phrases else self._by_points(image, progress)
        except torch.OutOfMemoryError as error:
            raise OditsError(
                f"{self.name} ran out of GPU memory: use the CPU, a smaller model, or a lower points_per_batch."
            ) from error

    def _by_points(self, image: Image.Image, progress: Progress | None) -> sv.Detections:
        from odits.models.segmentation.sam_replay import Filters, replay

        found = self.candidates(image, progress)
        chosen = self.parameters
        # The area is in pixels of an image reduced to SAM's side, and the masks may be larger.
        area = round(chosen.min_mask_region_area * (max(1.0, max(found.size) / SAM_SIDE)) ** 2)
        replayed = replay(
            found, Filters(chosen.pred_iou_thresh, chosen.stability_score_thresh, chosen.box_nms_thresh, area)
        )
        confidence = found.quality[list(replayed.indices)].tolist()
        return make_detections(replayed.masks(), confidence, ["mask"] * len(replayed), image.size)

    def _by_text(self, image: Image.Image, progress: Progress | None) -> sv.Detections:
        from odits.models.segmentation.sam_text import find_phrases

        assert isinstance(self.parameters, Sam3Parameters)
        network = self._weights.network("text")
        with self._weights.lock:
            found = find_phrases(
                network, _reduced(image), self._phrases, self.parameters.text_threshold, progress or no_progress
            )
        return make_detections(
            [one.mask for one in found],
            [one.score for one in found],
            ["mask"] * len(found),
            image.size,
            [one.phrase for one in found],
        )


def _reduced(image: Image.Image) -> np.ndarray:
    """Return an image as uint8 (h, w, 3), reduced where its longer side has more than `LONGEST` pixels."""
    scale = min(1.0, LONGEST / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    rgb = image.convert("RGB")
    return np.asarray(rgb if size == image.size else rgb.resize(size, Image.Resampling.BILINEAR))
