from __future__ import annotations

from odits.data.predictions import WordProbability
from odits.figures.words import LEXICON, OTHER, VISIBLE, top_words_figure, word_mark

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
    assert list(traces) == ["■ in the picture", "◆ in the neighbourhood", "other"]
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
    assert list(bars(figure)) == ["◆ in the neighbourhood", "other"]
    assert list(bars(top_words_figure(TOP[:1], lexicon=["CAFE"]))) == ["◆ in the neighbourhood", "other"]


def test_charts_to_compare_share_their_scale():
    one, two = (top_words_figure(TOP[first:], limit=0.6).layout.xaxis.range for first in (0, 2))
    assert one == two
    assert one[1] > 0.6


def test_words_from_outside_are_shown_as_they_are():
    long = "LLANFAIRPWLLGWYNGYLLGOGERYCHWYRNDROBWLL"
    figure = top_words_figure([WordProbability("<b>&", 0.5), WordProbability(long, 0.4)])
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;&amp;"
    first, second = figure.layout.yaxis.ticktext[1].split("<br>")
    assert (first, second) == ("LLANFAIRPWLLGWYNG-", "YLLGOGERYCHWYRNDR…")
    assert figure.data[0].customdata[1][1] == long


def test_bars_have_a_width_of_their_own_and_words_have_room():
    figure = top_words_figure(TOP, lexicon=["HOTEL", "BAR"])
    assert {trace.width for trace in figure.data} == {0.7}
    assert figure.layout.margin.l > 50
    wide = top_words_figure([WordProbability("DONAUDAMPFSCHIFFAHRT", 0.5)])
    assert wide.layout.margin.l > 150 and wide.layout.yaxis.ticktext[0] == "DONAUDAMPFSCHIFFA-<br>HRT"


def test_no_words_give_an_empty_chart():
    assert top_words_figure([]).layout.xaxis.range[1] == 1.22


def test_marks():
    assert word_mark("Bar", ["BAR"], ["bar"]) is VISIBLE
    assert word_mark("Bar", ["BAR"]) is LEXICON
    assert word_mark("Bar") is OTHER


def test_a_chart_writes_all_its_shares_with_the_digits_that_tell_them_apart():
    (trace,) = top_words_figure([WordProbability("A", 0.99972), WordProbability("B", 0.000003)]).data
    assert list(trace.text) == ["99.97 %", "&lt; 0.01 %"]


def test_a_word_that_was_read_and_is_in_no_list_has_a_mark_of_its_own():
    figure = top_words_figure(TOP, lexicon=["HOTEL"], read=["Cafe", "HOTEL"])
    assert list(bars(figure)) == ["◆ in the neighbourhood", "● read, in no list", "other"]
    assert list(figure.layout.yaxis.ticktext) == ["◆ HOTEL", "● Cafe", "BAR"]
    assert list(bars(top_words_figure(TOP, read=["KRANZLER"]))) == ["other"]
    assert list(bars(top_words_figure(TOP, read=["BAR"]))) == ["● read, in no list", "other"]


def test_marks_do_not_go_by_case_and_accents():
    assert word_mark("Café", boxed=["CAFE"]) is VISIBLE
    assert word_mark("CAFE", lexicon=["café"]) is LEXICON
