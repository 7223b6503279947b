"""Folders with a CLIP model, in open_clip's layout or in transformers': what their configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.models.layouts import (
    HF_CONFIG,
    HF_FILES,
    OPEN_CLIP_CONFIG,
    WEIGHT_FILES,
    canonical,
    config_dimensions,
    config_files,
    describes_model,
    read_config,
)


@dataclass(frozen=True)
class Layout:
    """A folder with a CLIP model, as its configuration describes it.

    Attributes:
        weights: the file of its weights.
        architecture: open_clip's; "custom-…" where no architecture of open_clip is like it.
        config: in open_clip's format, where the architecture is a custom one; else empty.
        preprocess: how images are prepared: mean, std, interpolation, resize_mode.
    """

    weights: Path
    architecture: str
    config: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)


def read_folder(folder: Path, name: str = "") -> Layout:
    """Read a folder in open_clip's layout or in that of transformers' CLIP.

    Args:
        folder: with open_clip_config.json or config.json, and the weights.
        name: how messages call it; the folder's name by default.

    Raises:
        OditsError: it holds no such configuration, or no weights.
    """
    name = name or folder.name
    files: tuple[str, ...] = WEIGHT_FILES
    if (folder / OPEN_CLIP_CONFIG).is_file():
        found = read_config(folder / OPEN_CLIP_CONFIG)
        config, preprocess = _document(found, "model_cfg"), _document(found, "preprocess_cfg")
        if not describes_model(config):
            raise OditsError(f"{OPEN_CLIP_CONFIG} of {name} describes no model.")
    elif (folder / HF_CONFIG).is_file():
        config = hugging_face_config(read_config(folder / HF_CONFIG), name)
        preprocess = _hugging_face_preprocessing(folder / "preprocessor_config.json")
        files = HF_FILES
    else:
        raise OditsError(f"{name} is no CLIP model: it holds neither {OPEN_CLIP_CONFIG} nor {HF_CONFIG}.")
    weights = next((folder / file for file in files if (folder / file).is_file()), None)
    if weights is None:
        raise OditsError(f"{name} can't be loaded: it holds none of {', '.join(files)}.")
    settings = {key: preprocess[key] for key in ("mean", "std", "interpolation", "resize_mode") if preprocess.get(key)}
    architecture = known_architecture(config)
    if architecture:
        return Layout(weights, architecture, preprocess=settings)
    return Layout(weights, f"custom-{sha256_of(canonical(config))[:8]}", config, settings)


def known_architecture(config: Mapping[str, Any]) -> str:
    """Return the name of the architecture that has this configuration; "" where none has."""
    wanted = _signature(config)
    return next((path.stem for path in config_files() if _signature(read_config(path)) == wanted), "")


def _signature(config: Mapping[str, Any]) -> Any:
    dims = config_dimensions(config)
    if dims is None:
        return canonical(config)
    image, text = config["vision_cfg"], config["text_cfg"]
    heads = (image.get("head_width", 64), text.get("heads", 8), text.get("mlp_ratio", 4.0))
    return dims, heads, bool(config.get("quick_gelu"))


# transformers writes down only what differs from these
_HF_TEXT: dict[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_HF_IMAGE: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}


def hugging_face_config(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the configuration of transformers' `CLIPModel` in open_clip's format.

    Args:
        config: of config.json.
        name: how messages call the model.

    Raises:
        OditsError: it is of another model, or of one that open_clip can't build.
    """
    kind = config.get("model_type")
    if kind != "clip":
        described = f"a model of type '{str(kind)[:40]}'" if kind else "no model"
        raise OditsError(f"{name} can't be loaded: its {HF_CONFIG} describes {described}, not transformers' CLIP.")
    text = _HF_TEXT | _document(config, "text_config_dict") | _document(config, "text_config")
    image = _HF_IMAGE | _document(config, "vision_config_dict") | _document(config, "vision_config")
    activations = sorted({str(text["hidden_act"]), str(image["hidden_act"])})
    if activations not in (["quick_gelu"], ["gelu"]):
        raise OditsError(
            f"{name} can't be loaded: open_clip builds no CLIP with the activation {' and '.join(activations)[:80]}."
        )
    if text["layer_norm_eps"] != 1e-5 or image["layer_norm_eps"] != 1e-5:
        raise OditsError(f"{name} can't be loaded: open_clip's layer norms have an epsilon of 1e-05.")
    try:
        return {
            "embed_dim": int(config.get("projection_dim", 512)),
            "quick_gelu": activations == ["quick_gelu"],
            "vision_cfg": {
                "image_size": image["image_size"],
                "layers": image["num_hidden_layers"],
                "width": image["hidden_size"],
                "head_width": image["hidden_size"] // image["num_attention_heads"],
                "patch_size": image["patch_size"],
                "mlp_ratio": image["intermediate_size"] / image["hidden_size"],
            },
            "text_cfg": {
                "context_length": text["max_position_embeddings"],
                "vocab_size": text["vocab_size"],
                "width": text["hidden_size"],
                "heads": text["num_attention_heads"],
                "layers": text["num_hidden_layers"],
                "mlp_ratio": text["intermediate_size"] / text["hidden_size"],
            },
        }
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise OditsError(f"{HF_CONFIG} of {name} describes no model.") from error


def _document(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration's part; empty where it is none."""
    found = config.get(name)
    return found if isinstance(found, dict) else {}


_RESAMPLING = {"2": "bilinear", "3": "bicubic"}  # Pillow's numbers


def _hugging_face_preprocessing(path: Path) -> dict[str, Any]:
    """Read how transformers prepares images; open_clip's usual way where nothing says."""
    if not path.is_file():
        return {}
    found = read_config(path)
    size = found.get("size")
    squash = isinstance(size, dict) and "shortest_edge" not in size
    return {
        "mean": found.get("image_mean"),
        "std": found.get("image_std"),
        "interpolation": _RESAMPLING.get(str(found.get("resample")), "bicubic"),
        "resize_mode": "squash" if squash else "shortest",
    }
