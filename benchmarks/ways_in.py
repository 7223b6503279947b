"""How CLIP weights come in: the same random weights as others save them, loaded here and by open_clip.

Each way is a file or folder as another program writes it. The largest difference of image and text features is against
open_clip's own loading of the same weights, and for a folder of transformers' against transformers' own model too.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import parser, report
from odits.models.clip.embedded import create_untrained
from odits.models.clip.loading import load_clip

TEXTS = ["BAKERY", "street lamp", "a photo of a hotel at night, with a sign above its door"]


@dataclass(frozen=True)
class Way:
    """One way in.

    Attributes:
        name: as the table shows it.
        reference: of the file or folder that was written.
        expected: returns the model that the other library loads of it.
    """

    name: str
    reference: str
    expected: Callable[[], nn.Module]


class Trainer(nn.Module):
    """What a trainer wraps a model in: a LightningModule's attributes, or a model of parts."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class OpenAi(nn.Module):
    """What OpenAI's archives are: a module with numbers as buffers, half of it in half precision, traced."""

    def __init__(self, model: Any, size: int) -> None:
        super().__init__()
        for name, child in model.named_children():
            setattr(self, name, child)
        for name in ("positional_embedding", "text_projection", "logit_scale"):
            setattr(self, name, getattr(model, name))
        for name, value in (("input_resolution", size), ("context_length", 77), ("vocab_size", 49408)):
            self.register_buffer(name, torch.tensor(value))
        self.attn_mask = model.attn_mask

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (B, 3, H, W) and token ids (B, context)."""
        x = self.token_embedding(text) + self.positional_embedding
        x = self.ln_final(self.transformer(x, attn_mask=self.attn_mask))
        return self.visual(image), x[torch.arange(x.shape[0]), text.argmax(dim=-1)] @ self.text_projection


def random_model(architecture: str, seed: int = 0) -> Any:
    """Build a model whose every weight is random, biases and norms too, with positions that matter."""
    torch.manual_seed(seed)
    model = create_untrained(architecture)
    for name, weight in model.named_parameters():
        scale = 0.1 if "positional" in name else 0.02
        if name != "logit_scale":
            weight.data += scale * torch.randn_like(weight)
    return model.eval()


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return a state dict as safetensors takes it."""
    return {name: value.contiguous().clone() for name, value in model.state_dict().items()}


def write_torchscript(model: Any, path: Path) -> None:
    """Save a model as OpenAI published theirs: traced, float16 where `convert_weights_to_lp` makes it so."""
    size = model.visual.image_size
    size = size[0] if isinstance(size, tuple) else size
    traced = torch.jit.trace(
        OpenAi(copy.deepcopy(model), size),
        (torch.zeros(1, 3, size, size), torch.zeros(1, model.context_length, dtype=torch.int)),
        check_trace=False,
    )
    halved = copy.deepcopy(model)
    open_clip.convert_weights_to_fp16(halved)
    dtypes = {name: value.dtype for name, value in halved.named_parameters()}
    for name, weight in traced.named_parameters():
        weight.data = weight.data.to(dtypes[name])
    torch.jit.save(traced, str(path))


def write_hugging_face(folder: Path, architecture: str) -> Any:
    """Save transformers' `CLIPModel` of an architecture's dimensions, with random weights; return it."""
    from transformers import CLIPConfig, CLIPModel

    config = open_clip.get_model_config(architecture)
    image, text = config["vision_cfg"], config["text_cfg"]
    torch.manual_seed(1)
    described = CLIPConfig(
        projection_dim=config["embed_dim"],
        text_config={
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text["context_length"],
        },
        vision_config={
            "hidden_size": image["width"],
            "intermediate_size": 4 * image["width"],
            "num_hidden_layers": image["layers"],
            "num_attention_heads": image["width"] // image.get("head_width", 64),
            "image_size": image["image_size"],
            "patch_size": image["patch_size"],
        },
    )
    model = CLIPModel(described).eval()
    for weight in model.parameters():
        if weight.ndim:
            weight.data += 0.02 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return model


def from_transformers(theirs: Any, architecture: str) -> nn.Module:
    """Return open_clip's model with the weights of transformers' `CLIPModel`, copied part by part."""
    model = create_untrained(architecture, force_quick_gelu=True).eval()
    with torch.no_grad():
        _copy_tower(model.visual, theirs.vision_model.encoder)
        _copy_tower(model, theirs.text_model.encoder)
        for mine, other in (
            (model.visual.class_embedding, theirs.vision_model.embeddings.class_embedding),
            (model.visual.conv1.weight, theirs.vision_model.embeddings.patch_embedding.weight),
            (model.visual.positional_embedding, theirs.vision_model.embeddings.position_embedding.weight),
            (model.visual.proj, theirs.visual_projection.weight.T),
            (model.token_embedding.weight, theirs.text_model.embeddings.token_embedding.weight),
            (model.positional_embedding, theirs.text_model.embeddings.position_embedding.weight),
            (model.text_projection, theirs.text_projection.weight.T),
            (model.logit_scale, theirs.logit_scale),
        ):
            mine.copy_(other)
        model.visual.ln_pre.load_state_dict(theirs.vision_model.pre_layrnorm.state_dict())
        model.visual.ln_post.load_state_dict(theirs.vision_model.post_layernorm.state_dict())
        model.ln_final.load_state_dict(theirs.text_model.final_layer_norm.state_dict())
    return model


def _copy_tower(mine: Any, theirs: Any) -> None:
    for block, layer in zip(mine.transformer.resblocks, theirs.layers, strict=True):
        own = layer.self_attn
        block.attn.in_proj_weight.copy_(torch.cat([own.q_proj.weight, own.k_proj.weight, own.v_proj.weight]))
        block.attn.in_proj_bias.copy_(torch.cat([own.q_proj.bias, own.k_proj.bias, own.v_proj.bias]))
        for part, other in (
            (block.attn.out_proj, own.out_proj),
            (block.ln_1, layer.layer_norm1),
            (block.ln_2, layer.layer_norm2),
            (block.mlp.c_fc, layer.mlp.fc1),
            (block.mlp.c_proj, layer.mlp.fc2),
        ):
            part.load_state_dict(other.state_dict())


def write_ways(folder: Path, architecture: str, larger: str, quick: str) -> Iterator[Way]:
    """Write each way in, one at a time.

    Args:
        folder: where to.
        architecture: a ViT's.
        larger: the same with a larger image size.
        quick: the same with QuickGELU.
    """
    model = random_model(architecture)
    plain = tensors(model)
    torch.save(plain, folder / "plain.pt")

    def load(path: Path, name: str = architecture) -> Callable[[], nn.Module]:
        return lambda: open_clip.create_model(name, pretrained=str(path)).eval()

    def saved(name: str, content: Any, file: str, expected: Callable[[], nn.Module] | None = None) -> Way:
        torch.save(content, folder / file)
        return Way(name, f"{architecture}@{folder / file}", expected or load(folder / "plain.pt"))

    def prefixed(prefix: str) -> dict[str, Tensor]:
        return {f"{prefix}{name}": value for name, value in plain.items()}

    yield Way("open_clip, .pt", f"{architecture}@{folder / 'plain.pt'}", load(folder / "plain.pt"))
    save_file(plain, folder / "plain.safetensors")
    yield Way(
        "open_clip, .safetensors", f"{architecture}@{folder / 'plain.safetensors'}", load(folder / "plain.safetensors")
    )
    training = {"epoch": 3, "name": "run", "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}
    yield saved("open_clip's training (DDP)", training | {"state_dict": prefixed("module.")}, "epoch_3.pt")
    lightning = {
        "pytorch-lightning_version": "2.5.0",
        "global_step": 10,
        "callbacks": {},
        "hyper_parameters": {"lr": 0.1},
    }
    yield saved("Lightning", lightning | {"state_dict": prefixed("model.")}, "last.ckpt")
    yield saved("torch.compile", Trainer(_orig_mod=model).state_dict(), "compiled.pt")
    yield saved("DDP of torch.compile", {"model": prefixed("module._orig_mod.")}, "both.pt")
    averaged = torch.optim.swa_utils.AveragedModel(model)
    yield saved("EMA", {"ema": averaged.state_dict(), "step": 5}, "ema.pt")
    half = {name: value.half() for name, value in plain.items()}
    torch.save(half, folder / "half.pt")
    yield saved("float16", half, "half.pt", load(folder / "half.pt"))
    brief = {name: value.bfloat16() for name, value in plain.items()}
    save_file(brief, folder / "bfloat16.safetensors")
    yield Way("bfloat16", f"{architecture}@{folder / 'bfloat16.safetensors'}", load(folder / "bfloat16.safetensors"))
    yield Way("resized positions", f"{larger}@{folder / 'plain.pt'}", load(folder / "plain.pt", larger))
    write_torchscript(random_model(quick), folder / "archive.pt")
    archive = str(folder / "archive.pt")
    openai = lambda: open_clip.load_openai_model(archive, precision="fp32", device="cpu").eval()  # noqa: E731
    yield Way("OpenAI's TorchScript", f"{architecture}@{archive}", openai)
    theirs = write_hugging_face(folder / "hugging-face", architecture)
    yield Way("Hugging Face, folder", str(folder / "hugging-face"), lambda: from_transformers(theirs, architecture))


def features(model: Any, seed: int = 2) -> tuple[Tensor, Tensor]:
    """Encode random images and the texts, as open_clip does: (2, d) and (3, d), normalised."""
    size = model.visual.image_size
    shape = size if isinstance(size, tuple) else (size, size)
    images = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(seed))
    tokens = open_clip.SimpleTokenizer(context_length=model.context_length)(TEXTS)
    with torch.inference_mode():
        return model.encode_image(images, normalize=True), model.encode_text(tokens, normalize=True)


def difference(way: Way) -> float:
    """Return the largest difference of the features of a way in to those of the other library's own loading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = features(way.expected())
    found = features(load_clip(way.reference, "cpu").model)
    return max(float((mine - theirs).abs().max()) for mine, theirs in zip(found, expected, strict=True))


def transformers_difference(folder: Path, theirs: Any) -> float:
    """Return the largest difference of the features of a folder's model to those that transformers itself computes."""
    model = load_clip(str(folder), "cpu").model
    size = theirs.config.vision_config.image_size
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    tokens = open_clip.SimpleTokenizer(context_length=model.context_length)(TEXTS)
    with torch.inference_mode():
        image = theirs.visual_projection(theirs.vision_model(pixel_values=images).pooler_output)
        text = theirs.text_projection(theirs.text_model(input_ids=tokens).pooler_output)
    found = features(model)
    pairs = zip(found, (F.normalize(image, dim=-1), F.normalize(text, dim=-1)), strict=True)
    return max(float((mine - other).abs().max()) for mine, other in pairs)


def main() -> None:
    """Report the largest difference of each way in, for ViT-B/32's size."""
    options = parser(__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        figures: dict[str, object] = {}
        for way in write_ways(folder, "ViT-B-32", "ViT-B-32-256", "ViT-B-32-quickgelu"):
            figures[way.name] = difference(way)
        from transformers import CLIPModel

        theirs = CLIPModel.from_pretrained(folder / "hugging-face").eval()
        figures["Hugging Face, folder, against transformers"] = transformers_difference(folder / "hugging-face", theirs)
    report(figures, options.json)


if __name__ == "__main__":
    main()
