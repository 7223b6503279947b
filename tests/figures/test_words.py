from __future__ import annotations

from odits.data.predictions import WordProbability
from odits.figures.words import LEXICON, OTHER, VISIBLE, percent, top_words_figure, word_mark

TOP = [
    WordProbability("HOTEL", 0.5),
    WordProbability("Cafe", 0.25),
    WordProbability("BAR", 0.0312345),
]


def bars(figure):
    return {trace.name: trace for trace in figure.data}


def test_words_are_told_apart_by_colour_by_pattern_and_by_sign():
    figure = top_words_figure(TOP, lexicon=["CAFE", "HOTEL"], boxed=["hotel"])
    traces = bars(figure)
    assert [list(trace.x) for trace in figure.data] == [[0.5], [0.25], [0.0312345]]
    assert list(traces) == ["■ visible in the picture", "◆ in its lexicon", "other"]
    looks = {(trace.marker.color, trace.marker.pattern.shape) for trace in figure.data}
    assert len(looks) == 3
    assert figure.data[1].marker.pattern.shape != figure.data[0].marker.pattern.shape
    assert list(figure.layout.yaxis.ticktext) == ["■ HOTEL", "◆ Cafe", "BAR"]


def test_the_most_probable_word_is_on_top_and_the_exact_value_in_the_hover_text():
    figure = top_words_figure(TOP)
    low, high = figure.layout.yaxis.range
    assert low > high  # the axis runs downwards, so row 0 is on top
    assert list(figure.data[0].y) == [0, 1, 2]
    assert "%{x:.7f}" in figure.data[0].hovertemplate
    assert figure.layout.showlegend is False


def test_the_legend_names_only_what_is_known_of_the_image():
    figure = top_words_figure(TOP, lexicon=["CAFE"])
    assert list(bars(figure)) == ["◆ in its lexicon", "other"]
    assert list(bars(top_words_figure(TOP[:1], lexicon=["CAFE"]))) == ["◆ in its lexicon", "other"]


def test_charts_to_compare_share_their_scale():
    one, two = (top_words_figure(TOP[first:], limit=0.6).layout.xaxis.range for first in (0, 2))
    assert one == two
    assert one[1] > 0.6


def test_words_from_outside_are_shown_as_they_are():
    long = "LLANFAIRPWLLGWYNGYLLGOGERYCHWYRNDROBWLL"
    figure = top_words_figure([WordProbability("<b>&", 0.5), WordProbability(long, 0.4)])
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;&amp;"
    assert len(figure.layout.yaxis.ticktext[1]) < len(long)
    assert figure.data[0].customdata[1][1] == long


def test_no_words_give_an_empty_chart():
    assert top_words_figure([]).layout.xaxis.range[1] == 1.22


def test_marks():
    assert word_mark("Bar", ["BAR"], ["bar"]) is VISIBLE
    assert word_mark("Bar", ["BAR"]) is LEXICON
    assert word_mark("Bar") is OTHER


def test_percent_keeps_three_digits():
    assert [percent(value) for value in (0.6142, 0.000312345, 1.0)] == ["61.4 %", "0.0312 %", "100 %"]
    assert percent(0) == "0 %"
