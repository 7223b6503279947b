"""How others lay out CLIP: the names of its tensors, and what their shapes tell; nothing here loads a tensor."""

from __future__ import annotations

import json
import logging
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
from odits.core.formats import open_zip
from odits.core.model_folders import CONFIG, implausible, weight_names

Shapes = Mapping[str, Sequence[int]]

CLIP_CONFIGS = Path(__file__).parent / "clip" / "configs"
"""Our own architectures, in open_clip's format."""
OPEN_CLIP_CONFIG = "open_clip_config.json"
HF_CONFIG = CONFIG
WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    *weight_names(pickles=True),
)
"""The weights of a folder, by open_clip's and Hugging Face's names, in open_clip's order of preference."""
HF_FILES = weight_names(pickles=True)
CONFIG_BYTES = 4 << 20
NAMED = 5
"""How many names a message lists."""

# What trainers put around a model, as a part of its tensors' names wherever it stands.
_AROUND = re.compile(r"(?<![^.])(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_TOWERS = ("visual.", "vision_model.", "image_encoder.")
_AVERAGED = re.compile(r"(^|[._])(ema|ema_model|teacher|averaged|momentum)[._]")
_HF_LAYERS = re.compile(r"(text_model|vision_model)\.encoder\.layers\.(\d+)\.(.+)")
_HF_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_HF_NAMES = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "visual_projection.weight": "visual.proj",
    "logit_scale": "logit_scale",
}
TRANSPOSED = ("text_projection", "visual.proj")
"""What Hugging Face holds the other way round."""
_QKV = ("q", "k", "v")


# Names.


def plain_names(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Take off what trainers put before the names of CLIP's tensors: DDP, torch.compile, Lightning and the like.

    Args:
        names: of the tensors in the file.

    Returns:
        The plain name of each tensor of the model, and the names of those that are not under its prefix.

    Raises:
        ValueError: there are two models, or two tensors of one name; the message is a clause.

    Examples:
        >>> plain_names(["model._orig_mod.logit_scale", "model._orig_mod.visual.proj", "loss.weight"])
        ({'model._orig_mod.logit_scale': 'logit_scale', 'model._orig_mod.visual.proj': 'visual.proj'}, ['loss.weight'])
    """
    bare = {name: _AROUND.sub("", name) for name in names}
    prefix = _model_prefix(set(bare.values()))
    plain = {name: short[len(prefix) :] for name, short in bare.items() if short.startswith(prefix)}
    if len(set(plain.values())) < len(plain):
        raise ValueError("it holds two tensors of one name")
    return plain, [name for name in bare if name not in plain]


def _model_prefix(names: set[str]) -> str:
    scales = [name.removesuffix("logit_scale") for name in names if re.search(r"(^|\.)logit_scale$", name)]
    found = sorted(
        prefix
        for prefix in scales
        if any(name.startswith(tuple(prefix + tower for tower in _TOWERS)) for name in names)
    )
    if len(found) > 1:
        found = [prefix for prefix in found if not _AVERAGED.search(prefix)] or found
    if len(found) > 1:
        raise ValueError(f"it holds {len(found)} CLIP models, {' and '.join(name.rstrip('.') for name in found[:2])}")
    return found[0] if found else ""


def is_hugging_face(names: Iterable[str]) -> bool:
    """Return whether plain names are those of transformers' `CLIPModel`."""
    return any(name.startswith("vision_model.") for name in names)


def open_clip_name(name: str) -> str:
    """Return open_clip's name of a tensor of transformers' `CLIPModel`; unknown ones as they are.

    The queries', keys' and values' weights, which open_clip holds as one, get that one's name with "/q", "/k" or "/v".

    Examples:
        >>> open_clip_name("text_model.encoder.layers.3.self_attn.k_proj.bias")
        'transformer.resblocks.3.attn.in_proj_bias/k'
        >>> open_clip_name("visual_projection.weight")
        'visual.proj'
    """
    found = _HF_LAYERS.fullmatch(name)
    if not found:
        return _HF_NAMES.get(name, name)
    tower, layer, part = found.groups()
    module, _, kind = part.rpartition(".")
    block = f"{'visual.' if tower == 'vision_model' else ''}transformer.resblocks.{layer}."
    if module in _HF_PARTS:
        return f"{block}{_HF_PARTS[module]}.{kind}"
    if module.startswith("self_attn.") and module[10:] in ("q_proj", "k_proj", "v_proj"):
        return f"{block}attn.in_proj_{kind}/{module[10]}"
    return name


# Shapes.


@dataclass(frozen=True)
class Dimensions:
    """What distinguishes an architecture of open_clip's own towers.

    Attributes:
        embedding: length of an embedding.
        image: layers, width, patch size or None, and image size of the image tower.
        mlp: width of the image tower's hidden layers; 0 for a ResNet.
        text: context length, vocabulary size, width and layers of the text tower.
    """

    embedding: int
    image: tuple[Any, ...]
    mlp: int
    text: tuple[int, ...]


_PLAIN_IMAGE = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
_PLAIN_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
_PLAIN_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}


def describes_model(config: Any) -> bool:
    """Return whether this has the parts of a configuration in open_clip's format."""
    parts = (("embed_dim", int), ("vision_cfg", dict), ("text_cfg", dict))
    return isinstance(config, dict) and all(isinstance(config.get(part), kind) for part, kind in parts)


def config_dimensions(config: Mapping[str, Any]) -> Dimensions | None:
    """Return the dimensions of an architecture in open_clip's format; None where it has other parts than CLIP's own."""
    image, text = config["vision_cfg"], config["text_cfg"]
    if not (set(config) <= _PLAIN_MODEL and set(image) <= _PLAIN_IMAGE and set(text) <= _PLAIN_TEXT):
        return None
    layers, width, patch = image.get("layers", 12), image.get("width", 768), image.get("patch_size", 16)
    resnet = isinstance(layers, list)
    try:
        mlp = 0 if resnet else int(width * image.get("mlp_ratio", 4.0))
    except (TypeError, ValueError, OverflowError):  # a configuration of others may hold anything
        return None
    return Dimensions(
        config["embed_dim"],
        (tuple(layers) if resnet else layers, width, None if resnet else patch, image.get("image_size", 224)),
        mlp,
        (text.get("context_length", 77), text.get("vocab_size", 49408), text.get("width", 512), text.get("layers", 12)),
    )


def dimensions(shapes: Shapes) -> Dimensions | None:
    """Return the dimensions that shapes under open_clip's names tell; None where they are of another architecture."""
    names = {name.removeprefix("text."): shape for name, shape in shapes.items()}
    try:
        text_width, embedding = names["text_projection"]
        context, vocabulary = names["positional_embedding"][0], names["token_embedding.weight"][0]
        text = (context, vocabulary, text_width, _count(names, r"transformer\.resblocks\.(\d+)\.ln_1\.weight"))
        if "visual.proj" in names:
            width, _, patch, _ = names["visual.conv1.weight"]
            side = _side(names["visual.positional_embedding"][0] - 1)
            layers: Any = _count(names, r"visual\.transformer\.resblocks\.(\d+)\.ln_1\.weight")
            mlp = names["visual.transformer.resblocks.0.mlp.c_fc.weight"][0]
            return Dimensions(embedding, (layers, width, patch, side * patch), mlp, text)
        layers = tuple(_count(names, rf"visual\.layer{stage}\.(\d+)\.conv1\.weight") for stage in (1, 2, 3, 4))
        side = _side(names["visual.attnpool.positional_embedding"][0] - 1)
        return Dimensions(embedding, (layers, names["visual.layer1.0.conv1.weight"][0], None, 32 * side), 0, text)
    except (KeyError, ValueError, IndexError, TypeError):
        return None


def _count(names: Iterable[str], pattern: str) -> int:
    return len({found.group(1) for name in names if (found := re.fullmatch(pattern, name))})


def _side(cells: int) -> int:
    side = round(max(cells, 0) ** 0.5)
    if side * side != cells:
        raise ValueError(f"{cells} is no square")
    return side


def matching_architectures(shapes: Shapes) -> list[str]:
    """List the architectures whose weights have these names and shapes, as far as they tell.

    Args:
        shapes: of the tensors, by their names in the file.
    """
    try:
        plain, _ = plain_names(shapes)
    except ValueError:
        return []
    named = {short: shapes[name] for name, short in plain.items()}
    if is_hugging_face(named):
        mapped = {open_clip_name(name).partition("/")[0]: shape for name, shape in named.items()}
        named = {name: shape[::-1] if name in TRANSPOSED else shape for name, shape in mapped.items()}
    found = dimensions(named)
    configs = {path.stem: read_config(path) for path in config_files()}
    if found is not None and not any(name.startswith("text_decoder.") for name in named):
        return sorted(name for name, config in configs.items() if config_dimensions(config) == found)
    return _matching_by_construction(named, configs)


def _matching_by_construction(shapes: Shapes, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Compare with the architectures of timm's towers and the like, built without memory for their weights."""
    vocabulary = shapes.get("token_embedding.weight") or shapes.get("text.token_embedding.weight")
    positions = shapes.get("positional_embedding") or shapes.get("text.positional_embedding")
    if not vocabulary or not positions:
        return []
    key = (positions[0], *vocabulary)
    similar = [
        name
        for name, config in configs.items()
        if config_dimensions(config) is None and _text_key(config["text_cfg"]) == key
    ]
    if not similar:
        return []
    import open_clip  # deferred: seconds
    import torch

    wanted = {name: tuple(shape) for name, shape in shapes.items()}
    logging.disable(logging.WARNING)  # open_clip says of each that its weights are random
    try:
        return sorted(name for name in similar if _state_shapes(open_clip, torch, name) == wanted)
    finally:
        logging.disable(logging.NOTSET)


def _state_shapes(open_clip: Any, torch: Any, architecture: str) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of an architecture's weights; none where something for it is missing here."""
    if architecture not in open_clip.list_models():
        return {}
    try:
        with torch.device("meta"):
            state = open_clip.create_model(architecture, pretrained_text=False, device="meta").state_dict()
    except Exception:  # of whatever library a tower comes from
        return {}
    return {name: tuple(value.shape) for name, value in state.items()}


def _text_key(text: Mapping[str, Any]) -> tuple[int, ...]:
    cls = 1 if text.get("embed_cls") else 0
    return (text.get("context_length", 77) + cls, text.get("vocab_size", 49408), text.get("width", 512))


# What is taken for CLIP's weights, by a name that only it has: the first that is found counts.
_FOREIGN = (
    (r"\.lora_[AB]\.|\.lora_(up|down|[AB])\b|\.hada_w1_a|^lora_", "a LoRA adapter, and not the model that it changes"),
    (r"(^|\.)(exp_avg|exp_avg_sq|momentum_buffer)(\.|$)", "an optimizer's state, and not the weights"),
    (r"^(model\.)?image_encoder\.(neck|trunk)\.|^mask_decoder\.|^sam_mask_decoder\.", "a Segment Anything Model"),
    (r"^(base_model\.model|language_model|lm_head|model\.embed_tokens)\b", "a language model"),
    (r"^(unet|vae|first_stage_model|cond_stage_model|down_blocks)\b", "a part of Stable Diffusion"),
    (r"^vision_model\.head\.", "transformers' SigLIP, of which open_clip has weights of its own"),
    (r"^text_decoder\.blocks\.|^text_encoder\.encoder\.layer\.|^qformer\.", "another image-text model, such as BLIP"),
)


def foreign_weights(names: Iterable[str]) -> str:
    """Return what a file with tensors of these names holds where it is known not to be CLIP; "" where nothing tells.

    Example:
        >>> foreign_weights(["text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"])
        'a LoRA adapter, and not the model that it changes'
    """
    names = list(names)
    return next((what for pattern, what in _FOREIGN if any(re.search(pattern, name) for name in names)), "")


def script_activation(path: Path) -> str:
    """Return which activation a TorchScript archive computes with, by its code, which is only read as text.

    Args:
        path: the archive, such as those that OpenAI published.

    Returns:
        "quick_gelu", "gelu", or "" where it does not say.
    """
    gelu = False
    try:
        with open_zip(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".py") or member.file_size > CONFIG_BYTES:
                    continue
                code = archive.read(member)
                if b"QuickGELU" in code or b"1.702" in code:
                    return "quick_gelu"
                gelu = gelu or b"gelu(" in code
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return ""
    return "gelu" if gelu else ""


@lru_cache(maxsize=1)
def config_files() -> tuple[Path, ...]:
    """List the configurations of open_clip's architectures and of our own: importing open_clip takes seconds."""
    spec = find_spec("open_clip")
    folders = [Path(place) / "model_configs" for place in (spec.submodule_search_locations or ())] if spec else []
    return tuple(path for folder in (*folders, CLIP_CONFIGS) for path in sorted(folder.glob("*.json")))


def canonical(config: Mapping[str, Any]) -> str:
    """Return a configuration as text that is the same for the same values."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        OditsError: it is no JSON object, or much too large for a configuration.
    """
    try:
        if path.stat().st_size > CONFIG_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OditsError(f"{path.name} of {path.parent.name} can't be read as a configuration.") from error
    if not isinstance(found, dict):
        raise OditsError(f"{path.name} of {path.parent.name} can't be read as a configuration.")
    wrong = implausible(found)
    if wrong:
        raise OditsError(f"{path.name} of {path.parent.name} describes no model: {wrong}.")
    return found
