"""SAM's masks approximately: fewer points, and half precision where the processor has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from odits.models.sam_decoder import CHUNK, PointDecoder
from odits.models.sam_generator import MaskGenerator
from odits.models.sam_masks import Candidate
from odits.models.sam_threads import Workers

COARSEST = 4  # cells along a side of the first grid
AT_ONCE = 2  # chunks of points between looks at what is settled
SETTLED = 0.1  # a mask that covers more of the image than this leaves its points to be asked about


class ApproximateGenerator(MaskGenerator):
    """Like MaskGenerator, sooner, with masks that differ.

    Points go from a coarse grid to the full one, and those in a mask that was accepted already are skipped. A mask that
    covers more than a tenth of the image settles nothing: it may be the wall behind everything. The encoder works in
    bfloat16 where the processor has instructions for it; elsewhere every mask is one of exact SAM's, before doubles are
    dropped.
    """

    def _embed(self, pixels: Tensor, step: Callable[[], None]) -> Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=has_bfloat16(pixels.device)):
            return super()._embed(pixels, step).float()

    def _candidates(
        self, decoder: PointDecoder, points: np.ndarray, input_size: tuple[int, int], size: tuple[int, int]
    ) -> Iterator[Candidate]:
        coordinates = self._coordinates(points, size)
        waiting = np.array(coarse_to_fine(points / size[::-1]), np.int64)

        def work(chosen: np.ndarray) -> list[Candidate]:
            decoded = zip(points[chosen], decoder.decode(*decoder.tokens(coordinates[chosen])), strict=True)
            return [
                found for place, item in decoded for found in self._survivors(decoder, item, place, input_size, size)
            ]

        with Workers(self.predictor.device) as workers:
            while len(waiting):
                # The same points at once whatever the number of cores, so that the masks do not depend on it.
                round_, before = np.array_split(waiting[: AT_ONCE * CHUNK], AT_ONCE), len(waiting)
                waiting = waiting[AT_ONCE * CHUNK :]
                for found in workers.map(work, [chosen for chosen in round_ if len(chosen)]):
                    for candidate in found:
                        yield candidate
                        if candidate.inside().sum() <= SETTLED * size[0] * size[1]:
                            waiting = waiting[~candidate.covers(points[waiting])]
                self._step(before - len(waiting))


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than 32-bit floats here: elsewhere it is emulated, which takes longer."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in known)


def coarse_to_fine(points: np.ndarray) -> list[int]:
    """Indices of all points (P, 2), in 0..1: first one in every cell of a coarse grid, then of grids twice as fine."""
    waiting, side = list(range(len(points))), COARSEST
    order: list[int] = []
    while waiting:
        rest = []
        taken = {(min(x, side - 1), min(y, side - 1)) for x, y in np.floor(points[order] * side).astype(int).tolist()}
        for index in waiting:
            x, y = (min(int(value * side), side - 1) for value in points[index])
            if (x, y) in taken and side < 4096:  # points at one place never part
                rest.append(index)
            else:
                taken.add((x, y))
                order.append(index)
        waiting, side = rest, side * 2
    return order


class Agreement(NamedTuple):
    """How well other masks stand for the exact ones.

    Attributes:
        mean_iou: mean over the exact masks of the IoU with the other mask that fits best.
        found: part of the exact masks whose best IoU is at least `AGREED`.
    """

    mean_iou: float
    found: float


AGREED = 0.8


def agreement(exact: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> Agreement:
    """How well `other` masks (compressed COCO run lengths, as are `exact`) stand for the exact ones.

    Both are 1 where there is no exact mask.
    """
    from pycocotools import mask as coco

    if not exact:
        return Agreement(1.0, 1.0)
    if not other:
        return Agreement(0.0, 0.0)
    best = np.asarray(coco.iou(list(exact), list(other), [False] * len(other))).max(axis=1)
    return Agreement(float(best.mean()), float((best >= AGREED).mean()))
