"""The score with wrong letters, against a plain search over all paths and all edits of short lines."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from odits.models.reading.alphabet import BLANK, PUNCTUATION, SPACE, SYMBOLS, spell
from odits.models.reading.ctc import Lexicon, Lines, Scoring, score
from odits.search.frames import block_of, frame_table, padding, top_letters
from odits.search.spelling import WRONG, ends, tolerated

A, B, C = spell("abc")
USED = (BLANK, A, B, C, PUNCTUATION, SPACE)
BOUNDARY = 1.5


def random_line(frames: int, seed: int) -> np.ndarray:
    """Log-probabilities (frames, SYMBOLS) with most of the mass on a few symbols, in steps that float16 keeps."""
    chances = np.full((frames, SYMBOLS), 1e-4)
    chances[:, USED] += np.random.default_rng(seed).dirichlet(np.full(len(USED), 0.4), frames)
    logs = np.log(chances)
    return (np.round((logs - logs.max(1, keepdims=True)) * 64) / 64).astype(np.float32)


def scored(lines: list[np.ndarray], word: str, tolerance: int, part: bool) -> np.ndarray:
    tables = [frame_table(line, Scoring(BOUNDARY)) for line in lines]
    table = np.concatenate([*tables, padding()])
    top = np.concatenate([*map(top_letters, tables), np.array([1], np.uint8)])
    lengths = np.array([len(line) for line in lines])
    starts = lengths.cumsum() - lengths
    block = block_of(table, top, starts, lengths, spell(word), part)
    return ends(block, spell(word), tolerance).max(0) / len(word)


def plain_score(line: np.ndarray, word: str, tolerance: int, part: bool) -> float:
    """The definition at the head of odits/search/spelling.py: every span, every path, every way to edit."""
    letters = tuple(spell(word).tolist())
    table = frame_table(line, Scoring(BOUNDARY)).astype(np.float64)
    relative = line - line.max(1, keepdims=True)
    read = top_letters(frame_table(line)).tolist()
    best = -np.inf
    for start, stop in itertools.combinations(range(len(line) + 1), 2):
        edge = 0.0 if part else table[start, 37] + table[stop - 1, 38]
        for path in itertools.product(USED, repeat=stop - start):
            inner = [BLANK if symbol == PUNCTUATION else symbol for symbol in path]
            if inner[0] == BLANK or inner[-1] == BLANK or SPACE in inner:
                continue
            spelled: list[tuple[int, bool]] = []  # each letter, and whether its frames all read it
            place = start
            for symbol, run in itertools.groupby(inner):
                length = len(list(run))
                if symbol != BLANK:
                    spelled.append((symbol, all(read[frame] == symbol for frame in range(place, place + length))))
                place += length
            edits = plain_edits(letters, tuple(spelled))
            if edits <= tolerance:
                cost = relative[np.arange(start, stop), path].sum() + edge - WRONG * edits
                best = max(best, cost / len(letters))
    return float(best)


@cache
def plain_edits(word: tuple[int, ...], spelled: tuple[tuple[int, bool], ...]) -> int:
    """The fewest edits from a word to what is spelled; only letters that were read may be wrong ones."""
    if not word or not spelled:
        return len(word) if word else (len(spelled) if all(read for _, read in spelled) else 99)
    ways = [1 + plain_edits(word[1:], spelled)]
    if word[0] == spelled[0][0]:
        ways.append(plain_edits(word[1:], spelled[1:]))
    if spelled[0][1]:
        ways += [1 + plain_edits(word[1:], spelled[1:]), 1 + plain_edits(word, spelled[1:])]
    return min(ways)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [0, 1, 2])
@pytest.mark.parametrize("part", [False, True])
def test_scores_equal_a_search_over_all_paths_and_edits(seed: int, tolerance: int, part: bool) -> None:
    lines = [random_line(5, seed), random_line(3, 50 + seed)]
    for word in ("abc", "aab", "cbab", "bb"):
        found = scored(lines, word, tolerance, part)
        wanted = [plain_score(line, word, tolerance, part) for line in lines]
        possible = np.array(wanted) > -100
        np.testing.assert_allclose(found[possible], np.array(wanted)[possible], atol=2e-3)
        assert (found[~possible] < -100).all()


def test_without_tolerance_it_is_the_score_of_the_spotter() -> None:
    lines = [random_line(frames, frames) for frames in (4, 9, 30, 80)]
    words = ["a", "ab", "aa", "cab", "abcab"]
    wanted = score(Lines(lines), Lexicon(words), Scoring(BOUNDARY, -30.0))
    for number, word in enumerate(words):
        np.testing.assert_allclose(np.maximum(scored(lines, word, 0, False), -30), wanted[:, number], atol=3e-3)


def test_a_wrong_letter_costs_an_edit_and_no_more() -> None:
    def line(text: str) -> np.ndarray:
        symbols = np.concatenate([[BLANK, symbol] for symbol in spell(text)])
        logs = np.full((len(symbols), SYMBOLS), -20.0, np.float32)
        logs[np.arange(len(symbols)), symbols] = 0
        return logs

    read = [line("coffee"), line("cofee"), line("coftee"), line("cofxfee"), line("xoffex"), line("tea")]
    found = scored(read, "coffee", 1, False) * 6
    np.testing.assert_allclose(found[:4], [0, -WRONG, -WRONG, -WRONG], atol=1e-3)
    assert (found[4:] < -15).all()
    np.testing.assert_allclose(scored(read, "coffee", 2, False)[4] * 6, -2 * WRONG, atol=1e-3)


def test_short_words_tolerate_less() -> None:
    assert [tolerated(spell("a" * count), 2) for count in range(1, 7)] == [0, 0, 1, 1, 2, 2]
    assert tolerated(spell("coffee"), 1) == 1 and tolerated(spell("coffee"), 0) == 0
