"""Model cards: what is pushed says what it is, and plain open_clip loads it with the card's own lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from typer.testing import CliRunner

from odits.cli.checkpoints import app
from odits.core.files import file_digest
from odits.models.clip.building import build_model
from odits.models.reference import EMBEDDED_WEIGHTS, read_metadata
from odits.tracking.mlflow_client import open_mlflow
from odits.tracking.model_card import companions, licence_of, model_card
from odits.tracking.sources import open_store
from odits.tracking.store import StoredCheckpoint
from odits.training.saving import save_model

Make = Callable[[float], Path]

SMALL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}

COMPARE = """
import sys, numpy, torch
{lines}
model.eval()
{pixels}
with torch.no_grad():
    image, text = model.encode_image(pixels), model.encode_text(tokenizer(["hotel", "bar"]))
numpy.savez("features.npz", image=image, text=text)
assert not [name for name in sys.modules if name.split(".")[0] == "odits"]
"""
PIXELS = "pixels = torch.linspace(-1, 1, 3 * {0} * {1}).reshape(1, 3, {0}, {1})"


def push(path: Path, *arguments: str) -> tuple[str, Path]:
    """Push a file; return its reference and the folder in which the store has it and what lies beside it."""
    result = CliRunner().invoke(app, ["push", str(path), "--json", *arguments], catch_exceptions=False)
    reference = json.loads(result.stdout)["reference"]
    run = open_mlflow().client.get_run(reference.partition("/")[0])
    return reference, Path(run.info.artifact_uri.removeprefix("file://")) / "checkpoints"


def lines_of(card: str) -> str:
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(lines.splitlines()) == 3
    return str(lines)


def features_of_the_cards_lines(folder: Path, height: int, width: int, where: Path) -> dict[str, Any]:
    """Run the card's three lines where nothing of this project can be imported."""
    program = COMPARE.format(lines=lines_of((folder / "README.md").read_text()), pixels=PIXELS.format(height, width))
    for item in folder.iterdir():
        (where / item.name).write_bytes(item.read_bytes())
    (where / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(where / "features.npz") as found:
        return dict(found)


def features(model: Any, tokenizer: Any, height: int, width: int) -> dict[str, Any]:
    named: dict[str, Any] = {"torch": torch}
    exec(PIXELS.format(height, width), named)
    with torch.no_grad():
        return {"image": model.encode_image(named["pixels"]), "text": model.encode_text(tokenizer(["hotel", "bar"]))}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the checkout, without its path for Python."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.slow
@pytest.mark.parametrize("custom", [False, True])
def test_an_architecture_of_open_clip_loads_in_plain_open_clip(
    custom: bool, mlflow_home: Path, elsewhere: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    name, extra = "ViT-S-32-alt", {}
    if custom:
        name, extra = "small-of-ours", {"model_cfg": json.dumps(SMALL)}
    model = build_model(name, SMALL if custom else None).eval()
    preprocess = json.dumps({"mean": [0.4, 0.5, 0.6]})
    save_model(model, tmp_path / "a b.safetensors", {"architecture": name, "preprocess": preprocess, **extra})
    _, folder = push(tmp_path / "a b.safetensors", "--name", "fine/tuned <1>")
    assert "image_mean=[0.4, 0.5, 0.6]" in (folder / "README.md").read_text()
    size = model.visual.image_size[0]
    found = features_of_the_cards_lines(folder, size, size, elsewhere)
    expected = features(model, open_clip.SimpleTokenizer(context_length=model.context_length), size, size)
    for part in ("image", "text"):
        assert np.abs(found[part] - expected[part].numpy()).max() <= 1e-5


@pytest.mark.slow
def test_the_embedded_architecture_loads_with_the_files_beside_it(mlflow_home: Path, elsewhere: Path) -> None:
    from odits.models.clip.embedded import tokenizer
    from odits.models.clip.loading import load_clip

    _, folder = push(EMBEDDED_WEIGHTS, "--name", "signs")
    names = {item.name for item in folder.iterdir()}
    assert names == {"README.md", "signs.safetensors", "odits-signs.json", "sign_tower.py", "characters.txt.gz"}
    found = features_of_the_cards_lines(folder, 64, 256, elsewhere)
    expected = features(load_clip("embedded", "cpu").model, tokenizer(), 64, 256)
    for part in ("image", "text"):
        assert np.abs(found[part] - expected[part].numpy()).max() <= 1e-5


def test_the_card_says_what_the_checkpoint_is(mlflow_home: Path) -> None:
    reference, folder = push(EMBEDDED_WEIGHTS, "--name", "signs")
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: open_clip\n")
    for said in (file_digest(EMBEDDED_WEIGHTS), "odits-signs", "| licence | apache-2.0", "| seed | 0 |", "# signs"):
        assert said in card
    assert [item.reference for item in open_store().list().runs[0].checkpoints] == [reference]


def test_a_card_has_all_checkpoints_of_its_run_and_the_runs_metrics(mlflow_home: Path, weights: Make) -> None:
    reference, folder = push(weights(1.0), "--name", "first")
    run = reference.partition("/")[0]
    open_mlflow().client.log_metric(run, "loss/total", 0.125)
    push(weights(2.0), "--name", "second", "--run", run)
    card = (folder / "README.md").read_text()
    assert file_digest(weights(1.0)) in card and file_digest(weights(2.0)) in card
    assert "| loss/total | 0.125 |" in card


def test_metrics_of_the_checkpoint_are_in_its_card(mlflow_home: Path, weights: Make) -> None:
    stored = open_store().push(weights(1.0), "mine", metrics={"svt1 eval/rank/precision_at_10": 0.25})
    assert stored.metadata["eval/svt1 eval/rank/precision_at_10"] == "0.25"
    assert open_store().find(stored.reference).metadata == stored.metadata
    card = model_card("mine", [stored], {})
    assert r"| svt1 eval/rank/precision\_at\_10 | 0.25 |" in card


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"architecture": "ViT-B-32", "kind": "odits"}, 'an ODITS model, not CLIP alone: `odits.load_model("best.saf'),
        ({"architecture": "ViT-B-32", "open_clip": "no"}, "Its tensors are not open_clip's as they stand"),
        ({}, "as in `ViT-B-32@best.safetensors`"),
    ],
)
def test_what_open_clip_does_not_load_is_not_said_to_load(metadata: dict[str, str], said: str) -> None:
    card = model_card(
        "run", [StoredCheckpoint("mlflow", "4f1a", "checkpoints/best.safetensors", 1, "0f", metadata)], {}
    )
    assert said in card and "create_model_and_transforms" not in card


def test_text_from_outside_has_no_meaning_in_a_card(weights: Make) -> None:
    nasty = {"architecture": "ViT-B-32", "name": "x\n# y <script> | `z` [a](b)", "parent": "p|q", "note": "```\n## n"}
    card = model_card("t\n---\n# u", [StoredCheckpoint("mlflow", "4f1a", "best.safetensors", 1, "0f", nasty)], {})
    assert "\n# y" not in card and "<script>" not in card.replace(r"\<script\>", "") and "\n## n" not in card
    assert card.count("\n# ") == 1 and card.count("```") == 2
    assert companions({"architecture": "../climbs", "model_cfg": "{}"}) == {}


def test_a_licence_is_that_of_the_file_or_is_asked_for() -> None:
    assert licence_of({"license": "mit"}) == ("mit", "mit, as the file says.")
    assert licence_of({"parent": "ViT-B-32/openai"})[1] == (
        "not stated in the file; that of the weights it was trained from (ViT-B-32/openai) holds."
    )
    assert licence_of(read_metadata(EMBEDDED_WEIGHTS))[0] == "apache-2.0"
