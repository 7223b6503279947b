"""Real SAMs of transformers that are only small, with random weights, in folders as the hub has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

SIDE2, SIDE3 = 128, 112
"""Pixels of the square images that the small SAM 2 and SAM 3 see."""
SIZES = [[32, 32], [16, 16], [8, 8]]  # of the maps of both
DECODER = {"hidden_size": 32, "mlp_dim": 64, "iou_head_hidden_dim": 32}


def varied(kind: Any, config: Any, seed: int = 0) -> Any:
    """Make a model with weights so large that its masks differ from point to point, as those of a trained one do."""
    torch.manual_seed(seed)
    model = kind(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=1.6 / parameter[0].numel() ** 0.5)
        else:
            nn.init.normal_(parameter, mean=float(parameter.detach().abs().mean() > 0.5), std=0.1)
    return model.eval()


def sam2_config() -> Any:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "image_size": [SIDE2, SIDE2],
        "hidden_size": 16,
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "blocks_per_stage": [1, 1, 2, 1],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": SIZES,
        "fpn_hidden_size": 32,
    }
    return transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIDE2, "hidden_size": 32},
        mask_decoder_config=DECODER,
    )


def write_small_sam2(folder: Path, seed: int = 0) -> Path:
    """Write a SAM 2 of 128 pixels as `save_pretrained` does, with the preparation of its images."""
    varied(transformers.Sam2Model, sam2_config(), seed).save_pretrained(folder)
    transformers.Sam2ImageProcessor(size={"height": SIDE2, "width": SIDE2}).save_pretrained(folder)
    return folder


def sam3_vision() -> dict[str, Any]:
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE3,
        "patch_size": 14,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 56,
    }
    return {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": SIZES,
    }


def sam3_config() -> Any:
    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    text = {
        "model_type": "clip_text_model",
        "vocab_size": 49408,
        "hidden_size": 32,
        "intermediate_size": 64,
        "projection_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "hidden_act": "gelu",
    }
    return transformers.Sam3Config(
        vision_config=sam3_vision(),
        text_config=text,
        geometry_encoder_config=small,
        detr_encoder_config=small,
        detr_decoder_config=small | {"num_queries": 20},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )


def tracker_settings() -> dict[str, Any]:
    return {
        "vision_config": sam3_vision(),
        "prompt_encoder_config": {"image_size": SIDE3, "patch_size": 14, "hidden_size": 32},
        "mask_decoder_config": DECODER,
    }


def write_small_sam3(folder: Path, part: str = "both") -> Path:
    """Write a SAM 3 of 112 pixels as `save_pretrained` does: "detector", "tracker", or both, as the hub has it."""
    if part == "detector":
        model = varied(transformers.Sam3Model, sam3_config())
    elif part == "tracker":
        model = varied(transformers.Sam3TrackerModel, transformers.Sam3TrackerConfig(**tracker_settings()))
    else:
        memory = {
            "image_size": SIDE3,
            "memory_attention_hidden_size": 32,
            "memory_attention_feed_forward_hidden_size": 64,
            "memory_attention_rope_feat_sizes": [8, 8],
            "memory_encoder_hidden_size": 32,
            "memory_fuser_embed_dim": 32,
            "memory_fuser_intermediate_dim": 64,
            "mask_downsampler_embed_dim": 32,
        }
        tracker = tracker_settings() | memory
        whole = transformers.Sam3VideoConfig(detector_config=sam3_config().to_dict(), tracker_config=tracker)
        model = varied(transformers.Sam3VideoModel, whole)
    model.save_pretrained(folder)
    return folder


def write_small_hub_sam(folder: Path) -> Path:
    """Write a SAM 1 of 1024 pixels and width 32 as transformers' `SamModel.save_pretrained` does."""
    vision = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_dim": 128,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
    }
    config = transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32},
        mask_decoder_config=DECODER,
    )
    varied(transformers.SamModel, config).save_pretrained(folder)
    return folder
