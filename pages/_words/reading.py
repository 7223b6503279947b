"""Words read in the picture: where they stand, and how they compare with the boxes that people drew."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from odits.data import Vocabulary
from odits.models.reading.ctc import Lexicon
from pages._shared import state
from pages._shared.layout import chart, chart_download, file_stem, guarded, panes, plain, table_download
from pages._shared.pictures import Opened, Picture
from pages._shared.word_models import load
from pages._words.results import choose_results

if TYPE_CHECKING:
    from odits.data import BoxedWord
    from odits.models.reading.reader import TextLine
    from odits.models.reading.spotter import FoundWord, WordSpotter

CHOICES = {"own": "The words of its lexicon", "all": "All words of the vocabulary"}


class Reader(NamedTuple):
    """Who has read the picture.

    Attributes:
        name: as shown to users.
        key: of its settings or of its file; caches key on it.
        lines: what it read.
    """

    name: str
    key: str
    lines: list[TextLine]


def show_reading(reference: str, opened: Opened, picture: Picture, vocabulary: Vocabulary) -> None:
    """The picture with the words that were read, what was found and missed of the boxed ones, and all lines.

    Args:
        reference: of the word model that reads.
        opened: the picture, decoded.
        picture: the picture.
        vocabulary: looked for, unless the picture has a lexicon of its own.
    """
    from odits.evaluation.reading_tasks import lexicon_words
    from odits.models.reading.spotter import WordSpotter

    spotter = load(reference)
    if not isinstance(spotter, WordSpotter):  # for the type checker: this reference has no other model
        return
    st.subheader("Words read in the picture", anchor=False)
    own = bool(picture.lexicon)
    with st.container(horizontal=True, vertical_alignment="bottom", key="reading-options"):
        which = state.choose("Look for", list(CHOICES) if own else ["all"], "spot", CHOICES.__getitem__)
        threshold = st.slider(
            "Least probability", 0.05, 0.95, step=0.05, **state.bind("sure", float(state.get("sure", 0.5)))
        )
    words = lexicon_words(picture) if which == "own" else list(vocabulary.words)
    with st.spinner("Reading the picture …", show_time=True):
        readers = [Reader(spotter.name, spotter.checkpoint, _lines(opened.digest, spotter.checkpoint, spotter, opened))]
    results = choose_results()
    if results is not None:
        readers.append(Reader(results.name, results.digest, results.of(picture.name)))
    with panes("reading") as row:
        for place, reader in enumerate(readers):
            found = _found(opened.digest, reader.key, tuple(words), threshold, spotter, reader.lines)
            with row.container(key=f"pane-reading-{place}"), guarded():
                if len(readers) > 1:
                    st.markdown(f"**{reader.name}**")
                _show_found(reader, found, opened, picture, which == "own", f"reading-{place}", len(readers) > 1)


def _show_found(
    reader: Reader, found: list[FoundWord], opened: Opened, picture: Picture, own: bool, key: str, beside: bool
) -> None:
    """One reader's words over the picture, beside the boxes that people drew, and as tables."""
    from odits.evaluation.reading_tasks import match_words
    from odits.figures.spotting import read_words_figure

    matched = bool(picture.boxed) and own
    if matched:
        matching = match_words(found, picture.boxed)
        true, doubtful = [one for _, one in matching.found], matching.false
        _say_matching(matching.missed, true, doubtful)
    else:
        true, doubtful = found, []
    figure = read_words_figure(opened.image, true, picture.boxed, doubtful)
    if beside:  # half as wide: else there is more room above and below the picture than the picture has
        figure.update_layout(height=round(480 * opened.image.height / opened.image.width) + 60)
    chart(figure, key, "The picture with the words found: " + (", ".join(one.word for one in found) or "none"))
    table = _table(found, {id(one) for one in doubtful}, matched)
    stem = file_stem(f"read-{picture.name}" + ("" if key == "reading-0" else f"-{reader.name}"))
    with st.container(horizontal=True, key=f"{key}-downloads"):
        chart_download(figure, stem, f"{key}-chart")
        table_download(table, stem, f"{key}-table", "Found words")
    with st.expander("The words found, and every line that was read"):
        probability = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(table, hide_index=True, column_config={"probability": probability}, key=f"{key}-words")
        st.dataframe(
            pd.DataFrame(
                {"line": [line.text for line in reader.lines], "detector": [line.confidence for line in reader.lines]}
            ),
            hide_index=True,
            column_config={"detector": st.column_config.NumberColumn("detector's confidence", format="%.2f")},
            key=f"{key}-lines",
        )
        if key == "reading-0":
            st.caption("A line is listed once for each size of the picture at which it was found.")


@st.cache_resource(max_entries=32, show_spinner=False)
def _lines(digest: str, settings: str, _spotter: WordSpotter, _opened: Opened) -> list[TextLine]:
    return _spotter.read(_opened.image)


@st.cache_resource(max_entries=32, show_spinner=False)
def _found(
    digest: str, settings: str, words: tuple[str, ...], threshold: float, _spotter: WordSpotter, _lines: list[TextLine]
) -> list[FoundWord]:
    from odits.models.reading.spotter import find_words

    reading = _spotter.judge(_lines, Lexicon(words))
    return find_words(reading, words, threshold, _spotter.scoring)


def _say_matching(missed: list[BoxedWord], true: list[FoundWord], doubtful: list[FoundWord]) -> None:
    """In a sentence what was found, missed, and found beyond the boxes."""
    parts = [f"**{len(true)}** of {len(true) + len(missed)} boxed words found"]
    if missed:
        parts.append("missed: " + plain(", ".join(box.word for box in missed)))
    if doubtful:
        parts.append("found but not boxed: " + plain(", ".join(one.word for one in doubtful)))
    st.markdown(" · ".join(parts))


def _table(found: list[FoundWord], doubtful: set[int], known: bool) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "word": [one.word for one in found],
        "probability": [one.probability for one in found],
        "read in": [one.line.text for one in found],
        **{
            name: [round(one.box[place]) for one in found]
            for place, name in enumerate(("left", "top", "right", "bottom"))
        },
    }
    if known:
        columns["boxed by people"] = ["no" if id(one) in doubtful else "yes" for one in found]
    return pd.DataFrame(columns)
