"""Charts of the page Explain as tables: numbers as text, marks that are read out, and names from outside as letters."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from pages._explain.charts import contributions_html, matrix_html
from pages._shared.bars import words_html

HOSTILE = '<img src=x onerror="alert(1)">'


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", html))


def rows(html: str) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row if cell.tag in ("td", "th")] for row in parsed(html).iter("tr")]


def test_words_with_their_marks() -> None:
    words = Vocabulary(("HOTEL", "BAR", HOSTILE), "three")
    prediction = WordPrediction(words, np.array([0.5, 0.25, 0.25], np.float32), "model", "digest")
    picture = ImageRecord("a.jpg", b"", lexicon=("BAR",))
    html = words_html(prediction, picture)
    assert "<img" not in html
    found = rows(html)
    assert found[0] == ["HOTEL", "50.0 %"]
    assert found[1][0].replace(" ", "") == "◆(intheneighbourhood)BAR", "the mark is read out too"
    assert found[2][0] == HOSTILE
    assert 'class="striped"' in html, "told apart without colours"
    chosen = rows(words_html(prediction, picture, limit=1.0, chosen="BAR"))
    assert [row[0].endswith("▸ BAR") for row in chosen] == [False, True, False]
    assert "* 0.5000)" in words_html(prediction, picture, limit=1.0)
    assert "* 1.0000)" in html and "* 0.5000)" in html, "bars are as long as their share of the longest"


def test_contributions_to_both_sides() -> None:
    html = contributions_html(["1 (text)", HOSTILE], np.array([2.0, -1.0]), "Contributions")
    assert [row[1:] for row in rows(html)] == [["", "+2.00"], ["-1.00", ""]]
    assert html.count("<u ") == 1 and "* 0.5000)" in html
    only = contributions_html(["1 (text)"], np.array([2.0]), "Contributions")
    assert rows(only) == [["1 (text)", "+2.00"]], "no empty side where nothing takes away"


def test_the_matrix_is_a_table_with_heads() -> None:
    values = np.array([[0.9, 0.001], [0.0, 0.4]], np.float32)
    crops = [Image.new("RGB", (8, 4))] * 2
    html = matrix_html(values, ["1 (text A)", HOSTILE], ["A", HOSTILE], crops, "Matrix")
    assert html.count("<img ") == 2, "the pictures of the objects alone"
    head, first, second = rows(html)
    assert head[1:] == ["A", HOSTILE] and first == ["1 (text A)", "90", "0"] and second == [HOSTILE, "0", "40"]
    table = parsed(html).find("table")
    assert table is not None
    assert {cell.get("scope") for cell in table.iter("th")} == {"col", "row"}
    assert parsed(html).get("tabindex") == "0", "what scrolls is reached by keyboard"


def test_letters_are_read_on_their_colours() -> None:
    values = np.linspace(0, 1, 40, dtype=np.float32)[None]
    html = matrix_html(values, ["one"], [str(place) for place in range(40)], [Image.new("RGB", (1, 1))], "Matrix")

    def luminance(color: str) -> float:
        parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    pairs = re.findall(r"background-color:(#\w{6});color:(#\w{6})", html)
    assert len(pairs) == 40
    for pair in pairs:
        low, high = sorted(map(luminance, pair))
        assert (high + 0.05) / (low + 0.05) >= 4.5, pair
