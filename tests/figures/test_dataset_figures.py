from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord, read_dataset
from odits.figures.dataset import (
    frequent_words_figure,
    image_sizes_figure,
    lexicon_lengths_figure,
    word_frequency_figure,
)


def dataset(*lexicons: tuple[str, str]) -> Dataset:
    """A data set from pairs of a split and a lexicon."""
    records = (
        ImageRecord(f"{number}.jpg", Path(), split, tuple(words.split()))
        for number, (split, words) in enumerate(lexicons)
    )
    return Dataset("small", Path(), tuple(records))


SMALL = dataset(("train", "A A B"), ("train", "A C"), ("eval", "A <b>R&D</b>"))


def area(bars: object) -> float:
    return float(np.sum(np.asarray(bars.y) * np.asarray(bars.width) / 0.94))  # type: ignore[attr-defined]


def test_lexicon_lengths_of_the_three_sets() -> None:
    figure = lexicon_lengths_figure(SMALL)
    assert [annotation.text for annotation in figure.layout.annotations] == ["Training", "Evaluation", "Both"]
    assert [sum(bars.y) for bars in figure.data] == [2, 1, 3]
    # A A B and A C have two different words each
    assert [list(bars.x) for bars in figure.data] == [[2.0]] * 3


def test_lexicon_lengths_as_density_with_curves(svt: Path) -> None:
    figure = lexicon_lengths_figure(read_dataset(svt), density=True)
    bars, curves = figure.data[::2], figure.data[1::2]
    assert [area(panel) for panel in bars] == pytest.approx([1, 1, 1])
    assert [np.trapezoid(curve.y, curve.x) for curve in curves] == pytest.approx([1, 1, 1], abs=0.01)


def test_frequent_words_of_the_real_data_set(svt: Path) -> None:
    real = read_dataset(svt)
    figure = frequent_words_figure(real)
    assert [len(bars.x) for bars in figure.data] == [20, 20, 20]
    both = figure.data[2]
    assert list(both.x[:2]) == [206, 176] and figure.layout.yaxis3.ticktext[0] == "RESTAURANT"
    shares = frequent_words_figure(real, density=True, splits=["all"])
    assert shares.data[0].x[0] == pytest.approx(206 / sum(len(record.lexicon) for record in real.records))


def test_words_are_shown_literally() -> None:
    figure = frequent_words_figure(SMALL, splits=["eval"])
    assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in figure.layout.yaxis.ticktext


def test_word_frequency_shares_add_up(svt: Path) -> None:
    for line in word_frequency_figure(read_dataset(svt)).data:
        assert sum(share for _, _, share, _ in line.customdata) == pytest.approx(1)
    once = word_frequency_figure(read_dataset(svt)).data[2]
    assert once.customdata[0][0] == "1" and once.y[0] == pytest.approx(once.customdata[0][1] / 5363)


def test_image_sizes_are_all_in_the_bars(svt: Path) -> None:
    real = read_dataset(svt)
    figure = image_sizes_figure({split: [record.size() for record in real.split(split)] for split in real.splits})
    assert [sum(bars.y) for bars in figure.data] == [100, 249, 100, 249]
    assert figure.layout.showlegend and [bars.showlegend for bars in figure.data] == [True, True, False, False]


def test_a_data_set_of_one_split_has_one_panel() -> None:
    single = dataset(("eval", "A B"))
    for build in (lexicon_lengths_figure, frequent_words_figure, word_frequency_figure):
        assert len(build(single).data) == 1
    assert len(image_sizes_figure({"train": [], "eval": [(640, 480)]}).data) == 2


def test_empty_lexicons_give_figures_too() -> None:
    for density in (True, False):
        lexicon_lengths_figure(dataset(("train", ""), ("eval", "")), density)
        frequent_words_figure(dataset(("train", ""), ("eval", "A")), density)
    word_frequency_figure(dataset(("train", ""), ("eval", "A")))


def test_nothing_to_show_is_one_sentence() -> None:
    with pytest.raises(OditsError, match="no images to show in train"):
        lexicon_lengths_figure(dataset(("eval", "A")), splits=["train"])
    with pytest.raises(OditsError, match="no images to show"):
        word_frequency_figure(dataset())
    with pytest.raises(OditsError, match="no images"):
        image_sizes_figure({"train": []})


def test_data_and_figures_load_nothing_heavy() -> None:
    code = (
        "import sys, odits.data, odits.core.files, odits.counting.statistics, odits.data.facts, odits.figures.counts, "
        "odits.figures.dataset; print(sorted({'torch', 'scipy.stats', 'open_clip', 'transformers', 'rapidocr', "
        "'mlflow', 'streamlit', 'supervision'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == "[]"
