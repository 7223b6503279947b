"""The parameters of the embedded segmenter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields

from odits.errors import OditsError

NAME = "Text regions + colour regions (not SAM)"


@dataclass(frozen=True)
class RegionParameters:
    """What the embedded segmenter can be told; `metadata["help"]` of each field says it to users."""

    side: int = field(
        default=512, metadata={"help": "The image is reduced to this many pixels on its longer side for the regions."}
    )
    superpixel: int = field(default=9, metadata={"help": "Distance of the superpixels' centres, in reduced pixels."})
    smallest: float = field(
        default=0.003, metadata={"help": "Regions smaller than this part of the image are dropped."}
    )
    largest: float = field(default=0.4, metadata={"help": "No region is larger than this part of the image."})
    noise: float = field(
        default=7.0,
        metadata={"help": "Colour differences below this are not taken for a border. Higher: fewer regions."},
    )
    detail: float = field(default=0.93, metadata={"help": "1 favours whole objects, smaller values their parts."})
    min_stability: float = field(
        default=0.1, metadata={"help": "Regions that stand out from their surroundings less than this are dropped."}
    )
    text: bool = field(default=True, metadata={"help": "Find lines of text too."})
    text_side: int = field(
        default=1024, metadata={"help": "The image is reduced to this many pixels on its longer side for the text."}
    )
    text_threshold: float = field(default=0.5, metadata={"help": "Text detections with a lower score are dropped."})
    nms_iou: float = field(
        default=0.7, metadata={"help": "Of two objects whose masks overlap by more than this IoU, the surer one stays."}
    )
    max_objects: int = field(
        default=100, metadata={"help": "The most confident regions up to this many objects are kept."}
    )

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "side": (64, 2048),
            "superpixel": (3, 64),
            "smallest": (0, 1),
            "largest": (0, 1),
            "noise": (0.1, 1000),
            "detail": (0.1, 2),
            "min_stability": (0, 1),
            "text_side": (64, 4096),
            "text_threshold": (0, 1),
            "nms_iou": (0, 1),
            "max_objects": (1, 1000),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise OditsError(f"{name} must lie between {low:g} and {high:g}, but is {getattr(self, name)}.")

    @property
    def key(self) -> str:
        """Identifies the segmenter with these values; caches key on it."""
        text = ";".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"regions-1-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
