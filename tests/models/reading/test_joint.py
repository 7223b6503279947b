"""Word spotting by several readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.pool import Workers
from odits.data import ImageRecord, Vocabulary
from odits.evaluation.reading_tasks import read_records
from odits.models.reading.ctc import Lexicon
from odits.models.reading.joint import JointSpotter
from odits.models.reading.loading import load_spotter
from odits.models.reading.packaged import is_installed
from odits.models.reading.reader import QUICK_SCALES, TextLine
from odits.models.reading.spotter import SVT_TRAIN, WordSpotter
from odits.models.reference import SPOTTING_JOINT, SPOTTING_QUICK, SPOTTING_V4, parse

DEMO = Path(__file__).parents[3] / "assets" / "demo"
WORDS = ["PHARMACY", "FLOWERS", "Bakery", "corner", "HOTEL", "FLOW", "BREADS"]


def test_its_readers_are_all_that_are_installed_and_its_name_says_which() -> None:
    joint = JointSpotter()
    detectors = [reader.detector for reader in joint.readers]
    assert detectors == [detector for detector in ("v4", "v5", "v6") if is_installed(detector)]
    assert all(detector in joint.name for detector in detectors)
    assert ("v4" in joint.name) == is_installed("v4")
    assert len({joint.checkpoint, *(member.checkpoint for member in joint.members)}) == len(detectors) + 1


def test_each_line_is_calibrated_for_its_reader_and_the_best_line_counts(lines: list[TextLine]) -> None:
    joint, lexicon = JointSpotter(), Lexicon(WORDS)
    mixed = [replace(line, reader=number) for line in lines for number in range(len(joint.members))][::-1]
    found = joint.score_lines(mixed, lexicon)
    alone = [member.score_lines(lines, lexicon) for member in joint.members]
    for row, line in enumerate(mixed):
        of_line = len(lines) - 1 - row // len(joint.members)
        np.testing.assert_allclose(found.log_odds[row], alone[line.reader].log_odds[of_line], rtol=1e-5)
    np.testing.assert_allclose(found.best(), np.max([one.best() for one in alone], axis=0), rtol=1e-5)
    assert joint.score_lines([], lexicon).best().tolist() == [-np.inf] * len(WORDS)


@pytest.mark.slow
def test_what_one_reader_reads_the_joint_one_reads_too(scene: Image.Image) -> None:
    joint, words = JointSpotter(), Vocabulary.from_words(WORDS, "some")
    assert {item.word for item in joint.predict(scene, words).top(3)} == {"FLOWERS", "Bakery", "corner"}
    texts = [line.text for member in joint.members for line in member.read(scene)]
    assert [line.text for line in joint.read(scene)] == texts


@pytest.mark.slow
def test_other_processes_read_for_all_its_readers(tmp_path: Path) -> None:
    for name in ("cafe.jpg", "hotel.jpg"):
        with Image.open(DEMO / name) as image:
            image.resize((512, 384)).save(tmp_path / name)
    records = [ImageRecord(name, tmp_path / name) for name in ("cafe.jpg", "hotel.jpg")]
    told: list[tuple[int, int]] = []
    spotter = JointSpotter()
    outcomes = list(read_records(spotter, records, Workers(2), lambda done, of: told.append((done, of))))
    here = list(read_records(spotter, records))
    for there, one in zip(sorted(outcomes, key=lambda outcome: outcome.index), here, strict=True):
        assert [(line.reader, line.text) for line in there.value] == [(line.reader, line.text) for line in one.value]
    assert told[-1] == (2, 2) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_its_references_name_a_reader_or_all() -> None:
    assert isinstance(load_spotter(SPOTTING_JOINT), JointSpotter)
    assert parse(SPOTTING_V4).kind == parse(SPOTTING_JOINT).kind == "spotting"
    if not is_installed("v4"):
        with pytest.raises(OditsError, match="pip install --force-reinstall --no-deps rapidocr-onnxruntime"):
            load_spotter(SPOTTING_V4)


@pytest.mark.slow
def test_the_quick_reader_looks_less_often_and_says_so(scene: Image.Image) -> None:
    quick, whole = load_spotter(SPOTTING_QUICK), WordSpotter()
    assert quick.reader.settings.scales == QUICK_SCALES and quick.name.startswith(f"{whole.name} at ")
    assert quick.checkpoint != whole.checkpoint and quick.calibration == whole.calibration
    assert 0 < len(quick.read(scene)) < len(whole.read(scene))
    words = Vocabulary.from_words(WORDS, "some")
    assert {item.word for item in quick.predict(scene, words).top(3)} == {"FLOWERS", "Bakery", "corner"}


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("v4"), reason="PP-OCRv4's networks are not installed (docs/models.md)")
def test_v4_reads_with_its_own_recogniser(scene: Image.Image) -> None:
    v4 = load_spotter(SPOTTING_V4)
    assert v4.name == "Word spotting with PP-OCRv4-mobile (rapidocr)" and v4.calibration == SVT_TRAIN["v4"]
    words = Vocabulary.from_words(WORDS, "some")
    assert {item.word for item in v4.predict(scene, words).top(3)} == {"FLOWERS", "Bakery", "corner"}
    assert [line.text for line in v4.read(scene)] != [line.text for line in WordSpotter().read(scene)]
