"""`odits models`: what is here, what references stand for, and every architecture of open_clip without a network."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
from huggingface_hub import constants

from odits.cli import app
from odits.core.errors import OditsError
from odits.models.registry import parse


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def run(*arguments: str) -> None:
    app(["models", *arguments], standalone_mode=False)


def test_what_is_here_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    run("--json")
    found = json.loads(capsys.readouterr().out)["models"]
    assert {"street", "spotting", "embedded"} == {one["reference"] for one in found}
    assert all(one["here"] for one in found)
    for one in found:
        assert parse(one["reference"], one["kind"]).name == one["name"]
    run()
    assert "odits-signs" in capsys.readouterr().out
    run("spotting")
    assert "spotting: Reads what is written in the picture" in capsys.readouterr().out


def test_architectures_that_can_be_built_and_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip, "list_models", lambda: ["ViT-B-32", "ViT-B-16-SigLIP", "roberta-ViT-B-32"])
    run("--check")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ViT-B-32: 151,277,313 parameters"
    assert lines[1].startswith(
        "ViT-B-16-SigLIP: 203,155,970 parameters. The tokenizer of ViT-B-16-SigLIP is built from"
    )
    assert lines[2].startswith(
        "roberta-ViT-B-32: not built. The text tower of roberta-ViT-B-32 is built from roberta-base"
    )
    assert len(lines) == 3
    with pytest.raises(OditsError, match="--check takes no references"):
        run("--check", "embedded")


@pytest.mark.slow
def test_every_architecture_is_built_or_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run("--check", "--json")
    found = json.loads(capsys.readouterr().out)
    rows = {row["architecture"]: row for row in found["architectures"]}
    assert set(rows) == set(open_clip.list_models()) >= {"ViTamin-L2-384", "ViT-B-16-SigLIP-i18n-256", "odits-signs"}
    assert len(rows) == found["ready"] + found["without_a_tokenizer"] + found["not_built"] and found["ready"] >= 90
    for name, row in rows.items():
        assert row["built"] or row["problem"], name
        assert "\n" not in (row["problem"] or ""), name
    assert rows["ViTamin-L2-384"]["problem"] is None


@pytest.mark.slow
def test_every_published_tag_is_a_reference() -> None:
    """ViTamin's too, whose weights open_clip names by a file of their repository."""
    pairs = open_clip.list_pretrained()
    assert len(pairs) > 150
    for architecture, tag in pairs:
        ref = parse(f"{architecture}/{tag}", "clip")
        assert (ref.architecture, ref.tag, ref.reference) == (architecture, tag, f"{architecture}/{tag}")


@pytest.mark.parametrize(
    ("name", "reference"),
    [("ViT-B/32", "ViT-B-32/openai"), ("ViT-L/14@336px", "ViT-L-14-336/openai"), ("ViT-B/16", "ViT-B-16/openai")],
)
def test_openais_own_names(name: str, reference: str) -> None:
    assert parse(name) == parse(reference)
