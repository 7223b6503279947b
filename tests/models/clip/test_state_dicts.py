"""One loader for everything that claims to be CLIP: each way in gives what open_clip's own loading gives."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file, save_file

from benchmarks.ways_in import (
    Trainer,
    difference,
    features,
    random_model,
    tensors,
    transformers_difference,
    write_hugging_face,
    write_torchscript,
    write_ways,
)
from odits.core.errors import OditsError
from odits.models.clip.loading import load_clip
from odits.models.clip.state_dicts import ForeignWeightsError, load_weights, read_state
from odits.models.layouts import matching_architectures, open_clip_name, plain_names
from odits.models.prepacked import plainly
from odits.models.registry import parse
from odits.training.saving import inherited_metadata

TINY, LARGER, QUICK, RESNET = "odits-tiny", "odits-tiny-64", "odits-tiny-quickgelu", "odits-tiny-resnet"
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
IMAGE = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    TINY: {"embed_dim": 24, "vision_cfg": IMAGE, "text_cfg": TEXT},
    LARGER: {"embed_dim": 24, "vision_cfg": IMAGE | {"image_size": 64}, "text_cfg": TEXT | {"context_length": 20}},
    QUICK: {"embed_dim": 24, "quick_gelu": True, "vision_cfg": IMAGE, "text_cfg": TEXT},
    RESNET: {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
        "text_cfg": TEXT,
    },
}


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, config in CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def model(architectures: None) -> Any:
    return random_model(TINY)


@pytest.fixture(scope="module")
def plain(model: Any) -> dict[str, torch.Tensor]:
    return tensors(model)


def largest(mine: Any, theirs: Any) -> float:
    with plainly():
        return max(float((a - b).abs().max()) for a, b in zip(features(mine), features(theirs), strict=True))


@pytest.mark.slow
def test_every_way_in_is_what_open_clip_loads(tmp_path: Path) -> None:
    """Wrappers, prefixes, half precision, other resolutions, OpenAI's archives and transformers' folders.

    https://github.com/mlfoundations/open_clip/pull/639, https://github.com/karpathy/nanoGPT/issues/325 (_orig_mod),
    https://github.com/mlfoundations/open_clip/issues/591, https://github.com/openai/CLIP/issues/250 (transformers),
    https://github.com/ArrowLuo/CLIP4Clip/issues/70 (TorchScript).
    """
    differences = {way.name: difference(way) for way in write_ways(tmp_path, TINY, LARGER, QUICK)}
    assert len(differences) == 12
    assert {name: value for name, value in differences.items() if value > 1e-5} == {}


def test_transformers_folder_gives_what_transformers_computes(tmp_path: Path) -> None:
    theirs = write_hugging_face(tmp_path, TINY)
    assert transformers_difference(tmp_path, theirs) < 1e-5
    ref = parse(tmp_path)
    assert ref.path == tmp_path / "model.safetensors" and ref.architecture.startswith("custom-")
    assert json.loads(ref.header["model_cfg"])["quick_gelu"] is True
    assert parse(f"local-dir:{tmp_path}").clip_checkpoint("0" * 64) == ref.clip_checkpoint("0" * 64)
    assert parse(tmp_path / "model.safetensors").architecture == ref.architecture
    # what is trained from it can be loaded again
    assert set(inherited_metadata(ref)) == {"architecture", "preprocess", "model_cfg"}
    saved = tmp_path / "tuned.safetensors"
    save_file(tensors(load_clip(ref, "cpu").model), saved, inherited_metadata(ref))
    assert transformers_difference(saved, theirs) < 1e-5


def test_a_transformers_folder_of_another_activation(tmp_path: Path) -> None:
    write_hugging_face(tmp_path, TINY)
    quick = load_clip(str(tmp_path), "cpu")
    config = json.loads((tmp_path / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        config[part]["hidden_act"] = "gelu"
    (tmp_path / "config.json").write_text(json.dumps(config))
    other = load_clip(str(tmp_path), "cpu")
    assert largest(quick.model, other.model) > 1e-3 and quick.checkpoint != other.checkpoint
    config["text_config"]["hidden_act"] = "gelu_new"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(OditsError, match="open_clip builds no CLIP with the activation gelu"):
        parse(tmp_path)


@pytest.mark.parametrize("safe", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_folder_whose_weights_lie_in_several_files(tmp_path: Path, safe: bool) -> None:
    """huggingface/transformers#13548 and after: what `save_pretrained` makes of a large model."""
    theirs = write_hugging_face(tmp_path, TINY)
    whole = load_clip(str(tmp_path), "cpu")
    (tmp_path / "model.safetensors").unlink()
    save_torch_state_dict(theirs.state_dict(), tmp_path, max_shard_size="4MB", safe_serialization=safe)
    ref = parse(tmp_path)
    assert ref.path is not None and ref.path.name.endswith(".index.json")
    assert transformers_difference(tmp_path, theirs) < 1e-5
    parted = load_clip(ref, "cpu")
    assert largest(whole.model, parted.model) == 0 and ref.describes(parted.checkpoint)
    assert parse(ref.path).architecture == ref.architecture
    part = sorted(tmp_path.glob("*-00002-of-*"))[0]
    part.unlink()
    with pytest.raises(OditsError, match=rf"A part of the weights is missing in {tmp_path.name}: {part.name}"):
        load_clip(str(tmp_path), "cpu")


WRONG_CONFIGS: list[tuple[dict[str, Any], str]] = [
    (
        {"model_cfg": {"embed_dim": 24, "vision_cfg": IMAGE | {"layers": 10**6}, "text_cfg": TEXT}},
        "layers is 1000000",
    ),
    ({"model_cfg": {"embed_dim": 24, "vision_cfg": IMAGE | {"width": "x"}, "text_cfg": TEXT}}, "open_clip can't build"),
    (
        {"model_cfg": {"embed_dim": 24, "vision_cfg": IMAGE | {"image_size": 0}, "text_cfg": TEXT}},
        "can't be resized",
    ),
    (
        {"model_cfg": {"embed_dim": 1 << 20, "vision_cfg": IMAGE, "text_cfg": TEXT}},
        "describes .* parameters, and",
    ),
    ({"model_cfg": {"embed_dim": 24, "vision_cfg": 3, "text_cfg": TEXT}}, "describes no model"),
    ({"model_cfg": CONFIGS[TINY], "preprocess_cfg": {"mean": [1, 2]}}, r"its mean for preparing images is \[1, 2\]"),
    ({"model_cfg": CONFIGS[TINY], "preprocess_cfg": {"std": [1, 0, 1]}}, "its std for preparing images"),
    ({"model_cfg": CONFIGS[TINY], "preprocess_cfg": {"interpolation": "x"}}, "its interpolation for preparing images"),
]


@pytest.mark.parametrize(("config", "said"), WRONG_CONFIGS)
def test_a_folders_configuration_is_not_believed(config: dict, said: str, tmp_path: Path, plain: dict) -> None:
    """Nothing is built before its size is known to be that of the weights: layers without end filled all memory."""
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(plain, tmp_path / "model.safetensors")
    with pytest.raises(OditsError, match=said) as found:
        load_clip(str(tmp_path), "cpu")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("config", [{"embed_dim": 24, "vision_cfg": 3, "text_cfg": TEXT}, {"layers": 1e9}])
def test_a_headers_configuration_is_not_believed(config: dict, tmp_path: Path, plain: dict) -> None:
    header = {"architecture": "custom-x", "model_cfg": json.dumps(config)}
    save_file(plain, tmp_path / "a.safetensors", header)
    with pytest.raises(OditsError, match=r"does not hold weights of custom-x: its configuration describes"):
        load_clip(str(tmp_path / "a.safetensors"), "cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text_config": [1], "vision_config": "x"}, "does not hold weights of"),
        ({"text_config": {"hidden_act": ["gelu"]}}, "builds no CLIP with the activation"),
        ({"vision_config": {"layer_norm_eps": []}}, "layer norms have an epsilon"),
        ({"vision_config": {"hidden_size": None}}, "describes no model"),
        ({"vision_config": {"num_hidden_layers": 1e30}}, "describes no model: num_hidden_layers is 1e"),
    ],
)
def test_a_transformers_configuration_is_not_believed(change: dict, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"} | change))
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(OditsError, match=said):
        load_clip(str(tmp_path), "cpu")


def test_an_open_clip_folder(tmp_path: Path, model: Any, plain: dict[str, torch.Tensor]) -> None:
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}
    described = {"model_cfg": CONFIGS[TINY], "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described))
    with pytest.raises(OditsError, match=r"it holds none of open_clip_model\.safetensors"):
        parse(tmp_path)
    save_file(plain, tmp_path / "open_clip_model.safetensors", {"format": "pt"})
    found = load_clip(str(tmp_path), "cpu")
    assert largest(found.model, model) == 0
    with open_clip_own(tmp_path) as own:
        assert str(found.transforms["scene"]) == str(own)
    for name, content in (("text", "no"), ("list", "[]"), ("empty", "{}"), ("nested", "[" * 100_000)):
        (tmp_path / "open_clip_config.json").write_text(content)
        with pytest.raises(OditsError, match=r"open_clip_config\.json of") as error:
            parse(tmp_path)
        assert "\n" not in str(error.value), name


class open_clip_own:  # noqa: N801
    """open_clip's own preprocessing of a folder."""

    def __init__(self, folder: Path) -> None:
        self.found = open_clip.create_model_from_pretrained(f"local-dir:{folder}")[1]

    def __enter__(self) -> Any:
        return self.found

    def __exit__(self, *_: object) -> None:
        pass


def test_an_archives_own_code_decides_the_activation(tmp_path: Path) -> None:
    """https://github.com/mlfoundations/open_clip/issues/771 and /915: OpenAI's weights with the other activation."""
    write_torchscript(random_model(QUICK), tmp_path / "quick.pt")
    write_torchscript(random_model(TINY), tmp_path / "plain.pt")
    ref = parse(f"{TINY}@{tmp_path / 'quick.pt'}")
    assert ref.architecture == QUICK and "QuickGELU" in ref.note and QUICK in ref.name
    assert inherited_metadata(ref)["architecture"] == QUICK, "what is trained from it keeps the activation"
    assert parse(f"{TINY}@{tmp_path / 'plain.pt'}").architecture == TINY
    assert parse(f"{QUICK}@{tmp_path / 'quick.pt'}").architecture == QUICK


def test_an_archives_code_is_never_run(tmp_path: Path, plain: dict[str, torch.Tensor]) -> None:
    """Its code could do anything, and does not even have to be code: only the tensors are read."""
    write_torchscript(random_model(TINY), tmp_path / "archive.pt")
    with zipfile.ZipFile(tmp_path / "archive.pt") as source, zipfile.ZipFile(tmp_path / "evil.pt", "w") as target:
        for name in source.namelist():
            code = name.endswith(".py")
            target.writestr(name, b"import os; os.abort()  # gelu(" if code else source.read(name))
    expected, found = read_state(tmp_path / "archive.pt"), read_state(tmp_path / "evil.pt")
    assert found.keys() == expected.keys() > plain.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_names_without_what_trainers_put_before_them() -> None:
    names = ["logit_scale", "visual.proj", "text_projection"]
    for prefix in ("module.", "_orig_mod.", "model.", "net.", "clip.", "module.model.", "model._orig_mod.module.clip."):
        assert plain_names([prefix + name for name in names])[0] == {prefix + name: name for name in names}
    assert plain_names(["visual._orig_mod.proj", "logit_scale"])[0]["visual._orig_mod.proj"] == "visual.proj"
    assert plain_names(["model.logit_scale", "model.visual.proj", "loss.weight"])[1] == ["loss.weight"]
    student = [f"student.{name}" for name in names]
    assert set(plain_names([*student, *(f"ema_model.{name}" for name in names)])[0]) == set(student)
    with pytest.raises(ValueError, match="it holds 2 CLIP models, a and b"):
        plain_names([f"{model}.{name}" for model in "ab" for name in names])
    with pytest.raises(ValueError, match="two tensors of one name"):
        plain_names(["logit_scale", "visual.proj", "module.visual.proj"])
    assert open_clip_name("text_model.encoder.layers.0.mlp.fc3.weight") == "text_model.encoder.layers.0.mlp.fc3.weight"


def test_a_trainers_own_module_beside_the_model(tmp_path: Path, model: Any) -> None:
    trainer = Trainer(clip=model, loss=torch.nn.Linear(2, 2))
    torch.save({"state_dict": trainer.state_dict()}, tmp_path / "last.ckpt")
    assert largest(load_clip(f"{TINY}@{tmp_path / 'last.ckpt'}", "cpu").model, model) == 0


def test_what_a_trainer_wrote_down_beside_the_weights(tmp_path: Path, model: Any) -> None:
    """https://github.com/m1k2zoo/negbench/issues/9: a checkpoint of open_clip's training with NumPy's numbers in it."""
    beside = {
        "loss": np.float64(0.5),
        "seen": np.int64(7),
        "args": argparse.Namespace(lr=0.1),
        "metrics": {"r": np.float32(1)},
    }
    torch.save(beside | {"state_dict": model.state_dict()}, tmp_path / "epoch.pt")
    assert largest(load_clip(f"{TINY}@{tmp_path / 'epoch.pt'}", "cpu").model, model) == 0


def test_buffers_that_hold_nothing_learned_do_not_count(tmp_path: Path, model: Any, plain: dict) -> None:
    """https://github.com/huggingface/transformers/pull/45385, https://github.com/gligen/GLIGEN/issues/67."""
    more = plain | {"attn_mask": torch.zeros(16, 16), "text_model.embeddings.position_ids": torch.arange(16)}
    save_file(more, tmp_path / "more.safetensors")
    assert largest(load_clip(f"{TINY}@{tmp_path / 'more.safetensors'}", "cpu").model, model) == 0
    resnet = random_model(RESNET)
    fewer = {name: value for name, value in tensors(resnet).items() if "num_batches_tracked" not in name}
    assert len(fewer) < len(resnet.state_dict())
    save_file(fewer, tmp_path / "fewer.safetensors")
    assert largest(load_clip(f"{RESNET}@{tmp_path / 'fewer.safetensors'}", "cpu").model, resnet) == 0


def test_a_text_tower_of_its_own(tmp_path: Path, model: Any, plain: dict) -> None:
    """open_clip's `force_custom_text` calls the same tensors by other names."""
    tower = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
    custom = {f"text.{name}" if name.startswith(tower) else name: value for name, value in plain.items()}
    save_file(custom, tmp_path / "custom.safetensors")
    assert largest(load_clip(f"{TINY}@{tmp_path / 'custom.safetensors'}", "cpu").model, model) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"visual.proj": None}, r"1 of \d+ names are missing \(visual.proj\)"),
        ({f"adapter.{i}": torch.zeros(1) for i in range(7)}, r"7 are foreign \(adapter.0, .*adapter.4, …\)"),
        ({"visual.proj": torch.zeros(3, 24)}, "visual.proj has the shape 3×24 and should have 64×24"),
        ({"visual.proj": torch.zeros(64, 24, dtype=torch.int8)}, "visual.proj holds int8 numbers"),
        ({"visual.positional_embedding": torch.zeros(8, 64)}, "visual.positional_embedding has the shape 8×64"),
        ({"positional_embedding": torch.zeros(16, 32)}, "positional_embedding has the shape 16×32"),
        ({"logit_scale": torch.zeros(2)}, "logit_scale has the shape 2 and"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, said: str, model: Any, plain: dict, tmp_path: Path) -> None:
    state = {name: value for name, value in (plain | change).items() if value is not None}
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(OditsError, match=rf"other.safetensors does not hold weights of {TINY}: .*{said}") as found:
        load_clip(f"{TINY}@{tmp_path / 'other.safetensors'}", "cpu")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float, plain: dict, tmp_path: Path) -> None:
    hurt = plain["visual.proj"].clone()
    hurt[3, 4] = value
    save_file(plain | {"visual.proj": hurt}, tmp_path / "hurt.safetensors")
    with pytest.raises(OditsError, match=r"hurt.safetensors is refused: visual.proj holds NaN or Inf\."):
        load_clip(f"{TINY}@{tmp_path / 'hurt.safetensors'}", "cpu")


def hostile_files() -> Iterator[tuple[str, bytes, str]]:
    yield "header.safetensors", (1 << 62).to_bytes(8, "little") + b"{}", "damaged"
    yield "long.safetensors", (200).to_bytes(8, "little") + b'{"a":', "damaged"
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}).encode()
    yield "shape.safetensors", len(header).to_bytes(8, "little") + header + b"\0" * 4, "damaged"
    header = json.dumps({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}).encode()
    yield "type.safetensors", len(header).to_bytes(8, "little") + header + b"\0" * 4, "damaged"
    yield "none.safetensors", (2).to_bytes(8, "little") + b"{}", "holds no weights"
    yield "empty.pt", b"", "no file of weights"
    yield "text.pt", b"no pickle", "no file of weights"
    yield "deep.pt", b"\x80\x02" + b"(" * 50 + b"ctorch\nload\n", "refused"


@pytest.mark.parametrize(("name", "content", "said"), list(hostile_files()), ids=lambda value: str(value)[:20])
def test_a_bad_file_is_one_sentence(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (lambda: read_state(tmp_path / name), lambda: load_clip(f"{TINY}@{tmp_path / name}", "cpu")):
        with pytest.raises(OditsError, match=rf"{name} .*{said}") as found:
            read()
        assert "\n" not in str(found.value)


def test_a_zip_that_is_no_archive_of_torch(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("a.jpg", b"no")
    with pytest.raises(OditsError, match=r"photos.pt is no file of weights: it is a ZIP of something else"):
        load_clip(f"{TINY}@{tmp_path / 'photos.pt'}", "cpu")


def test_a_pickle_is_converted_once(tmp_path: Path, home: Path, plain: dict) -> None:
    torch.save(plain, tmp_path / "a.pt")
    assert read_state(tmp_path / "a.pt").keys() == plain.keys()
    (file,) = (home / "cache" / "converted").rglob("*.safetensors")
    stamp = file.stat().st_mtime_ns
    read_state(tmp_path / "a.pt")
    assert file.stat().st_mtime_ns == stamp and load_file(file).keys() == plain.keys()


# Architectures by the shapes of weights.


def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = open_clip.create_model(name, pretrained_text=False, device="meta")
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_shapes_tell_the_architecture() -> None:
    assert matching_architectures(shapes_of("ViT-H-14")) == ["ViT-H-14", "ViT-H-14-quickgelu"]
    assert matching_architectures(shapes_of("RN50x4")) == ["RN50x4", "RN50x4-quickgelu"]
    assert matching_architectures(shapes_of("ViT-B-32-256")) == ["ViT-B-32-256"]
    prefixed = {f"module.{name}": shape for name, shape in shapes_of("ViT-B-16-plus-240").items()}
    assert matching_architectures(prefixed) == ["ViT-B-16-plus-240"]
    assert matching_architectures({"a": (1, 2)}) == [] == matching_architectures({})


@pytest.mark.slow
def test_shapes_tell_timms_towers() -> None:
    assert matching_architectures(shapes_of("convnext_base_w")) == ["convnext_base_w", "convnext_base_w_320"]
    assert matching_architectures(shapes_of("ViTamin-S")) == ["ViTamin-S"]


def test_a_file_without_an_architecture(tmp_path: Path) -> None:
    """By its shapes where they tell, and a question that says between what where they don't."""
    for name in ("ViT-B-32-256", "ViT-B-32"):
        state = {key: torch.zeros(()).expand(shape) for key, shape in shapes_of(name).items()}
        write_header(tmp_path / f"{name}.safetensors", state)
    ref = parse(tmp_path / "ViT-B-32-256.safetensors")
    assert ref.architecture == "ViT-B-32-256" and "found by the shapes" in ref.note
    assert ref.clip_checkpoint("a" * 64) == parse(f"ViT-B-32-256@{ref.path}").clip_checkpoint("a" * 64)
    with pytest.raises(OditsError, match=r"fits ViT-B-32 and ViT-B-32-quickgelu, .*as in ViT-B-32@ViT-B-32\."):
        parse(tmp_path / "ViT-B-32.safetensors")


@pytest.mark.slow
def test_a_pickle_without_an_architecture(tmp_path: Path, model: Any, plain: dict[str, torch.Tensor]) -> None:
    """As a safetensors file is known by its shapes; what is fitting several is asked for, by name."""
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes_of("RN50").items()}
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "epoch 1.pt")
    with pytest.raises(OditsError, match=r"epoch 1.pt fits RN50 and RN50-quickgelu, .* as in RN50@epoch 1\.pt\."):
        parse(tmp_path / "epoch 1.pt")
    torch.save({"state_dict": {f"module.{key}": value for key, value in plain.items()}}, tmp_path / "epoch 1.pt")
    with pytest.raises(OditsError, match=r"names no architecture, and its weights \(.*\) have the shapes of none"):
        parse(tmp_path / "epoch 1.pt")  # an architecture that a test added is not among open_clip's files
    torch.save({"a.lora_A.weight": torch.zeros(2)}, tmp_path / "adapter.bin")
    with pytest.raises(OditsError, match=r"adapter.bin is no CLIP model: it holds a LoRA adapter"):
        parse(tmp_path / "adapter.bin")


def write_header(path: Path, state: dict[str, torch.Tensor]) -> None:
    """A safetensors file whose data is a hole: shapes alone are asked for."""
    header, start = {}, 0
    for name, value in state.items():
        size = 4 * int(np.prod(value.shape))
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + start)


def test_weights_of_another_model_say_so(model: Any) -> None:
    with pytest.raises(ForeignWeightsError, match=r"names are missing .* and 1 is foreign \(weight\)"):
        load_weights(model, {"weight": torch.zeros(1)})
    with pytest.raises(ForeignWeightsError, match="MobileCLIP"):
        load_weights(
            model, {"logit_scale": torch.zeros(1), "image_encoder.model.patch_emb.0.block.conv.weight": torch.zeros(1)}
        )
