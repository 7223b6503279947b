"""The vocabulary of a picture: what is read in it, in whatever letters, and a list."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from odits.core.files import asset
from odits.data import Vocabulary, open_image
from odits.models.reading.alphabet import BLANK, SPACE, SYMBOLS, fold, spell, symbol_of
from odits.models.reading.ctc import LONGEST, Lexicon
from odits.models.reading.read_words import PictureVocabularies, picture_vocabulary, read_words
from odits.models.reading.reader import TextLine
from odits.models.reading.spotter import WordSpotter, find_words
from odits.models.reading.text_match import text_span, words_of

BASE = Vocabulary.from_words(["CITY", "BANK", "CAFE", "STRASSE"], "list")


def line(text: str, at: float = 0, sure: float = 0.98, confidence: float = 0.9, space: float = 1e-4) -> TextLine:
    """A line as a recogniser reads it: two frames a letter, a blank between them, perhaps with a space in its place."""
    frames = []
    for number, letter in enumerate(text):
        for symbol in (symbol_of(letter), BLANK):
            frame = np.full(SYMBOLS, (1 - sure) / SYMBOLS)
            frame[symbol] = sure
            if symbol == BLANK and number + 1 == len(text) // 2:
                frame[SPACE], frame[BLANK] = space, sure - space
            frames.append(np.log(frame / frame.sum()))
    width = 20 * len(text)
    corners = np.array([(0, at), (width, at), (width, at + 40), (0, at + 40)], np.float32)
    return TextLine(corners, confidence, text, np.array(frames, np.float16))


def test_what_is_read_and_in_no_list_follows_the_list() -> None:
    found = picture_vocabulary([line("Café Kranzler"), line("東京駅", 100)], BASE)
    assert found.words[: len(BASE)] == BASE.words
    assert set(found.extra) == {"Kranzler", "東京駅"}
    assert found.name == "words read in the picture, and the list"


def test_doubtful_lines_and_scraps_name_no_words() -> None:
    lines = [line("BRIGHTON", 0, sure=0.85), line("TRUXEL", 100, confidence=0.4), line("GD 24 7", 200), line("京", 300)]
    assert read_words(lines) == []
    assert read_words([line("京都", 300)]) == ["京都"]


def test_the_surest_reading_of_a_place_counts() -> None:
    assert read_words([line("KRANZIER", 0, sure=0.95), line("KRANZLER", 2, sure=0.99)]) == ["KRANZLER"]


def test_a_part_of_a_reading_of_the_same_place_is_no_word() -> None:
    part, whole = line("KRA"), line("KRANZLER", 5)
    assert read_words([part, whole]) == ["KRANZLER"]
    assert set(read_words([line("KRA", 300), whole])) == {"KRANZLER", "KRA"}


def test_a_listed_word_goes_before_a_part_of_it_that_was_read_more_surely() -> None:
    readings = [line("STRASS", 0, sure=0.99), line("STRASSE", 0, sure=0.97)]
    assert read_words(readings, BASE) == [] and read_words(readings) == ["STRASS"]


def test_a_narrow_space_parts_words_and_a_compound_stays() -> None:
    assert sorted(read_words([line("CITYBANK", space=0.1)])) == ["BANK", "CITY"]
    assert read_words([line("BAYSIDES")]) == ["BAYSIDES"]


def test_words_are_cut_at_spaces_without_the_marks_at_their_ends() -> None:
    assert [*words_of("“Müller’s” — CAFE, (24h) & ★ ")] == ["Müller’s", "CAFE", "24h"]


@pytest.mark.parametrize(
    ("word", "letters"), [("Café", "cafe"), ("SMØRREBRØD", "smorrebrod"), ("Łódź", "lodz"), ("Straße", "strasse")]
)
def test_letters_with_marks_are_spelled_as_they_are_without(word: str, letters: str) -> None:
    assert fold(word) == letters and spell(word).tolist() == spell(letters).tolist()


def test_words_of_other_scripts_are_not_spelled_by_their_digits() -> None:
    assert spell("カフェ24").size == 0 and spell("Москва").size == 0


def test_a_word_of_another_script_has_its_lines_certainty_as_score() -> None:
    lines = [line("東京駅"), line("CAFE", 100)]
    words = ["東京", "京都", "CAFE", "x" * (LONGEST + 1), "!"]
    reading = WordSpotter().score_lines(lines, Lexicon(words))
    assert reading.scores[0, 0] == pytest.approx(lines[0].certainty)
    assert (reading.scores[0, 1:] < -1).all() and reading.scores[1, 2] == 0
    found = {one.word: one for one in find_words(reading, words)}
    assert set(found) == {"東京", "CAFE"}
    left, _, right, _ = found["東京"].box
    assert left < 5 and right == pytest.approx(40, abs=22)  # two of three letters, with the reader's margin


def test_a_listed_word_stands_where_it_was_read_with_other_letters() -> None:
    reading = WordSpotter().score_lines([line("Straße 5")], Lexicon(BASE.words))
    assert reading.scores[0].argmax() == BASE.find("STRASSE") and reading.scores[0].max() > -0.1


def test_a_word_is_not_found_inside_another_where_words_stand_apart() -> None:
    assert text_span(line("CAFÉTERIA"), "Café") is None
    span = text_span(line("LE CAFÉ"), "Café")
    assert span is not None and (span.start, span.stop) == (6, 14)


@pytest.mark.slow
def test_accents_on_a_real_sign_are_shown_as_read() -> None:
    image = Image.new("RGB", (900, 320), (240, 235, 220))
    font = ImageFont.truetype("DejaVuSans-Bold.ttf", 60)
    for row, text in enumerate(("Bäckerei Kranzler", "Crème Brûlée")):
        ImageDraw.Draw(image).text((60, 40 + 130 * row), text, (30, 30, 60), font)
    words = PictureVocabularies(base=BASE).of(image)
    assert {"Bäckerei", "Kranzler", "Crème", "Brûlée"} == set(words.extra)
    top = WordSpotter().predict(image, words).top(4)
    assert {item.word for item in top} == set(words.extra)


@pytest.mark.slow
def test_the_demo_has_no_scraps() -> None:
    vocabularies = PictureVocabularies()
    assert vocabularies.of(open_image(asset("demo/pharmacy.jpg"))).extra == ()
