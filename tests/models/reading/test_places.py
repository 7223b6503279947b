"""Places of words: lines cut into words, readings of one place together, words that compete for a place."""

from __future__ import annotations

import json

import numpy as np
import pytest

from odits.models.reading.ctc import Lexicon
from odits.models.reading.places import FEATURES, PlaceCalibration, find_candidates, find_places, written_words
from tests.models.reading.test_read_words import line

EVEN = PlaceCalibration(-2.0, (3.0, 0.3, 3.0, 4.0, 0.0, 1.5, -1.5))


def test_a_line_is_cut_at_spaces_and_at_marks_that_separate() -> None:
    assert [word.text for word in written_words(line("CITY BANK"))] == ["CITY", "BANK"]
    assert [word.text for word in written_words(line("Plants:the (best) of"))] == ["Plants", "the", "best", "of"]
    assert [word.text for word in written_words(line("MACY'S & CO."))] == ["MACY'S", "CO"]
    assert [word.text for word in written_words(line("- / -"))] == []


def test_a_word_lies_where_its_letters_are() -> None:
    left, right = written_words(line("CITY BANK"))
    assert left.corners[:, 0].max() <= right.corners[:, 0].min()
    assert left.corners[:, 1].min() >= 0 and left.corners[:, 1].max() <= 40


def test_readings_of_one_place_are_one() -> None:
    places = find_places([line("HOTEL", 0, sure=0.9), line("HOTEI", 1, sure=0.99), line("BAR", 200)])
    assert [[reading.text for reading in place.readings] for place in places] == [["HOTEI", "HOTEL"], ["BAR"]]


def test_words_compete_for_their_place_alone() -> None:
    places = find_places([line("FLOWERS"), line("OPEN", 100)])
    words = ["FLOWERS", "FLOWER", "LOWERS", "OPEN", "PEN", "RESTAURANT"]
    rows = EVEN.rows(find_candidates(places, Lexicon(words), len(words)), len(places), len(words))
    assert rows.shape == (2, 6) and (rows.sum(1) <= 1).all()
    best = rows.max(0)
    assert best[0] > 0.7 and best[3] > 0.5  # what is read elsewhere takes nothing from it
    assert best[1] < 0.2 and best[2] < 0.2 and best[4] < 0.2 and best[5] == 0


def test_a_word_in_no_list_is_less_probable_than_a_listed_one() -> None:
    places = find_places([line("HOTEL")])
    listed, read = (EVEN.rows(find_candidates(places, Lexicon(["HOTEL"]), count), 1, 1)[0, 0] for count in (1, 0))
    assert listed > read > 0


def test_nothing_read_is_no_place() -> None:
    assert find_places([]) == []
    candidates = find_candidates([], Lexicon(["HOTEL"]), 1)
    assert EVEN.rows(candidates, 0, 1).shape == (0, 1)


def test_a_calibration_is_written_and_read_again() -> None:
    assert PlaceCalibration.from_json(EVEN.to_json()) == EVEN
    other = json.loads(EVEN.to_json()) | {"features": FEATURES[:-1]}
    with pytest.raises(ValueError, match="other features"):
        PlaceCalibration.from_json(json.dumps(other))


def test_a_longer_lexicon_is_the_lexicon_of_all_words() -> None:
    words, more = ["BAR", "CAFÉ", "東京"], ["KRANZLER", "STRASSE", "é"]
    longer, whole = Lexicon(words).extended(more), Lexicon([*words, *more])
    for name in ("lengths", "letters", "counts", "sizes"):
        assert np.array_equal(getattr(longer, name), getattr(whole, name)), name
    assert longer.texts == whole.texts and len(longer) == len(whole)
