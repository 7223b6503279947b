"""Scenes whose lexicons follow a known law: what is drawn is what the law says, and the bounds are Bayes' own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from odits.data import read_dataset
from odits.training.neighbourhoods import LAW_FILE, NAMED, NAMES, Law, Neighbourhoods

FREQUENT = ["river", "corner", "orange", "silver", "garden", "willow"]


def test_lexicons_are_as_frequent_as_the_law_says() -> None:
    law = Law.draw(3, FREQUENT, 1)
    assert len(set(law.words)) == len(law.words) == law.probabilities.shape[1]
    rng = np.random.default_rng(0)
    counts, scenes = np.zeros_like(law.probabilities), np.zeros(3)
    for _ in range(3000):
        place, lexicon = law.draw_lexicon(rng)
        scenes[place] += 1
        counts[place, [law.words.index(word) for word in lexicon]] += 1
    frequency = counts / scenes[:, None]
    deviation = np.sqrt(law.probabilities * (1 - law.probabilities) / scenes[:, None])
    assert (np.abs(frequency - law.probabilities) < 5 * deviation + 1e-9).all()
    own = law.probabilities[1, -2 * NAMES : -NAMES]
    assert (own == NAMED).all()


def test_what_shown_words_say_of_the_others_is_bayes_rule() -> None:
    law = Law(("A", "B", "C"), np.array([[0.9, 0.8, 0.1], [0.1, 0.2, 0.6]]))
    assert law.marginal().tolist() == pytest.approx([0.5, 0.5, 0.35])
    found = law.given_shown(np.array([[True, False, False], [False, False, False]]))
    assert found[0].tolist() == pytest.approx([1, 0.9 * 0.8 + 0.1 * 0.2, 0.9 * 0.1 + 0.1 * 0.6])
    assert found[1].tolist() == pytest.approx(law.marginal().tolist())
    assert law.in_neighbourhood(np.array([[True, True, False]])).tolist() == [[0.9, 0.8, 0.1]]


def test_a_law_is_kept_and_a_damaged_one_named(tmp_path: Path) -> None:
    law = Law.draw(2, FREQUENT, 0)
    law.save(tmp_path)
    again = Law.load(tmp_path)
    assert again.words == law.words and (again.probabilities == law.probabilities).all()
    for damaged in ("[]", '{"words": ["A"], "probabilities": [[0.1, 0.2]]}', "{"):
        (tmp_path / LAW_FILE).write_text(damaged)
        with pytest.raises(OditsError, match=r"law\.json"):
            Law.load(tmp_path)


def test_signs_say_each_word_of_the_lexicon_before_any_comes_again() -> None:
    texts, lexicon = Neighbourhoods(Law.draw(2, FREQUENT, 0)).for_scene(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    assert lexicon is not None
    assert [texts.word(rng) for _ in lexicon] == lexicon == [texts.kind(rng) for _ in lexicon]
    assert texts.lines(rng)[0] == lexicon[:1]


@pytest.mark.slow
def test_the_command_draws_the_same_bytes_again(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        command = [
            "render",
            "--out",
            str(tmp_path / folder),
            "--scenes",
            "3",
            "--held-out",
            "2",
            "--neighbourhoods",
            "2",
        ]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 3 + 5
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    dataset, words = (
        read_dataset(tmp_path / "one"),
        set(json.loads((tmp_path / "one" / LAW_FILE).read_bytes())["words"]),
    )
    assert len(dataset.split("train")) == 3 and len(dataset.split("eval")) == 2
    for record in dataset.records:
        assert set(record.lexicon) <= words and 20 < len(record.lexicon) < 100
        assert {one.word.upper() for one in record.boxed} <= set(record.lexicon)
