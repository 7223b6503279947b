"""SAM's weights: where the official ones are, and a model from any file that holds a SAM state dict."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from odits.core.errors import OditsError
from odits.core.files import cache_home, write_atomically
from odits.models.segmentation.parameters import EXACT, SamParameters

ARCHITECTURES = {(768, 12): "vit_b", (1024, 24): "vit_l", (1280, 32): "vit_h"}
PIXEL_MEAN = [123.675, 116.28, 103.53]
PIXEL_STD = [58.395, 57.12, 57.375]
WINDOW = 14


@dataclass(frozen=True, eq=False)
class LoadedSam:
    """A SAM in evaluation mode, its architecture ("vit_b", "vit_l", "vit_h" or a description) and file digest."""

    model: Sam
    architecture: str
    digest: str


def load_sam(path: Path, device: str = "cpu") -> LoadedSam:
    """The model whose weights lie in `path` (.pth, or .safetensors), on `device`.

    The architecture is read from the shapes of the weights, so that a file's name cannot mislead. A pickle is opened
    with weights_only=True: tensors and nothing else.

    Raises:
        OditsError: no such file, damaged, or not a SAM, in one sentence.
    """
    if not path.is_file():
        raise OditsError(f"There are no SAM weights at {path}.")
    state = _read(path)
    try:
        model, architecture = _build(state)
        model.load_state_dict(state, strict=True, assign=True)
    except (KeyError, RuntimeError, IndexError, ZeroDivisionError, ValueError) as error:
        raise OditsError(f"{path.name} does not hold the weights of a Segment Anything Model.") from error
    model.requires_grad_(False)
    return LoadedSam(model.float().eval().to(device), architecture, _digest(path))


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise OditsError(f"{path.name} does not fit into this machine's memory.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise OditsError(f"{path.name} is not a weights file, or it is damaged: please download it again.") from error
    except Exception as error:
        # safetensors has an error class of its own; whatever else a broken file provokes is the file's fault, too.
        raise OditsError(f"{path.name} cannot be read as a weights file.") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]  # training scripts save the model beside the optimizer
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise OditsError(f"{path.name} does not hold the weights of a Segment Anything Model.")
    return loaded


def _build(state: dict[str, torch.Tensor]) -> tuple[Sam, str]:
    """An empty SAM of the architecture that the weights' shapes tell, and the architecture's name."""
    patch = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    grid, width = state["image_encoder.pos_embed"].shape[1], state["image_encoder.pos_embed"].shape[-1]
    side = grid * patch
    depth = _count(state, "image_encoder.blocks.")
    reach = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
    prompt = state["image_encoder.neck.0.weight"].shape[0]
    with torch.device("meta"):  # shapes only: the weights are assigned, not copied
        model = Sam(
            image_encoder=ImageEncoderViT(
                depth=depth,
                embed_dim=width,
                img_size=side,
                patch_size=patch,
                mlp_ratio=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                num_heads=width // reach[0][1],
                qkv_bias=True,
                use_rel_pos=True,
                global_attn_indexes=tuple(i for i in range(depth) if reach[i][0] != 2 * WINDOW - 1),
                window_size=WINDOW,
                out_chans=prompt,
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=prompt,
                image_embedding_size=(grid, grid),
                input_image_size=(side, side),
                mask_in_chans=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
                transformer=TwoWayTransformer(
                    depth=_count(state, "mask_decoder.transformer.layers."),
                    embedding_dim=prompt,
                    mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
                    num_heads=8,
                ),
                transformer_dim=prompt,
                iou_head_depth=3,
                iou_head_hidden_dim=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
            ),
        )
    # These two are no part of the state dict, so they must not stay on "meta".
    model.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(-1, 1, 1), False)
    model.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(-1, 1, 1), False)
    return model, ARCHITECTURES.get((width, depth), f"with {depth} layers of width {width}")


def _count(state: dict[str, torch.Tensor], prefix: str) -> int:
    """How many numbered layers there are under `prefix`."""
    return 1 + max(int(key[len(prefix) :].split(".")[0]) for key in state if key.startswith(prefix))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# A SAM that is known by its file and loaded when it is first needed.
#
# What was computed with it is found by the weights' digest, and a stored result must not wait for torch and a gigabyte
# of weights: so the digest and the architecture of every file that was loaded once are kept beside the caches.


DEVICES = ("auto", "cpu", "cuda", "mps")


class KnownSam:
    """The weights in a file: `digest` and `architecture` at once, `model` when it is asked for.

    Attributes:
        digest: the first 16 hexadecimal digits of the file's SHA-256.
        architecture: "vit_b", "vit_l", "vit_h" or a description.
        lock: held while the model works: two images at once would take twice the memory and no less time.

    Raises:
        OditsError: no such file, damaged, not a SAM, or an unknown device.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        if device not in DEVICES:
            raise OditsError(f"There is no device {device!r}: use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.")
        self._path, self._device = path, device
        self._model: Any = None
        self._loading = threading.Lock()
        self.lock = threading.Lock()
        kept = _remembered().get(_stamp(path), {})
        try:
            self.digest, self.architecture = str(kept["digest"]), str(kept["architecture"])
        except (KeyError, TypeError):
            self.digest = self.architecture = ""
            self._load()

    @property
    def model(self) -> Any:
        """segment-anything's `Sam`, loaded now if it was not.

        Raises:
            OditsError: the file has been changed or removed meanwhile, or there is no such device here.
        """
        with self._loading:
            if self._model is None:
                self._load()
            return self._model

    def identity(self, parameters: SamParameters) -> tuple[str, str]:
        """The name for users of this SAM with these parameters, and the key of what it finds."""
        how = "" if parameters.mode == EXACT else ", approximate"
        return f"SAM {self.architecture}{how}", f"sam-{self.digest}-{parameters.key}"

    def _load(self) -> None:
        pass

        loaded = load_sam(self._path, _torch_device(self._device))
        digest = loaded.digest[:16]
        if self.digest and digest != self.digest:
            raise OditsError(f"{self._path.name} was changed while it was in use: please start again.")
        self.digest, self.architecture, self._model = digest, loaded.architecture, loaded.model
        with suppress(OSError):  # where it cannot be kept, the file is loaded the next time
            known = _remembered() | {_stamp(self._path): {"digest": digest, "architecture": loaded.architecture}}
            write_atomically(_file(), json.dumps(known, indent=1).encode())


def _file() -> Path:
    return cache_home() / "weights" / "known-sam.json"


def _remembered() -> dict[str, Any]:
    try:
        kept = json.loads(_file().read_bytes())
        return kept if isinstance(kept, dict) else {}
    except (OSError, ValueError):
        return {}


def _stamp(path: Path) -> str:
    """Tells a file from what it was before a change; empty where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _torch_device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise OditsError("There is no CUDA device here: use auto or cpu.")
    return "cuda" if name in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
