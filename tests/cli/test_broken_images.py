"""Commands over many images go on past those that are damaged: they are named, and the exit status is 1."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from PIL import Image
from typer.testing import CliRunner

from odits.cli import app

pytestmark = pytest.mark.slow
DEMO = Path(__file__).parents[2] / "assets" / "demo"
GOOD = {"train": ["bakery", "cafe"], "eval": ["hotel", "market"]}
BROKEN = {"train": "cut0.jpg", "eval": "cut1.jpg"}
COMMANDS = {
    "evaluate": ["--split", "all", "--track", "none", "--checkpoint", "embedded"],
    "evaluate spotting": ["--split", "all", "--track", "none", "--checkpoint", "spotting"],
    "evaluate workers": ["--split", "all", "--track", "none", "--checkpoint", "embedded", "--workers", "1"],
    "precompute": ["--workers", "1"],
    "counts": ["--split", "all", "--workers", "1"],
    "search": ["hotel", "--workers", "1"],
    "retrieval": ["--split", "all"],
    "retrieval errors": ["--split", "all", "--errors"],
    "spot": ["--split", "all"],
    "spot full": ["--split", "all", "--lexicon", "full"],
    "evaluate-crops": ["--split", "all"],
}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SVT's layout: two good images and one cut off in the middle, in each split, a boxed word on each."""
    folder = tmp_path_factory.mktemp("street")
    (folder / "img").mkdir()
    for split, file in (("train", "train.xml"), ("eval", "test.xml")):
        entries = []
        for name in GOOD[split]:
            with Image.open(DEMO / f"{name}.jpg") as whole:
                whole.convert("RGB").resize((400, 300)).save(folder / "img" / f"{name}.jpg")
            entries.append(entry(f"{name}.jpg", name.upper()))
        stream = io.BytesIO()
        Image.effect_noise((400, 300), 90).convert("RGB").save(stream, "JPEG")
        (folder / "img" / BROKEN[split]).write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
        entries.append(entry(BROKEN[split], f"LOST{split}".upper()))
        (folder / file).write_text(f"<tagset>{''.join(entries)}</tagset>")
    return folder


def entry(name: str, word: str) -> str:
    return (
        f"<image><imageName>img/{escape(name)}</imageName><lex>{word},HOTEL,BAR</lex><Resolution x='400' y='300'/>"
        f"<taggedRectangles><taggedRectangle height='60' width='200' x='100' y='80'><tag>{word}</tag>"
        "</taggedRectangle></taggedRectangles></image>"
    )


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-home")


@pytest.mark.parametrize("command", COMMANDS)
def test_two_of_six_are_named_and_four_are_done(
    command: str, street: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODITS_HOME", str(shared_home))  # what one command has read, the next one need not
    arguments = [command.split()[0], *COMMANDS[command], "--data", str(street), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1, (done.exception, done.stderr)
    document = json.loads(done.stdout)
    assert sorted(problem["image"] for problem in document["problems"]) == list(BROKEN.values())
    for name in BROKEN.values():
        (problem,) = (problem for problem in document["problems"] if problem["image"] == name)
        assert problem["problem"] == f"{name} is damaged or cut off, so its picture can't be read."
        assert f"Left out: {problem['problem']}" in done.stderr.splitlines()
    check = {
        "precompute": lambda: (document["images"], document["computed"] + document["kept_from_before"]) == (6, 4),
        "counts": lambda: len(document["images"]) == len(document["counts"]) == 4,
        "evaluate-crops": lambda: document["boxes"] == 4,
        "retrieval": lambda: (document["images"], document["queries"]) == (4, 4),
        "retrieval errors": lambda: (document["queries"], document["errors"]) == (4, []),
        "spot full": lambda: document["images"] == 4 and document["lexicon"] == "full" and document["words"] >= 4,
    }.get(command, lambda: document["images"] == 4)
    assert check(), document


def test_an_evaluation_is_stored_with_its_problems(
    street: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODITS_HOME", str(shared_home))
    arguments = ["evaluate", *COMMANDS["evaluate"], "--data", str(street), "--json"]
    first, again = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert first.exit_code == again.exit_code == 1
    assert json.loads(first.stdout) == json.loads(again.stdout)
