"""docTR's ViTSTR behind the recogniser's seam, with random weights where docTR is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.models.reading.alphabet import BLANK, SYMBOLS, spell
from odits.models.reading.ctc import Lexicon, Lines, score
from odits.models.reading.reader import TextReader
from odits.models.reading.spotter import WordSpotter
from odits.models.reading.vitstr import Vitstr, _words
from odits.models.registry import VITSTR, load

DEMO = Path(__file__).parents[3] / "assets" / "demo"
needs_doctr = pytest.mark.skipif(
    importlib.util.find_spec("doctr") is None, reason="docTR is not installed (requirements-doctr.txt)"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViTSTR with random weights."""
    import torch
    from doctr.models import vitstr_small

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vitstr") / "vitstr.pt"
    torch.save(vitstr_small(pretrained=False).state_dict(), path)
    return path


def test_without_doctr_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "doctr", None)
    monkeypatch.setitem(sys.modules, "doctr.models", None)
    for reference in (VITSTR, f"{VITSTR}:somewhere.pt"):
        with pytest.raises(OditsError, match=r"pip install -r requirements-doctr\.txt"):
            load(reference)


def test_a_wide_line_is_cut_between_its_words() -> None:
    rng = np.random.default_rng(0)
    line = np.full((48, 480, 3), 200, np.uint8)
    for start, stop in ((10, 200), (280, 470)):
        line[8:40, start:stop] = rng.integers(0, 255, (32, stop - start, 3))
    first, second = _words(line)
    assert 200 <= first.shape[1] <= 280 and first.shape[1] + second.shape[1] == 480
    (narrow,) = _words(line[:, :150])
    assert narrow.shape == (48, 150, 3)


@needs_doctr
def test_it_reads_pictures_in_place_of_the_other(weights: Path) -> None:
    spotter = load(f"{VITSTR}:{weights}")
    assert isinstance(spotter, WordSpotter)
    assert spotter.name == "Word spotting with ViTSTR-Small (docTR) on PP-OCRv5-mobile's lines"
    assert spotter.checkpoint != WordSpotter().checkpoint
    lines = spotter.read(Image.open(DEMO / "cafe.jpg"))
    ours = TextReader().read(Image.open(DEMO / "cafe.jpg"))
    assert len(lines) == len(ours) > 0, "the detector is the same"
    assert all(line.frames.shape[1] == SYMBOLS for line in lines)
    assert all(np.allclose(np.exp(line.frames.astype(float)).sum(1), 1, atol=0.02) for line in lines)


@needs_doctr
def test_what_it_spells_is_what_scores_best(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    reader = Vitstr(weights)
    letters = reader._characters

    def spelled(pixels: torch.Tensor, return_model_output: bool) -> dict[str, torch.Tensor]:
        logits = torch.zeros(len(pixels), 33, len(letters) + 1)
        logits[:, range(5), [letters.index(letter) for letter in "HoTEL"]] = 9.0
        logits[:, 5:, len(letters)] = 9.0
        return {"out_map": logits}

    monkeypatch.setattr(reader, "_model", spelled)
    crop = np.zeros((48, 120, 3), np.uint8)
    ((frames, text),) = reader.frames([crop])
    assert text == "HoTEL" and len(frames) == 11
    assert frames.argmax(1)[1::2].tolist() == spell("hotel").tolist()
    assert (frames.argmax(1)[::2] == BLANK).all()
    words = ("motel", "hotel", "hot", "hotels")
    scores = score(Lines([frames]), Lexicon(words))[0]
    assert words[int(scores.argmax())] == "hotel"
    assert reader.frames([]) == []


@needs_doctr
def test_other_files_are_one_sentence(weights: Path, tmp_path: Path) -> None:
    import torch

    with pytest.raises(OditsError, match="no weights of ViTSTR"):
        Vitstr(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no weights")
    torch.save({"some": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save({"some": torch.full((3,), torch.nan)}, tmp_path / "nan.pt")
    for name, said in (
        ("text.pt", "is no file of weights"),
        ("other.pt", "does not hold"),
        ("nan.pt", "is refused: some holds NaN or Inf"),
    ):
        with pytest.raises(OditsError, match=f"{name} {said}"):
            Vitstr(tmp_path / name)
