"""SAM's weights: a model from any file that holds a SAM state dict, loaded when it is first needed.

What was computed with a SAM is found by its weights' digest, and a stored result must not wait for torch and a gigabyte
of weights: so the digest and the architecture of every file that was loaded once are stored.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odits.core.device import check_device, resolve_device
from odits.core.errors import OditsError
from odits.core.files import file_digest
from odits.core.model_folders import parts_of
from odits.core.store import JSON, Store, make_key
from odits.core.weights import read_tensors, require_finite, weights_digest
from odits.models.segmentation.parameters import SamParameters

if TYPE_CHECKING:  # a SAM that is known already is named without torch
    import torch
    from segment_anything.modeling import Sam

ARCHITECTURES = {(768, 12): "vit_b", (1024, 24): "vit_l", (1280, 32): "vit_h"}
PIXEL_MEAN = [123.675, 116.28, 103.53]
PIXEL_STD = [58.395, 57.12, 57.375]
WINDOW = 14

_IDENTITIES: Store[Any] = Store("sam-identities", JSON)


@dataclass(frozen=True, eq=False)
class LoadedSam:
    """A SAM in evaluation mode, its architecture ("vit_b", "vit_l", "vit_h" or a description) and file digest."""

    model: Sam
    architecture: str
    digest: str


def load_sam(path: Path, device: torch.device | str = "cpu") -> LoadedSam:
    """Load a SAM.

    The architecture is read from the shapes of the weights, so that a file's name cannot mislead. A pickle is converted
    in a child process first, once.

    Args:
        path: a .pth or .safetensors file, or the index of several.
        device: where the model goes.

    Raises:
        OditsError: no such file, damaged, or not a SAM, in one sentence.
    """
    if not path.is_file():
        raise OditsError(f"There are no SAM weights at {path}.")
    stored = read_tensors(path)
    require_finite(stored, path.name)  # by the names that the file has
    state = with_own_names(stored)
    try:
        model, architecture = _build(state)
        model.load_state_dict(state, strict=True, assign=True)
    except (KeyError, RuntimeError, IndexError, ZeroDivisionError, ValueError) as error:
        raise OditsError(f"{path.name} does not hold the weights of a Segment Anything Model.") from error
    from odits.models.prepacked import prepack

    model.requires_grad_(False)
    model = model.float().eval().to(device)
    prepack(model.image_encoder)  # the decoder's products are so many and so small that it would lose time there
    return LoadedSam(model, architecture, weights_digest(path))


_HUB_NAMES = (
    (r"^vision_encoder\.", "image_encoder."),
    (r"^image_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^image_encoder\.layers\.(\d+)\.", r"image_encoder.blocks.\1."),
    (r"(?<=\.)layer_norm(?=\d\.|_final_attn\.)", "norm"),
    (r"^image_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^image_encoder\.neck\.norm1\.", "image_encoder.neck.1."),
    (r"^image_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^image_encoder\.neck\.norm2\.", "image_encoder.neck.3."),
    (r"^shared_image_embedding\.positional_embedding$", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.0\.", r"\1.layers.1."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.proj_in\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.proj_out\.", r"\1.layers.2."),
    (r"^(mask_decoder\.transformer\..*attn.*)\.o_proj\.", r"\1.out_proj."),
)
"""transformers' names of a SAM's tensors, and segment-anything's, in the order in which they are replaced."""


def with_own_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights by segment-anything's names, where they came by transformers'."""
    if not any(name.startswith("vision_encoder.") for name in state):
        return state
    renamed = {}
    for name, value in state.items():
        if name == "prompt_encoder.shared_embedding.positional_embedding":
            name = "shared_image_embedding.positional_embedding"  # the same, twice
        for pattern, own in _HUB_NAMES:
            name = re.sub(pattern, own, name)
        renamed[name] = value
    return renamed


def _build(state: dict[str, torch.Tensor]) -> tuple[Sam, str]:
    """Build an empty SAM of the architecture that the weights' shapes tell, and return the architecture's name too."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

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
    """Count the numbered layers under `prefix`."""
    return 1 + max(int(key[len(prefix) :].split(".")[0]) for key in state if key.startswith(prefix))


class SamWeights:
    """The weights in a file: `digest` and `architecture` at once, `model` when it is first asked for.

    Attributes:
        digest: the first 16 hexadecimal digits of the file's SHA-256.
        architecture: "vit_b", "vit_l", "vit_h" or a description.
        lock: held while the model works: two images at once would take twice the memory and no less time.

    Raises:
        OditsError: no such file, damaged, not a SAM, or an unknown device.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self._path, self._device = path, check_device(device)
        self._model: Any = None
        self._loading = threading.Lock()
        self.lock = threading.Lock()
        identity = _known(path)
        try:
            self.digest, self.architecture = str(identity["digest"]), str(identity["architecture"])
        except (KeyError, TypeError):
            self.digest = self.architecture = ""
            self._load()

    @property
    def model(self) -> Any:
        """segment-anything's `Sam`, loaded when it is first asked for.

        Raises:
            OditsError: the file has been changed or removed meanwhile, or there is no such device here.
        """
        with self._loading:
            if self._model is None:
                self._load()
            return self._model

    def identity(self, parameters: SamParameters) -> tuple[str, str]:
        """Return the name of this SAM with these parameters, as shown to users, and the key of its results."""
        return f"SAM {self.architecture}", f"sam-{self.digest}-{parameters.key}"

    def _load(self) -> None:
        loaded = load_sam(self._path, resolve_device(self._device, supported=("cuda",)))
        digest = loaded.digest[:16]
        if self.digest and digest != self.digest:
            raise OditsError(f"{self._path.name} was changed while it was in use: please start again.")
        self.digest, self.architecture, self._model = digest, loaded.architecture, loaded.model
        with suppress(OSError):  # where it cannot be stored, the file is loaded the next time
            identity = {"digest": digest, "architecture": loaded.architecture}
            _IDENTITIES.put(_identity_key(self._path), identity)


def stored_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file of weights; stored, since reading gigabytes takes long.

    Raises:
        OditsError: the file can't be read.
    """
    known = _known(path).get("digest", "")
    if isinstance(known, str) and len(known) == 64:
        return known
    try:
        digest = file_digest(path)
    except OSError as error:
        raise OditsError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    with suppress(OSError):
        _IDENTITIES.put(_identity_key(path), {"digest": digest})
    return digest


def _known(path: Path) -> dict[str, Any]:
    """Return what is stored of a file of weights; nothing where it was changed since."""
    identity = _IDENTITIES.get(_identity_key(path))
    return identity if isinstance(identity, dict) else {}


def _identity_key(path: Path) -> str:
    """Return a key that tells a file from what it was before a change; the same for all files that are not there."""
    try:
        parts = [part.stat() for part in parts_of(path)]
    except (OSError, OditsError):
        return make_key(path="")
    stamp = {"path": str(path.resolve()), "size": parts[0].st_size, "modified": parts[0].st_mtime_ns}
    others = [[part.st_size, part.st_mtime_ns] for part in parts[1:]]
    return make_key(**stamp, parts=others) if others else make_key(**stamp)
