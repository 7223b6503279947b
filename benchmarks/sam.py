"""SAM's masks of a whole image against the installed segment-anything, and the peak memory of both.

ViT-B's architecture with random weights (`benchmarks.random_sam`), set so that a part of the masks that is usual for
SAM passes the threshold on predicted IoU; with --weights, real weights and the default thresholds. The library's
generator and ours ("exact": the same masks) run in turn in one process, on the same image; peak memory is that of a
process of its own for each, with 64 points.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from segment_anything.modeling import Sam

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.random_sam import make_random
from benchmarks.reporting import parser, peak_megabytes, report
from odits.data import open_image
from odits.models.prepacked import plainly, prepack
from odits.models.segmentation.sam_generator import MaskGenerator
from odits.models.segmentation.sam_network import PointDecoder
from odits.models.segmentation.sam_weights import load_sam

DEMO = Path(__file__).parents[1] / "assets" / "demo" / "cafe.jpg"
SIDE = 1024
KINDS: dict[str, type[SamAutomaticMaskGenerator]] = {
    "library": SamAutomaticMaskGenerator,
    "exact": MaskGenerator,
}
DECODER = ("__init__", "tokens", "decode", "masks")


@dataclass
class Watch:
    """Seconds within the decoder, the image embeddings that came by, and predicted IoUs."""

    seconds: float = 0.0
    embedding: torch.Tensor | None = None
    quality: list[torch.Tensor] = field(default_factory=list)
    threads: int = field(default_factory=torch.get_num_threads)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the function so that its seconds are counted."""

        def run(*arguments: Any, **named: Any) -> Any:
            # Worker threads are at it together, so each one's seconds are a part of a second that passes.
            main = threading.current_thread() is threading.main_thread()
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                with self.lock:
                    self.seconds += (time.perf_counter() - start) / (1 if main else self.threads)

        return run


@contextmanager
def watched(sam: Sam) -> Iterator[Watch]:
    """Watch the library's decoder and ours during a run."""
    watch = Watch()
    originals = {name: getattr(PointDecoder, name) for name in DECODER}
    library = sam.mask_decoder.forward

    def forward(**named: Any) -> Any:
        watch.embedding = named["image_embeddings"]
        found = watch.timed(library)(**named)
        watch.quality.append(found[1])
        return found

    def begin(self: PointDecoder, sam: Sam, embedding: torch.Tensor) -> None:
        watch.embedding = embedding
        watch.timed(originals["__init__"])(self, sam, embedding)

    sam.mask_decoder.forward = forward
    for name in DECODER[1:]:
        setattr(PointDecoder, name, watch.timed(originals[name]))
    setattr(PointDecoder, "__init__", begin)  # noqa: B010
    try:
        yield watch
    finally:
        del sam.mask_decoder.forward
        for name, function in originals.items():
            setattr(PointDecoder, name, function)


def picture(source: Path) -> np.ndarray:
    """Read RGB pixels, the longer side 1024."""
    image = open_image(source)
    scale = SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def model_and_arguments(options: Namespace, image: np.ndarray) -> tuple[Sam, dict[str, Any]]:
    """Make the SAM and the generator's arguments; at random weights 70 % of the masks of enough quality are stable."""
    arguments: dict[str, Any] = {
        "points_per_side": options.points,
        "output_mode": "coco_rle",
        "box_nms_thresh": options.box_nms,
    }
    if options.weights:
        return load_sam(options.weights).model, arguments
    torch.manual_seed(0)
    sam = make_random(sam_model_registry["vit_b"](), image, options.share)
    probe = MaskGenerator(sam, points_per_side=8, stability_score_thresh=0.0, box_nms_thresh=1.0).generate(image)
    stability = np.nan_to_num([item["stability_score"] for item in probe])
    return sam, arguments | {"stability_score_thresh": max(0.05, float(np.quantile(stability, 0.3)))}


def logit_difference(sam: Sam, library: torch.Tensor, ours: torch.Tensor) -> tuple[float, float]:
    """Measure the largest difference of mask logits of 36 points, and how far the logits spread."""
    side = torch.linspace(30, 990, 6, dtype=torch.float64)
    points = torch.cartesian_prod(side, side)[:, None]
    decoder = PointDecoder(sam, ours)
    largest, spread = 0.0, []
    for part in points.split(4):
        sparse, dense = sam.prompt_encoder(points=(part, torch.ones(len(part), 1)), boxes=None, masks=None)
        expected, _ = sam.mask_decoder(
            image_embeddings=library,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        found = [decoder.masks(item, [0, 1, 2]) for item in decoder.decode(*decoder.tokens(part))]
        largest = max(largest, float((torch.stack(found) - expected).abs().max()))
        spread.append(float(expected.std()))
    return largest, float(np.mean(spread))


def least_iou(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """Compute the least IoU of masks at the same place of both lists; 0 where one list is longer."""
    from pycocotools import mask as coco

    if len(one) != len(other):
        return 0.0
    pairs = zip(one, other, strict=True)
    return min(
        (float(coco.iou([a["segmentation"]], [b["segmentation"]], [False])[0, 0]) for a, b in pairs), default=1.0
    )


def measure_peak(kind: str, options: Namespace, stability: float) -> float:
    """Measure the peak memory of a process that finds the masks of 64 points."""
    command = [sys.executable, __file__, "--peak", kind, "--stability", str(stability), "--image", str(options.image)]
    command += ["--weights", str(options.weights)] if options.weights else []
    return float(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def peak(options: Namespace) -> None:
    """Find the masks in the process that `measure_peak` starts."""
    sam = load_sam(options.weights).model if options.weights else sam_model_registry["vit_b"]().eval()
    if not options.weights:
        # The share of masks that pass does not change what the library holds, and ours holds three masks at most.
        sam.mask_decoder.iou_prediction_head.layers[-1].bias.data.fill_(0.9)
    generator = KINDS[options.peak](sam, points_per_side=8, stability_score_thresh=options.stability)
    generator.generate(picture(options.image))
    sys.stdout.write(json.dumps(peak_megabytes()))


def main() -> None:
    """Run both in turn and report ratios, exactness and memory."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--points", type=int, default=32, help="points along a side of the grid")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--share", type=float, default=0.28, help="part of the masks whose predicted IoU is enough")
    arguments.add_argument("--box-nms", type=float, default=0.7, help="IoU of boxes above which a mask is a double")
    arguments.add_argument("--image", type=Path, default=DEMO)
    arguments.add_argument("--weights", type=Path, help="a SAM weights file in place of random weights")
    arguments.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    arguments.add_argument("--peak", choices=tuple(KINDS), help="only the peak memory of one of them")
    arguments.add_argument("--stability", type=float, default=0.95)
    options = arguments.parse_args()
    if options.peak:
        peak(options)
        return
    image = picture(options.image)
    with torch.inference_mode():
        figures = compare(options, image)
    report(figures, options.json)


def compare(options: Namespace, image: np.ndarray) -> dict[str, Any]:
    """Compute all figures."""
    with torch.inference_mode(False), torch.no_grad():  # weights that inference made can't be prepacked
        sam, arguments = model_and_arguments(options, image)
    prepack(sam.image_encoder)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    decoder: dict[str, list[float]] = {kind: [] for kind in KINDS}
    masks: dict[str, list[dict[str, Any]]] = {}
    watches: dict[str, Watch] = {}
    for _ in range(options.rounds):
        for kind, generator in KINDS.items():
            with watched(sam) as watch, plainly() if kind == "library" else nullcontext():
                start = time.perf_counter()
                masks[kind] = generator(sam, **arguments).generate(image)
                seconds[kind].append(time.perf_counter() - start)
            decoder[kind].append(watch.seconds)
            watches[kind] = watch
    library, ours = watches["library"].embedding, watches["exact"].embedding
    assert library is not None and ours is not None
    difference, spread = logit_difference(sam, library, ours)
    quality = torch.cat(watches["library"].quality)
    stability = arguments.get("stability_score_thresh", 0.95)

    def ratio(times: dict[str, list[float]]) -> float:
        return float(np.median(np.array(times["library"]) / np.array(times["exact"])))

    figures = {
        "image": options.image.name,
        "points": options.points**2,
        "threads": torch.get_num_threads(),
        "share_of_masks_that_pass_quality": float((quality > 0.88).double().mean()),
        "stability_score_thresh": stability,
        "whole_image_seconds": {kind: float(np.median(values)) for kind, values in seconds.items()},
        "decoder_seconds": {kind: float(np.median(values)) for kind, values in decoder.items()},
        "whole_image_ratio": ratio(seconds),
        "decoder_ratio": ratio(decoder),
        "masks": len(masks["library"]),
        "masks_exact": len(masks["exact"]),
        "min_iou": least_iou(masks["library"], masks["exact"]),
        "max_logit_difference": difference,
        "logit_standard_deviation": spread,
    }
    if not options.no_memory:
        figures["peak_mb"] = {kind: measure_peak(kind, options, stability) for kind in KINDS}
    return figures


if __name__ == "__main__":
    main()
