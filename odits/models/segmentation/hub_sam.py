"""SAM 2 and SAM 3 in the hub's layout: their weights' digest at once, transformers' networks when first needed.

SAM 3 is two networks on one backbone: the detector finds what a text names, the tracker what is at points and boxes.
A folder may hold either, or both (model_type sam3_video, as facebook/sam3).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from odits.core.device import check_device, resolve_device
from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.core.model_folders import CONFIG, CONFIGS, implausible, parts_of, read_config
from odits.core.weights import excess, read_tensors, require_finite
from odits.models.reference import ModelRef
from odits.models.segmentation.parameters import Sam3Parameters, SamParameters
from odits.models.segmentation.sam_weights import stored_digest

if TYPE_CHECKING:
    from torch import Tensor

Part = Literal["points", "text"]
_CLASSES: dict[tuple[str, Part], tuple[str, str, str]] = {
    ("sam2", "points"): ("Sam2Model", "Sam2Config", "Sam2ImageProcessor"),
    ("sam3", "points"): ("Sam3TrackerModel", "Sam3TrackerConfig", "Sam3ImageProcessor"),
    ("sam3", "text"): ("Sam3Model", "Sam3Config", "Sam3ImageProcessor"),
}
"""transformers' model, configuration and preparation of images, by the family and what the network is asked with."""
_NEEDED = {"sam2": "4.56", "sam3": "5.0"}
_FIELDS = {
    "points": ("vision_config", "prompt_encoder_config", "mask_decoder_config"),
    "text": (
        "vision_config",
        "text_config",
        "geometry_encoder_config",
        "detr_encoder_config",
        "detr_decoder_config",
        "mask_decoder_config",
    ),
}
_BACKBONE = "detector_model.vision_encoder.backbone."  # of a whole SAM 3; the tracker works on it too
_RECORDED = ("image_mean", "image_std", "rescale_factor", "resample")


class HubSam:
    """The weights of a SAM 2 or SAM 3 in the hub's layout.

    Attributes:
        digest: 16 hexadecimal digits that tell these weights and their configuration from all others.
        lock: held while a network works: two images at once would take twice the memory and no less time.

    Args:
        ref: as `odits.models.reference.parse` returns it, with its weights on this machine.
        device: "auto", "cpu" or "cuda".

    Raises:
        OditsError: a part of the weights is missing.
    """

    def __init__(self, ref: ModelRef, device: str = "auto") -> None:
        self.ref, self._device = ref, check_device(device)
        self._networks: dict[Part, HubNetwork] = {}
        self._loading = threading.Lock()
        self.lock = threading.Lock()
        self.digest = self._compute_digest()

    def network(self, part: Part) -> HubNetwork:
        """Return the network that is asked with points and boxes, or with a text; loaded when first asked for.

        Raises:
            OditsError: these weights have no such network, they are damaged, or have been changed meanwhile.
        """
        with self._loading:
            if part not in self._networks:
                if self.digest != self._compute_digest():
                    raise OditsError(f"{self.ref.name} was changed while it was in use: please start again.")
                self._networks[part] = _load(self.ref, part, self._device)
            return self._networks[part]

    def _compute_digest(self) -> str:
        configs = [self.ref.header.get(name, "") for name in CONFIGS]
        return sha256_of(*configs, *(stored_digest(path) for path in parts_of(self.ref.weights)))[:16]


class HubNetwork:
    """A network of SAM 2 or SAM 3, and how it is shown an image.

    Attributes:
        model: transformers' model.
        side: of the square image that it sees.
        device: where it is.
    """

    def __init__(self, model: Any, processor: Any, side: int) -> None:
        self.model, self.side, self.device = model, side, model.device
        self._processor = processor

    def pixels(self, image: np.ndarray) -> Tensor:
        """Return an RGB image, uint8 (H, W, 3), as the network sees it: normalised (1, 3, side, side)."""
        import torch

        channels = torch.from_numpy(image.transpose(2, 0, 1).copy())
        # The layout is said: of an image 3 pixels wide or high, it cannot be told from the shape.
        prepared = self._processor(images=[channels], input_data_format="channels_first", return_tensors="pt")
        pixels: Tensor = prepared["pixel_values"].to(self.device)
        return pixels

    @contextmanager
    def steps(self, step: Callable[[], None]) -> Iterator[None]:
        """Call `step` after each layer of the backbone while the block runs; what it raises ends the work."""
        hooks = [layer.register_forward_hook(lambda *_: step()) for layer in self.layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def layers(self) -> Any:
        """The layers of the backbone, an image passes them one by one."""
        from torch.nn import ModuleList

        lists = (one for one in self.model.vision_encoder.backbone.modules() if isinstance(one, ModuleList))
        return max(lists, key=len)


def identity_of(weights: HubSam, parameters: SamParameters) -> tuple[str, str]:
    """Return the name of a SAM 2 or SAM 3 with these parameters, as shown to users, and the key of its results."""
    ref = weights.ref
    phrases = parameters.phrases if isinstance(parameters, Sam3Parameters) else ()
    name = f"{ref.name}: {', '.join(phrases)}" if phrases else ref.name
    return name, f"{ref.family}-{weights.digest}-{parameters.key}"


def _load(ref: ModelRef, part: Part, device: str) -> HubNetwork:
    """Build a network and give it its weights."""
    import torch
    import transformers

    config = _part_of_config(ref, part)
    names = _CLASSES[ref.family, part]
    try:
        network, described = (getattr(transformers, name) for name in names[:2])
        prepare = getattr(transformers, names[2], None) or getattr(transformers, f"{names[2]}Fast")
    except AttributeError as error:
        raise OditsError(
            f"{ref.name} needs transformers {_NEEDED[ref.family]} or later: python -m pip install -U transformers."
        ) from error
    state = _part_of_state(ref, part)
    with _quiet(transformers):
        try:
            settings = described(**config)
            with torch.device("meta"):
                larger = excess(network(settings), state)
            if larger:
                raise OditsError(f"{ref.name} cannot be loaded: {larger}.")
            model, said = network.from_pretrained(
                None, config=settings, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
        except OditsError:
            raise
        except Exception as error:  # whatever a wrong configuration or file provokes is its fault
            raise OditsError(f"{ref.name} cannot be loaded: its weights do not fit its config.json.") from error
    lacking = sorted(map(str, [*said["missing_keys"], *said["mismatched_keys"]]))
    if lacking:
        shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} others" if len(lacking) > 5 else "")
        raise OditsError(f"{ref.name} cannot be loaded: its weights lack {shown}.")
    model.requires_grad_(False)
    model.eval().to(resolve_device(device, supported=("cuda",)))
    encoder = model.prompt_encoder.input_image_size if part == "points" else model.config.vision_config.image_size
    side = int(encoder if isinstance(encoder, int) else encoder[0])
    recorded = read_config(dict(ref.header), "preprocessor_config.json") or read_config(
        dict(ref.header), "processor_config.json"
    ).get("image_processor", {})
    chosen = {name: recorded[name] for name in _RECORDED if name in recorded}
    return HubNetwork(model, prepare(size={"height": side, "width": side}, **chosen), side)


def _part_of_config(ref: ModelRef, part: Part) -> dict[str, Any]:
    """Return the fields of a network's configuration; those of a whole SAM 3 name both networks."""
    config = read_config(dict(ref.header))
    wrong = implausible(config)
    if wrong:
        raise OditsError(f"{ref.name} cannot be loaded: its {CONFIG} describes no model, {wrong}.")
    kind = config.get("model_type")
    if kind == "sam3_video":
        config = config.get("detector_config" if part == "text" else "tracker_config") or {}
    elif (kind == "sam3") != (part == "text"):
        has = "the detector, which needs a text" if kind == "sam3" else "the tracker, which takes no text"
        raise OditsError(f"{ref.name} holds only one network of SAM 3, {has}.")
    if not all(isinstance(config.get(name), dict) for name in _FIELDS[part]):
        raise OditsError(f"{ref.name} cannot be loaded: its {CONFIG} is not complete.")
    return {name: config[name] for name in _FIELDS[part]}


def _part_of_state(ref: ModelRef, part: Part) -> Mapping[str, Tensor]:
    """Return the tensors of a network by the names that it has for them."""
    state = read_tensors(ref.weights)
    require_finite(state, ref.weights.name)
    if not any(name.startswith("detector_model.") for name in state):
        return state
    if part == "text":
        return {
            name.removeprefix("detector_model."): value
            for name, value in state.items()
            if name.startswith("detector_model.")
        }
    own = {}
    for name, value in state.items():
        if name.startswith(_BACKBONE):
            own[f"vision_encoder.backbone.{name.removeprefix(_BACKBONE)}"] = value
        elif name.startswith("tracker_neck."):
            own[f"vision_encoder.neck.{name.removeprefix('tracker_neck.')}"] = value
        elif name.startswith("tracker_model."):
            # transformers writes this prefix twice where it saved the whole model
            own[name.removeprefix("tracker_model.").removeprefix("tracker_model.")] = value
    return own


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing bars and tables of keys in the block; what is wrong is said in a sentence."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            with suppress(AttributeError):
                logging.enable_progress_bar()
