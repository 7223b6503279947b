"""The search in two stages against scoring every line, on the readings of the demo images and on drawn-up lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.models.reading.alphabet import SYMBOLS
from odits.models.reading.ctc import Lexicon, locate
from odits.models.reading.reader import READINGS, TextReader, stored_reading
from odits.models.reading.spotter import SVT_TRAIN, WordSpotter
from odits.search.frames import COUNT, bound, frame_table
from odits.search.index import (
    ARRAYS,
    DESCRIPTION,
    ArrayWriter,
    Index,
    IndexedImage,
    description,
    index_folder,
    open_index,
)
from odits.search.query import Query, parse_query
from odits.search.ranking import LEAST, Searcher, differing, probability, reason, search

QUERIES = [
    Query(("cafe",)),
    Query(("hotel",)),
    Query(("harmacy",), part=True),
    Query(("mar", "ket"), part=True),
    Query(("bakerry",), tolerance=1),
    Query(("theqtrr",), tolerance=2),
    Query(("fresh", "bread")),
    Query(("e",)),
    Query(("the", "ea", "ar"), part=True, tolerance=1),
]


@pytest.fixture
def mixed_index(home: Path) -> Index:
    """300 images of up to 4 lines whose letters are blurred at random, many of them like one another."""
    rng = np.random.default_rng(0)
    lines = []
    for key in sorted(READINGS.all_keys()):
        lines += [line for line in READINGS.get(key) or [] if len(line.frames)]
    counts = rng.integers(0, 5, 300)
    made = []
    for _ in range(int(counts.sum())):
        line = lines[int(rng.integers(len(lines)))]
        frames = line.frames.astype(np.float32) * rng.uniform(0.2, 1, (len(line.frames), 1))
        frames += rng.normal(0, 1.5, frames.shape) * (rng.random(frames.shape) < 0.3)
        made.append((frame_table(frames), line))
    folder = index_folder("mixed-lines") / "arrays"
    folder.mkdir(parents=True)
    writer = ArrayWriter(folder, sum(len(table) for table, _ in made), len(made))
    for table, line in made:
        writer.add_frames(table, line.corners, line.certainty, line.height, line.text)
    writer.finish()
    images, first = [], 0
    for number, count in enumerate(counts.tolist()):
        frames = sum(len(table) for table, _ in made[first : first + count])
        images.append(IndexedImage(f"{number}.jpg", f"{number}.jpg", "", lines=count, frames=frames))
        first += count
    write_atomically(index_folder("mixed-lines") / DESCRIPTION, description("mixed", "", "arrays", images))
    found = open_index("mixed-lines")
    assert found is not None
    return found


def test_bounds_are_the_same_however_many_lines_are_bounded_at_a_time(
    mixed_index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = mixed_index
    monkeypatch.setattr("odits.search.index._LINES", 7)
    writer = ArrayWriter(tmp_path, len(index.table) - 1, len(index.lengths))
    for line, (start, length) in enumerate(zip(index.starts, index.lengths, strict=False)):
        place = index.corners[line], float(index.certainty[line]), float(index.height[line])
        writer.add_frames(index.table[start : start + length], *place, index.text(line))
    writer.finish()
    for name in ARRAYS:
        assert (tmp_path / f"{name}.npy").read_bytes() == (index.folder / f"{name}.npy").read_bytes(), name


def plain_ranking(searcher: Searcher, query: Query, count: int) -> list[tuple[int, float]]:
    """Every line scored, then images sorted."""
    index = searcher.index
    best = np.full((len(query.words), len(index.images)), -np.inf)
    every = np.arange(len(index.lengths))
    owner = np.repeat(np.arange(len(index.images)), [image.lines for image in index.images])
    for row, (word, tolerance) in enumerate(zip(query.spelled, query.tolerances, strict=True)):
        np.maximum.at(best[row], owner, searcher.line_odds(word, tolerance, query.part, every))
    totals = best.sum(0)
    order = [place for place in np.argsort(-totals, kind="stable").tolist() if np.isfinite(totals[place])]
    return [(place, float(totals[place])) for place in order[:count]]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.words))
@pytest.mark.parametrize("count", [1, 7, 400])
def test_the_two_stages_find_what_scoring_every_line_finds(mixed_index: Index, query: Query, count: int) -> None:
    searcher = Searcher(mixed_index)
    found = searcher.rank(query, count)
    wanted = plain_ranking(searcher, query, count)
    assert len(found.images) == len(wanted)
    np.testing.assert_allclose(found.totals, [total for _, total in wanted], atol=1e-4)
    # equally good images may change places within rounding
    assert all(abs(dict(wanted).get(int(place), wanted[-1][1]) - total) < 1e-3
               for place, total in zip(found.images, found.totals, strict=True))  # fmt: skip


def test_few_lines_are_scored_exactly(mixed_index: Index) -> None:
    found = Searcher(mixed_index).rank(Query(("pharmacy",)), 5)
    assert 0 < found.scored < len(mixed_index.lengths) / 3


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.words))
def test_no_line_scores_above_its_bound(mixed_index: Index, query: Query) -> None:
    searcher = Searcher(mixed_index)
    every = np.arange(len(mixed_index.lengths))
    assert mixed_index.columns.shape == (COUNT, len(every))
    for word, tolerance in zip(query.spelled, query.tolerances, strict=True):
        limit = searcher._odds(word, bound(mixed_index.columns, word, tolerance, query.part), slice(None))
        assert (searcher.line_odds(word, tolerance, query.part, every) <= limit + 1e-3).all()


def test_the_demo_images_are_found_by_what_they_say(demo_index: Index) -> None:
    searcher = Searcher(demo_index)
    for word in ("cafe", "hotel", "pharmacy", "bakery", "theater", "market"):
        best = search(searcher, parse_query(word))[0]
        assert best.image.name == f"{word}.jpg", word
        assert best.probability > 0.5
        x, y = best.matches[0].corners.mean(0)
        assert 0 < x < best.image.width and 0 < y < best.image.height


def test_log_odds_are_those_of_the_spotter(demo_index: Index) -> None:
    spotter, searcher = WordSpotter(), Searcher(demo_index)
    words = ["cafe", "hotel", "bread", "xylophone"]
    for word in words:
        found = searcher.rank(Query((word,)))
        for place, total in zip(found.images.tolist(), found.totals.tolist(), strict=True):
            lines = stored_reading(demo_index.images[place].digest, TextReader().key) or []
            wanted = spotter.score_lines(lines, Lexicon([word])).best()[0]
            assert total == pytest.approx(float(wanted), abs=0.05)


def test_a_match_spans_what_the_spotter_locates(demo_index: Index) -> None:
    searcher, spans = Searcher(demo_index), []
    for word in ("cafe", "luna", "used", "hotel", "grand", "bread", "tickets"):
        for match in (hit.matches[0] for hit in search(searcher, parse_query(word)) if hit.probability > 0.5):
            assert match.word == word
            lines = [
                line.frames
                for image in demo_index.images
                for line in stored_reading(image.digest, TextReader().key) or []
                if len(line.frames)
            ]
            assert match.span == locate(lines[match.line], word)
            spans.append(match.span)
    assert len(spans) > 6 and all(0 < span.start < span.stop for span in spans)


def test_part_finds_what_whole_words_do_not(demo_index: Index) -> None:
    searcher = Searcher(demo_index)
    whole = {hit.image.name: hit.probability for hit in search(searcher, parse_query("arma"))}
    parts = search(searcher, parse_query("arma", part=True))
    assert parts[0].image.name == "pharmacy.jpg" and parts[0].probability > 0.5
    assert "is part of it" in parts[0].matches[0].why
    assert whole.get("pharmacy.jpg", 0) < parts[0].probability / 2


def test_a_misspelt_word_is_found_with_tolerance(demo_index: Index) -> None:
    searcher = Searcher(demo_index)
    strict = {hit.image.name: hit.probability for hit in search(searcher, parse_query("farmacy"))}
    hits = search(searcher, parse_query("pharmasy", tolerance=1))
    assert hits[0].image.name == "pharmacy.jpg" and hits[0].probability > 0.5
    assert strict.get("pharmacy.jpg", 0) < 0.5
    assert "1 letter differs" in hits[0].matches[0].why


def test_all_words_must_be_there(demo_index: Index) -> None:
    searcher = Searcher(demo_index)
    assert search(searcher, parse_query("hotel pharmacy")) == []
    one = search(searcher, parse_query("hotel"))[0]
    texts = [demo_index.text(line) for line in range(*demo_index.first_lines[one.place : one.place + 2])]
    other = next(text for text in texts if text.isalpha() and len(text) > 3 and text.lower() != "hotel")
    both = search(searcher, parse_query(f"hotel {other}"))[0]
    assert both.image.name == "hotel.jpg" and [match.word for match in both.matches] == ["hotel", other]
    assert both.score == pytest.approx(sum(match.log_odds for match in both.matches), abs=1e-4)


def test_results_are_sorted_and_probable_enough(demo_index: Index) -> None:
    hits = search(Searcher(demo_index), parse_query("e"), 50)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(hit.probability >= LEAST - 1e-6 for hit in hits)
    assert all(fitted.score > 0 for fitted in SVT_TRAIN.values()), (
        "more score must mean more odds, or the bounds bound nothing"
    )
    assert probability(np.array([0.0])) == 0.5


def test_reasons_in_words() -> None:
    assert reason("CAFE", "Café") == "read “Café”"
    assert reason("coffee", "STARBUCKS COFFEE") == "read “STARBUCKS COFFEE”: coffee is one of its words"
    assert reason("coffee", "STARBUCKSCOFFEE") == "read “STARBUCKSCOFFEE”: coffee is part of it"
    assert reason("coffee", "THE COFEE", 1) == "read “THE COFEE”: 1 letter differs"
    assert reason("market", "MXRKEX", 2) == "read “MXRKEX”: 2 letters differ"
    assert reason("coffee", "THE COFEE") == "read “THE COFEE”: 1 letter differs, but the picture may well say so"
    assert "possible" in reason("coffee", "田") and "possible" in reason("coffee", "BREAD")
    assert [differing("cafe", text) for text in ("thecafex", "cfe", "cxfe", "")] == [0, 1, 1, 4]


def test_queries_are_checked() -> None:
    assert parse_query(" Best, WESTERN; best ").words == ("Best", "WESTERN")
    for wrong in ("", "  ", "漢字 !", "a" * 41, "a b c d e f g h i"):
        with pytest.raises(OditsError):
            parse_query(wrong)
    with pytest.raises(OditsError):
        parse_query("cafe", tolerance=3)


def test_nothing_but_images_without_text(tmp_path: Path) -> None:
    folder = index_folder("no-lines-at-all") / "arrays"
    folder.mkdir(parents=True)
    ArrayWriter(folder, 0, 0).finish()
    images = [IndexedImage("a.jpg", "a.jpg", "")]
    write_atomically(index_folder("no-lines-at-all") / DESCRIPTION, description("empty", "", "arrays", images))
    index = open_index("no-lines-at-all")
    assert index is not None
    assert search(Searcher(index), parse_query("cafe")) == []


def test_frames_keep_what_scoring_needs() -> None:
    table = frame_table(np.zeros((0, SYMBOLS), np.float16))
    assert table.shape == (0, 40)
