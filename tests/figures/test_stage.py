"""The stage as HTML: the same words in the same rows, nothing from outside runs, and no network is needed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.evaluation.alignment import align
from odits.figures.stage import Carried, Head, Slide, slide_html, stage_document

WORDS = Vocabulary(("HOTEL", "BAR", "<script>alert(1)</script>"), "three")


@pytest.fixture
def slide() -> Slide:
    shares = ([0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.3, 0.3, 0.4])
    found = [WordPrediction(WORDS, np.float32(one), "model", "digest") for one in shares]
    carried = Carried(0, "HOTEL", "1 (text HOTEL)", 4.25, ([1, 9, 9, None, 2, 3], [1, 1, 9, None, 2, 3]))
    return Slide(
        "a <b>.jpg",
        Image.new("RGB", (40, 30)),
        tuple(Head(f"Model {number}", "0123456789") for number in range(3)),
        tuple(align(found)),
        lexicon=("BAR",),
        visible=("hotel",),
        carried=(carried,),
    )


class Cells(HTMLParser):
    """Counts the cells of each row of the body, and collects the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append(0)
        elif tag in ("td", "th"):
            self.rows[-1] += 1


def test_every_model_has_a_cell_in_every_row(slide: Slide) -> None:
    parser = Cells()
    parser.feed(slide_html(slide))
    assert parser.rows == [4] * 4, "a head and three words; the word and three models each"


def test_what_rose_and_fell_is_in_signs_and_in_words(slide: Slide) -> None:
    shown = slide_html(slide)
    assert "▲" in shown and "rose by </span>2" in shown and "▼" in shown and "fell by </span>2" in shown
    assert "HOTEL</b> ← 1 (text HOTEL) +4.2" in shown
    assert 'd="M1 1L9 1L9 9M2 2L3 3"' in shown and "&quot;HOTEL&quot;" in shown
    assert "in the picture" in shown and "in the neighbourhood" in shown


def test_text_from_outside_is_text(slide: Slide) -> None:
    parser = Cells()
    parser.feed(slide_html(replace(slide, without=("</p><iframe>",))))
    assert not {"script", "iframe"} & set(parser.tags)
    document = stage_document([slide], "</title><script>", "<iframe>")
    parser = Cells()
    parser.feed(document)
    assert parser.tags.count("script") == 1 and "iframe" not in parser.tags


def test_the_file_needs_no_network(slide: Slide) -> None:
    document = stage_document([slide, replace(slide, title="b.jpg")], "Two pictures")
    assert document.count('class="slide"') == 2
    assert "default-src 'none'" in document
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', document) == []
    assert not re.search(r"url\(|@import|https?:", document)
