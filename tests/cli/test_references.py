"""One reference in every command: what a list prints is accepted; a wrong one gives the same sentence everywhere."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from safetensors.torch import save_file

from odits.cli import app
from odits.core.errors import OditsError
from odits.core.files import asset
from odits.models.clip.embedded import ARCHITECTURE, new_model
from odits.models.reference import EMBEDDED_WEIGHTS, parse
from tests.training.tiny import write_data

IMAGE = str(asset("demo/cafe.jpg"))
Command = Callable[[str], list[str]]

WORD_MODEL: dict[str, Command] = {
    "words": lambda ref: ["words", IMAGE, "--checkpoint", ref, "--vocabulary", "{words}"],
    "evaluate": lambda ref: ["evaluate", "--data", "{data}", "--checkpoint", ref, "--track", "none"],
    "objects --model": lambda ref: ["objects", IMAGE, "--names", "clip", "--vocabulary", "{words}", "--model", ref],
}
CLIP: dict[str, Command] = {
    "words --model clip": lambda ref: [*WORD_MODEL["words"](ref), "--model", "clip"],
    "evaluate-crops": lambda ref: ["evaluate-crops", "--data", "{data}", "--checkpoint", ref],
    "retrieval": lambda ref: ["retrieval", "--data", "{data}", "--checkpoint", ref],
    "finetune": lambda ref: ["finetune", "--data", "{data}", "--checkpoint", ref, "--track", "none"],
    "train": lambda ref: ["train", "--data", "{data}", "--checkpoint", ref, "--track", "none"],
    "compare": lambda ref: ["compare", "--data", "{data}", "--checkpoint", ref],
    "compare --finetuned": lambda ref: ["compare", "--data", "{data}", "--finetuned", ref],
}
ODITS: dict[str, Command] = {
    "words --model odits": lambda ref: [*WORD_MODEL["words"](ref), "--model", "odits"],
    "explain": lambda ref: ["explain", IMAGE, "--checkpoint", ref, "--vocabulary", "{words}"],
    "retrieval --odits": lambda ref: ["retrieval", "--data", "{data}", "--odits", ref],
}
SEGMENTER: dict[str, Command] = {
    "objects": lambda ref: ["objects", IMAGE, "--segmenter", ref],
    "precompute": lambda ref: ["precompute", "--data", "{data}", "--segmenter", ref],
    "counts": lambda ref: ["counts", "--data", "{data}", "--segmenter", ref],
    "train": lambda ref: ["train", "--data", "{data}", "--segmenter", ref, "--track", "none"],
    "compare": lambda ref: ["compare", "--data", "{data}", "--segmenter", ref],
}
MODELS = {**WORD_MODEL, **CLIP, **ODITS}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small data set and a vocabulary."""
    folder = tmp_path_factory.mktemp("references")
    (folder / "words.txt").write_text("CAFE\nHOTEL\nBAKERY\n")
    return {"{data}": str(write_data(folder / "data")), "{words}": str(folder / "words.txt")}


def run(arguments: list[str], places: dict[str, str]) -> str:
    """What a command prints; it runs in this process."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(io.StringIO()):
        app([places.get(argument, argument) for argument in arguments], standalone_mode=False)
    return output.getvalue()


def refusal(arguments: list[str], places: dict[str, str]) -> str:
    """The sentence that a command ends with."""
    with pytest.raises(OditsError) as found:
        run(arguments, places)
    return str(found.value)


def sentence_of(reference: str, *kinds: str) -> str:
    with pytest.raises(OditsError) as found:
        parse(reference, *kinds)  # type: ignore[arg-type]
    return str(found.value)


@pytest.mark.parametrize("command", MODELS)
@pytest.mark.parametrize("reference", ["nowhere", "ViT-B-32/nothing", "spotting:oracle", "{damaged}", "{nameless}"])
def test_a_wrong_model_gives_one_sentence(command: str, reference: str, places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"no")
    (tmp_path / "nameless.pt").write_bytes(b"no")
    files = {"{damaged}": tmp_path / "damaged.safetensors", "{nameless}": tmp_path / "nameless.pt"}
    asked = str(files.get(reference, reference))
    assert refusal(MODELS[command](asked), places) == sentence_of(asked)


@pytest.mark.parametrize(
    ("command", "reference", "sentence"),
    [
        *((command, "spotting", "'spotting' is not a CLIP model: it is word spotting.") for command in CLIP),
        *((command, "embedded", "'embedded' is not an ODITS checkpoint: it is a CLIP model.") for command in ODITS),
    ],
)
def test_another_kind_of_model_gives_one_sentence(
    command: str, reference: str, sentence: str, places: dict[str, str]
) -> None:
    assert refusal(MODELS[command](reference), places) == sentence


@pytest.mark.parametrize("command", WORD_MODEL)
def test_a_segmenter_is_no_word_model(command: str, places: dict[str, str]) -> None:
    assert refusal(MODELS[command]("sam:vit_b"), places).endswith("it is a segmenter.")


@pytest.mark.parametrize("command", SEGMENTER)
@pytest.mark.parametrize("reference", ["nowhere", "sam:", "sam:absent.pth"])
def test_a_wrong_segmenter_gives_one_sentence(command: str, reference: str, places: dict[str, str]) -> None:
    assert refusal(SEGMENTER[command](reference), places) == sentence_of(reference, "segmenter")


@pytest.mark.parametrize("reference", ["0" * 32 + "/model.safetensors", "runs:/" + "0" * 32 + "/model"])
def test_what_no_store_has_is_one_sentence(reference: str, places: dict[str, str]) -> None:
    """The default store is asked, since the reference looks like one of its own."""
    sentences = {refusal(MODELS[command](reference), places) for command in ("words", "evaluate", "finetune")}
    assert len(sentences) == 1 and "\n" not in sentences.pop()


@pytest.mark.slow
def test_what_the_list_prints_is_accepted(home: Path, places: dict[str, str]) -> None:
    (home / "checkpoints").mkdir()
    header = {"architecture": ARCHITECTURE, "name": "Mine"}
    save_file(new_model().state_dict(), home / "checkpoints" / "mine.safetensors", header)
    listed = json.loads(run(["checkpoints", "list", "--json"], places))["local"]
    assert [item["name"] for item in listed] == ["ODITS Street", "Word spotting", "ODITS Signs (embedded)", "Mine"]
    for item in listed:
        (entry,) = json.loads(run([*WORD_MODEL["words"](item["reference"]), "--json"], places))
        assert {word["word"] for word in entry["words"]} == {"CAFE", "HOTEL", "BAKERY"}
        assert entry["checkpoint"].startswith(item["digest"][:40])  # ODITS's names its segmenter too


@pytest.mark.slow
def test_a_stores_checkpoint_is_brought_here(home: Path, places: dict[str, str]) -> None:
    """RUN/NAME, as the list prints it, is as good as a file: it is pulled from the default store the first time."""
    pushed = json.loads(run(["checkpoints", "push", str(EMBEDDED_WEIGHTS), "--name", "signs", "--json"], places))
    for _ in range(2):
        (entry,) = json.loads(run([*WORD_MODEL["words"](pushed["reference"]), "--json"], places))
        assert entry["checkpoint"] == pushed["digest"]
    assert len(list((home / "checkpoints").iterdir())) == 1


@pytest.mark.slow
def test_odits_street_answers_unless_another_model_is_named(places: dict[str, str]) -> None:
    words = ["words", IMAGE, "--vocabulary", "{words}", "--json"]
    speakers = {}
    for options in (
        (),
        ("--model", "odits"),
        ("--model", "spotting"),
        ("--model", "clip"),
        ("--checkpoint", "embedded"),
    ):
        (entry,) = json.loads(run([*words, *options], places))
        speakers[options] = entry["model"]
    reader = "Word spotting with PP-OCRv6-small on PP-OCRv5-mobile's lines"
    assert (speakers[()], speakers["--model", "spotting"]) == ("ODITS Street", reader)
    assert speakers["--model", "odits"] == "ODITS Street"
    assert speakers["--model", "clip"] == speakers["--checkpoint", "embedded"] == "ODITS Signs (embedded)"


def test_options_name_the_references() -> None:
    from typer.testing import CliRunner

    for command, forms in (("words", "spotting"), ("finetune", "ViT-B-32/openai"), ("objects", "sam:vit_b")):
        assert forms in CliRunner().invoke(app, [command, "--help"], terminal_width=200, color=False).output


def test_sams_parameters_need_a_sam(places: dict[str, str]) -> None:
    for reference in ("embedded", "nowhere"):
        refused = refusal(["objects", IMAGE, "--segmenter", reference, "--sam", "points_per_side=8"], places)
        expected = "choose a SAM" if reference == "embedded" else "There is no segmenter 'nowhere'"
        assert expected in refused
