"""The most probable words of a prediction: as a chart, on paper, as a table, and the menu that saves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from odits.data import ImageRecord
from odits.data.predictions import WordPrediction, WordProbability
from odits.figures.words import top_words_figure, word_mark
from pages._shared.figures import figure_menu

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from odits.figures.static import Theme

TOP = 10


def words_figure(prediction: WordPrediction, picture: ImageRecord) -> go.Figure:
    """Draw the most probable words of a prediction."""
    return top_words_figure(
        prediction.top(TOP),
        picture.lexicon,
        picture.visible,
        read=prediction.vocabulary.extra,
        title=axis_of(prediction),
    )


def paper_figure(prediction: WordPrediction, picture: ImageRecord, theme: Theme, of: str = "") -> Figure:
    """Draw the most probable words of a prediction on paper."""
    from odits.figures.static_words import WordBars, words_figure

    title = f"{of or picture.name}: {prediction.model}"
    bars = WordBars(title, prediction.top(TOP), picture.lexicon, picture.visible, prediction.vocabulary.extra)
    return words_figure([bars], theme, axis_of(prediction))


def axis_of(prediction: WordPrediction) -> str:
    """Say what the probabilities of a prediction are of."""
    presence = getattr(prediction, "presence", None) is not None
    return "probability that the word is in the picture" if presence else "probability among all words"


def alt_of(top: Sequence[WordProbability]) -> str:
    """Say in words what a chart of words shows."""
    return f"The {len(top)} most probable words: " + ", ".join(item.word for item in top)


def ranking(prediction: WordPrediction, picture: ImageRecord, count: int | None = None) -> pd.DataFrame:
    """Return the words by rank with probability and what is known about them; all of them by default."""
    top = prediction.top(len(prediction.vocabulary) if count is None else count)
    columns: dict[str, list[object]] = {
        "rank": list(range(1, len(top) + 1)),
        "word": [item.word for item in top],
        "probability": [item.probability for item in top],
    }
    extra = prediction.vocabulary.extra
    if picture.lexicon or picture.boxed or extra:
        columns["known"] = [word_mark(item.word, picture.lexicon, picture.visible, extra).title for item in top]
    return pd.DataFrame(columns)


def words_menu(key: str, name: str, prediction: WordPrediction, picture: ImageRecord, of: str = "") -> None:
    """Draw the menu that saves the most probable words of a prediction.

    Args:
        key: tells this menu from others on the page.
        name: of the files.
        prediction: of the words.
        picture: whose words are known.
        of: what was looked at, where it is not the whole picture.
    """
    figure_menu(
        key,
        name,
        lambda: words_figure(prediction, picture),
        lambda theme: paper_figure(prediction, picture, theme, of),
        lambda: ranking(prediction, picture, TOP),
        [of or picture.name, *(item.word for item in prediction.top(TOP))],
    )
