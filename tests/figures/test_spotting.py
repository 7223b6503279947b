"""Words drawn over the picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from odits.data.records import BoxedWord
from odits.figures.words import read_words_figure
from odits.models.reading.ctc import Span
from odits.models.reading.reader import TextLine
from odits.models.reading.result_files import frames_of
from odits.models.reading.spotter import FoundWord

IMAGE = Image.new("RGB", (200, 100))
CORNERS = np.array([[10, 20], [110, 20], [110, 50], [10, 50]], np.float32)
FOUND = FoundWord("<BAR>", 0.875, TextLine(CORNERS, 0.9, "<BAR> & GRILL", frames_of("BAR")), Span(0, 5), CORNERS)


def test_found_and_boxed_words_are_told_apart_by_colour_and_by_line() -> None:
    figure = read_words_figure(IMAGE, [FOUND], [BoxedWord("BAR", (12, 22, 100, 48))], [FOUND])
    lines = {trace.name: trace.line for trace in figure.data if trace.mode == "lines"}
    assert list(lines) == ["found (1)", "found, marked by nobody (1)", "marked by people (1)"]
    assert len({line.color for line in lines.values()}) == len({line.dash for line in lines.values()}) == 3


def test_each_word_has_a_label_and_says_what_was_read() -> None:
    figure = read_words_figure(IMAGE, [FOUND])
    (label,) = figure.layout.annotations
    assert label.text == "&lt;BAR&gt;" and (label.x, label.y) == (10, 20)
    hover = next(trace for trace in figure.data if trace.mode == "markers")
    assert list(hover.customdata[0]) == ["&lt;BAR&gt;", "87.5 %", "&lt;BAR&gt; &amp; GRILL"]


def test_a_picture_without_found_words_says_so() -> None:
    (note,) = read_words_figure(IMAGE, []).layout.annotations
    assert note.text == "None of the words was found in this picture"
