"""Words read in the picture: where they stand, and how they compare with the boxes that people drew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data import ImageRecord, Vocabulary
from odits.models.reading.ctc import Lexicon
from odits.models.registry import parse
from pages._shared import serving, state
from pages._shared.answers import Kind, answer
from pages._shared.layout import (
    chart,
    chart_download,
    complain,
    count_of,
    escape_markdown,
    file_stem,
    guarded,
    panes,
    table_download,
)
from pages._shared.pictures import Opened
from pages._shared.word_models import spotter_of

if TYPE_CHECKING:
    from odits.data import BoxedWord
    from odits.models.reading.reader import TextLine
    from odits.models.reading.spotter import FoundWord, WordSpotter


_LINES, _FOUND = Kind("lines", 32), Kind("found", 32)
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


def offer_reading(
    reference: str, opened: Opened, picture: ImageRecord, find_vocabulary: Callable[[], Vocabulary]
) -> bool:
    """Offer what was read, line by line; return whether it is shown: at once where the model does nothing but read.

    Args:
        reference: of the word model that reads.
        opened: the picture, decoded.
        picture: the picture.
        find_vocabulary: returns the words to look for.
    """
    alone = parse(reference).kind == "spotting"
    shown = st.toggle("Show every line that was read", **state.bind("lines", state.is_on("lines", alone)))
    if shown:
        show_reading(reference, opened, picture, find_vocabulary())
    return shown


def show_reading(reference: str, opened: Opened, picture: ImageRecord, vocabulary: Vocabulary) -> None:
    """Show the picture with the words that were read, what was found and missed of the boxed ones, and all lines.

    Args:
        reference: of the word model that reads.
        opened: the picture, decoded.
        picture: the picture.
        vocabulary: looked for, unless the picture has a lexicon of its own.
    """
    from odits.evaluation.reading_tasks import lexicon_words

    spotter = spotter_of(reference)
    if spotter is None:
        return
    st.subheader("Words read in the picture", anchor=False)
    own = bool(picture.lexicon)
    with st.container(horizontal=True, vertical_alignment="bottom", key="reading-options"):
        which = state.choose("Look for", list(CHOICES) if own else ["all"], "spot", CHOICES.__getitem__)
        threshold = st.slider(
            "Probability, at least",
            0.05,
            0.95,
            step=0.05,
            **state.bind("sure", state.fraction("sure", 0.5, 0.05, 0.95)),
        )
    words = lexicon_words(picture) if which == "own" else list(vocabulary.words)
    with st.spinner("Reading the picture …", show_time=True):
        readers = [Reader(spotter.name, spotter.checkpoint, _lines_of(spotter, opened))]
    results = choose_results()
    if results is not None:
        readers.append(Reader(results.name, results.digest, results.of(picture.name)))
    with panes("reading") as row:
        for place, reader in enumerate(readers):
            found = _words_of(spotter, reader, opened, tuple(words), threshold)
            with row.container(key=f"pane-reading-{place}"), guarded():
                if len(readers) > 1:
                    st.markdown(f"**{escape_markdown(reader.name)}**")
                _show_found(reader, found, opened, picture, which == "own", f"reading-{place}", len(readers) > 1)


def _show_found(
    reader: Reader, found: list[FoundWord], opened: Opened, picture: ImageRecord, own: bool, key: str, beside: bool
) -> None:
    """Show one reader's words over the picture, beside the boxes that people drew, and as tables."""
    from odits.evaluation.reading_tasks import match_words
    from odits.figures.words import read_words_figure

    matched = bool(picture.boxed) and own
    if matched:
        matching = match_words(found, picture.boxed)
        true, unmatched = [one for _, one in matching.found], matching.false
        _show_matching(matching.missed, true, unmatched)
    else:
        true, unmatched = found, []
    figure = read_words_figure(opened.image, true, picture.boxed, unmatched)
    if beside:  # half as wide: else there is more room above and below the picture than the picture has
        figure.update_layout(height=round(480 * opened.image.height / opened.image.width) + 60)
    chart(figure, key, "The picture with the words found: " + (", ".join(one.word for one in found) or "none"))
    table = _table(found, {id(one) for one in unmatched}, matched)
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


def _lines_of(spotter: WordSpotter, opened: Opened) -> list[TextLine]:
    return answer(_LINES, (opened.digest, spotter.checkpoint), lambda: spotter.read(opened.image))


def _words_of(
    spotter: WordSpotter, reader: Reader, opened: Opened, words: tuple[str, ...], threshold: float
) -> list[FoundWord]:
    from odits.models.reading.spotter import find_words

    def find() -> list[FoundWord]:
        reading = spotter.score_lines(reader.lines, Lexicon(words))
        return find_words(reading, words, threshold, spotter.scoring)

    return answer(_FOUND, (opened.digest, reader.key, words, threshold), find)


def _show_matching(missed: list[BoxedWord], true: list[FoundWord], unmatched: list[FoundWord]) -> None:
    """Say what was found, missed, and found beyond the boxes."""
    parts = [f"**{len(true)}** of {len(true) + len(missed)} words that people marked are found"]
    if missed:
        parts.append("missed: " + escape_markdown(", ".join(box.word for box in missed)))
    if unmatched:
        parts.append("found, and marked by nobody: " + escape_markdown(", ".join(one.word for one in unmatched)))
    st.markdown(" · ".join(parts))


def _table(found: list[FoundWord], unmatched: set[int], known: bool) -> pd.DataFrame:
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
        columns["marked by people"] = ["no" if id(one) in unmatched else "yes" for one in found]
    return pd.DataFrame(columns)


_RESULTS, _ROUND = "odits-spotter-results", "odits-spotter-round"


class Results(NamedTuple):
    """A result file.

    Attributes:
        name: what the spotter is called.
        digest: of the file; caches key on it.
        lines: by the stem of the image's file name.
    """

    name: str
    digest: str
    lines: dict[str, list[TextLine]]

    def of(self, picture: str) -> list[TextLine]:
        """Return the lines of a picture; none where the file has none of it."""
        return self.lines.get(Path(picture).stem, [])


def choose_results() -> Results | None:
    """Ask for the result file of another spotter; None where there is none."""
    given: Results | None = st.session_state.get(_RESULTS)
    if not serving.files_may_be_imported():
        return None
    with st.expander("Compare with another spotter", icon=":material/compare:", expanded=given is not None):
        if given is None:
            key = f"{_RESULTS}-{st.session_state.get(_ROUND, 0)}"
            st.file_uploader(
                "Result file of DeepSolo or ESTextSpotter (JSON with polys, rec and score)",
                "json",
                key=key,
                on_change=_take_in,
                args=(key,),
                help="Each entry names its image by image_name, or by image_id with a COCO list of images.",
            )
            problem = st.session_state.pop(f"{_RESULTS}-problem", None)
            if problem:
                complain(problem)
            return None
        with st.container(horizontal=True, vertical_alignment="bottom", key="results-given"):
            name = st.text_input("Name", given.name, key="results-name").strip() or given.name
            st.button("Remove", icon=":material/delete:", key="results-remove", on_click=_remove)
        st.caption(
            f"It has words in {count_of(len(given.lines), 'image')}. A result file holds no probabilities of letters, "
            "so its words are taken as written. Over all images: `python -m odits spot --results FILE`."
        )
        return given._replace(name=name)


def _take_in(key: str) -> None:
    from odits.models.reading.result_files import read_results

    file = st.session_state[key]
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    if file is None:
        return
    content = file.getvalue()
    try:
        lines = read_results(content, file.name)
    except OditsError as error:
        st.session_state[f"{_RESULTS}-problem"] = str(error)
        return
    digest = sha256_of(content)
    st.session_state[_RESULTS] = Results(Path(file.name).stem, digest, lines)


def _remove() -> None:
    st.session_state.pop(_RESULTS, None)
