"""Real SAMs that are only small, with random weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer


def build_sam(side: int, heads: int, global_layers: tuple[int, ...] = (), depth: int = 2) -> Sam:
    """A SAM of `side` pixels and width 32, its weights drawn from torch's generator as it stands.

    Args:
        side: of the square image that the encoder sees.
        heads: of the decoder's attention.
        global_layers: of the encoder's two, those that look at the whole image.
        depth: layers of the decoder's transformer.
    """
    grid = (side // 16, side // 16)
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=2,
            embed_dim=32,
            img_size=side,
            num_heads=2,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=global_layers,
            out_chans=32,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=32, image_embedding_size=grid, input_image_size=(side, side), mask_in_chans=16
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=depth, embedding_dim=32, mlp_dim=64, num_heads=heads),
            transformer_dim=32,
            iou_head_depth=3,
            iou_head_hidden_dim=32,
        ),
    )


def write_small_sam(folder: Path) -> Path:
    """A weights file of a SAM of 1024 pixels that predicts a quality of about 0.9 for each of its random masks."""
    torch.manual_seed(0)
    sam = build_sam(1024, heads=8)
    torch.nn.init.constant_(sam.mask_decoder.iou_prediction_head.layers[-1].bias, 0.9)
    torch.save(sam.state_dict(), folder / "small_sam.pth")
    return folder / "small_sam.pth"
