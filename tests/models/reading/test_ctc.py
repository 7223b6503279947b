"""Scoring against a plain search over all paths of short lines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from odits.models.reading.alphabet import BLANK, FOREIGN, PUNCTUATION, SPACE, SYMBOLS, fold, spell, symbol_of
from odits.models.reading.ctc import Lexicon, Lines, Scoring, locate, score

A, B, C = spell("abc")
USED = (BLANK, A, B, C, PUNCTUATION, SPACE)


def random_line(frames: int, seed: int) -> np.ndarray:
    """Log-probabilities (frames, SYMBOLS) with most of the mass on a few symbols."""
    chances = np.full((frames, SYMBOLS), 1e-6)
    chances[:, USED] += np.random.default_rng(seed).dirichlet(np.full(len(USED), 0.4), frames)
    return np.log(chances / chances.sum(1, keepdims=True)).astype(np.float32)


def spelled(*path: int) -> np.ndarray:
    """A line that surely reads along a path."""
    chances = np.full((len(path), SYMBOLS), 1e-6)
    chances[np.arange(len(path)), path] = 1
    return np.log(chances / chances.sum(1, keepdims=True)).astype(np.float32)


def plain_score(line: np.ndarray, word: str, scoring: Scoring) -> float:
    """The definition at the head of odits/spotting/ctc.py, path by path: what is before and after the word too."""
    relative = line - line.max(1, keepdims=True)
    letters = tuple(spell(word).tolist())
    total, best = len(line), -np.inf
    for start, stop in itertools.combinations(range(total + 1), 2):
        for path in itertools.product(USED, repeat=stop - start):
            if path[0] != letters[0] or path[-1] != letters[-1]:
                continue
            inner = [BLANK if symbol == PUNCTUATION else symbol for symbol in path]
            if tuple(symbol for symbol, _ in itertools.groupby(inner) if symbol != BLANK) != letters:
                continue
            cost = relative[np.arange(start, stop), path].sum()
            cost += max(plain_edge(relative[:start][::-1]), -scoring.boundary)
            cost += max(plain_edge(relative[stop:]), -scoring.boundary)
            best = max(best, cost / len(letters))
    return max(best, scoring.floor)


def plain_edge(beyond: np.ndarray) -> float:
    """What it costs that only blanks come until the line's end or a break, in frames going away from the word."""
    blanks = np.concatenate([[0], beyond[:, BLANK].cumsum()])
    breaks = beyond[:, [PUNCTUATION, SPACE, FOREIGN]].max(1)
    return max([blanks[-1], *(blanks[:-1] + breaks)])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("boundary", [0.0, 1.5, 4.0])
def test_scores_equal_a_search_over_all_paths(seed: int, boundary: float) -> None:
    words = ["a", "ab", "ba", "aa", "abc", "cab", "bb"]
    lines = [random_line(5, seed), random_line(4, 100 + seed)]
    scoring = Scoring(boundary, -20.0)
    found = score(Lines(lines), Lexicon(words), scoring)
    wanted = [[plain_score(line, word, scoring) for word in words] for line in lines]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_the_bound_cuts_off_nothing_but_what_is_below_the_floor() -> None:
    words = ["".join(letters) for count in (1, 2, 3) for letters in itertools.product("abc", repeat=count)]
    lines = Lines([random_line(12, seed) for seed in range(20)])
    full = score(lines, Lexicon(words), Scoring(2.0, -50.0))
    for floor in (-0.5, -1.0, -2.0):
        cut = score(lines, Lexicon(words), Scoring(2.0, floor))
        np.testing.assert_allclose(cut, np.maximum(full, floor), atol=1e-5)
    assert (full > -0.5).any() and (full < -2).any()


def test_a_line_scores_the_same_whatever_lines_are_beside_it() -> None:
    lines = [random_line(frames, frames) for frames in (3, 9, 15)]
    together = score(Lines(lines), Lexicon(["ab", "cab"]), Scoring(floor=-30))
    alone = [score(Lines([line]), Lexicon(["ab", "cab"]), Scoring(floor=-30))[0] for line in lines]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_what_is_read_scores_nought_and_a_part_costs_its_boundaries() -> None:
    line = spelled(A, BLANK, B, SPACE, C, BLANK, C)
    found = score(Lines([line]), Lexicon(["ab", "cc", "b", "c", "abcc"]), Scoring(boundary=3.0, floor=-3.2))
    np.testing.assert_allclose(found[0], [0, 0, -3, -3, -3.2], atol=1e-4)


def test_case_accents_and_punctuation_do_not_count() -> None:
    assert fold("Café-24's") == "cafe24s"
    assert [symbol_of(character) for character in ("É", "a", "'", " ", "漢", "①")] == [
        spell("e")[0],
        A,
        PUNCTUATION,
        SPACE,
        FOREIGN,
        spell("1")[0],
    ]
    apostrophe = spelled(A, B, PUNCTUATION, C)
    found = score(Lines([apostrophe]), Lexicon(["ABC", "ab", "A-B-C"]), Scoring())
    np.testing.assert_allclose(found[0], 0, atol=1e-4)


def test_a_word_is_located_by_its_frames() -> None:
    line = spelled(A, BLANK, B, BLANK, SPACE, C, C, BLANK, A)
    assert locate(line, "ab") == (0, 3)
    assert locate(line, "ca", Scoring()) == (5, 9)


def test_nothing_to_read_and_nothing_to_find() -> None:
    assert score(Lines([]), Lexicon(["ab"])).shape == (0, 1)
    assert score(Lines([spelled(A)]), Lexicon([])).shape == (1, 0)
    unspeakable = score(Lines([spelled(A)]), Lexicon(["漢", "!"]), Scoring(floor=-3))
    assert (unspeakable == -3).all()
    assert score(Lines([np.empty((0, SYMBOLS))]), Lexicon(["ab"]), Scoring(floor=-3))[0, 0] == -3
