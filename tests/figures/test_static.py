"""Figures on paper: every kind in every format and theme, fonts embedded, and no letter becomes a box in silence."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data.predictions import WordProbability
from odits.figures import static
from odits.figures.differences import ForestRow
from odits.figures.drawing import Drawing, Shape
from odits.figures.evaluations import MEASURED, PUBLISHED, Row
from odits.figures.static import Draw, format_of, missing_letters, missing_sentence, save, save_pages
from odits.figures.static_counts import counts_figure, quantile_figure
from odits.figures.static_explanation import bars_figure, matrix_figure
from odits.figures.static_models import comparison_figure, forest_figure
from odits.figures.static_pictures import picture_figure
from odits.figures.static_words import WordBars, words_figure
from odits.metrics.paired import Change

COUNTS = [3, 5, 8, 8, 9, 12, 15, 4, 7, 20]
WORDS = [WordProbability("HOTEL", 0.7), WordProbability("$BAR$ مقهى", 0.2), WordProbability("INN", 0.00001)]
BARS = [WordBars("a.jpg: a model", WORDS, ("BAR",), ("hotel",)), WordBars("empty.jpg", [])]
FOREST = [
    ForestRow("F1", "One", Change(0.2, 0.1, 0.3, 0.001, 10), 0.002),
    ForestRow("F1", "Two", Change(-0.2, -0.3, 0.1, 0.4, 10), 0.6),
    ForestRow("Recall", "One", None, math.nan),
]
MODELS = [Row("One", MEASURED, {"F1": 0.4, "P": None}), Row("Two", PUBLISHED, {"F1": 0.3, "P": 0.2})]
PICTURE = Image.linear_gradient("L").convert("RGB")
OBJECTS = Drawing([Shape("M10 10 90 10 50 90Z", "#D55E00", "#D55E00", label="HOTEL", at=(50, 10, 50))])
KINDS: dict[str, Draw] = {
    "words": lambda theme: words_figure(BARS, theme),
    "counts": lambda theme: counts_figure(COUNTS, theme),
    "density": lambda theme: counts_figure(COUNTS, theme, density=True),
    "equal counts": lambda theme: counts_figure([4, 4], theme),
    "quantiles": lambda theme: quantile_figure(COUNTS, "norm", theme),
    "forest": lambda theme: forest_figure(FOREST, theme),
    "objects": lambda theme: picture_figure(PICTURE, OBJECTS, theme, title="a.jpg"),
    "contributions": lambda theme: bars_figure(["1 (text)", "2"], np.array([1.0, -0.5]), theme),
    "matrix": lambda theme: matrix_figure(np.eye(3), ["1", "2", "3"], ["A", "B", "C"], theme),
    "models": lambda theme: comparison_figure(MODELS, ["F1", "P", "Q"], theme),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_format_and_theme(kind: str) -> None:
    for theme, paper in (("light", (255, 255, 255)), ("dark", (18, 23, 28))):
        image = Image.open(io.BytesIO(save(KINDS[kind], "png", theme))).convert("RGB")
        assert image.getpixel((0, 0)) == paper
        assert len(image.getcolors(1 << 24) or []) > 20, "something is drawn"
    ElementTree.fromstring(save(KINDS[kind], "svg"))
    assert save(KINDS[kind], "pdf").startswith(b"%PDF")


def test_a_png_is_twice_as_large() -> None:
    image = Image.open(io.BytesIO(save(KINDS["quantiles"], "png")))
    assert image.size == (2 * 560, 2 * 430)


def test_fonts_are_embedded() -> None:
    svg = save(KINDS["words"], "svg").decode()
    assert "<text" not in svg and not re.search(r"url\(http|href=\"http", svg), "letters are outlines"
    assert b"/FontFile2" in save(KINDS["words"], "pdf")


def test_the_same_figure_is_the_same_file() -> None:
    for form in static.FORMATS:
        assert save(KINDS["forest"], form) == save(KINDS["forest"], form)


def test_pages_of_a_document() -> None:
    document = save_pages([KINDS["words"], KINDS["counts"]], title="Two")
    assert len(re.findall(rb"/Type /Page\b", document)) == 2


def test_letters_that_no_font_has_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_letters(["HOTEL é ∑ مقهى", " \n"]) == ""
    assert missing_sentence(["HOTEL"]) == ""
    monkeypatch.setattr(static, "families", lambda: ("DejaVu Sans",))
    static._letters.cache_clear()
    assert missing_letters(["日本 CAFE 日"]) == "日本"
    assert "日本: boxes stand in their place" in missing_sentence(["日本"])
    static._letters.cache_clear()


def test_what_can_not_be_saved() -> None:
    assert format_of(Path("a.SVG")) == "svg"
    with pytest.raises(OditsError, match=r"\.svg, \.pdf or \.png"):
        format_of(Path("a.gif"))
    with pytest.raises(OditsError, match="no theme"):
        save(KINDS["words"], "png", "pink")
    with pytest.raises(OditsError, match="can't be saved"):
        save(KINDS["words"], "gif")  # type: ignore[arg-type]
