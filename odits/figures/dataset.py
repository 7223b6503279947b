"""Figures of a data set's words and images (Figs. 2.1 to 2.4 of the thesis)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.core.errors import OditsError
from odits.counting.statistics import StatisticsError, density_curve
from odits.data import Dataset
from odits.data.facts import lexicon_lengths, word_frequencies
from odits.figures.theme import FONT_SIZE, SPLIT_COLORS, SPLIT_TITLES, escape_html, escaped_percent, faded, styled

MAX_LABEL = 16


def lexicon_lengths_figure(dataset: Dataset, density: bool = False, splits: Sequence[str] | None = None) -> go.Figure:
    """Draw Fig. 2.1: how many different words a lexicon has, one panel each for train, eval and both.

    Args:
        dataset: any data set with images.
        density: shares per word of length, with a kernel density curve, rather than numbers of images.
        splits: the panels, of "train", "eval" and "all"; default all that have images.
    """
    splits = shown_splits(dataset, splits)
    figure = _panels(splits, "different words in the lexicon", "density" if density else "images")
    lengths = {split: lexicon_lengths(dataset.split(split)) for split in splits}
    everything = np.concatenate([np.asarray(values) for values in lengths.values()])
    edges = _edges(everything)
    for column, (split, values) in enumerate(lengths.items(), start=1):
        _histogram(figure, values, edges, split, column, density, ("words", "images"))
        if density:
            _curve(figure, values, split, column)
    # one scale for all panels: that is what they are beside each other for
    margin = 0.15 * (edges[-1] - edges[0]) if density else 1.0
    figure.update_xaxes(range=[edges[0] - margin, edges[-1] + margin])
    return styled(figure, 360, legend=False)


def frequent_words_figure(
    dataset: Dataset, density: bool = False, splits: Sequence[str] | None = None, count: int = 20
) -> go.Figure:
    """Draw Fig. 2.2: the most frequent words of the lexicons, one panel each for train, eval and both.

    Args:
        dataset: any data set with images.
        density: shares of all occurrences rather than numbers of them.
        splits: the panels, of "train", "eval" and "all"; default all that have images. Three want 700 pixels of width.
        count: words in each panel.
    """
    splits = shown_splits(dataset, splits)
    figure = _panels(splits, "share of all words" if density else "occurrences", None, shared_y=False)
    for column, split in enumerate(splits, start=1):
        frequencies = word_frequencies(dataset.split(split))
        total = frequencies.total()
        top = frequencies.most_common(count)
        figure.add_bar(
            orientation="h",
            x=[number / total if density else number for _, number in top],
            y=list(range(len(top))),
            marker={"color": SPLIT_COLORS[split], "cornerradius": 2},
            customdata=[[escape_html(word), number, escaped_percent(number / total)] for word, number in top],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:,} occurrences, %{customdata[2]} of all"
            f"<extra>{SPLIT_TITLES[split]}</extra>",
            row=1,
            col=column,
        )
        figure.update_yaxes(
            tickmode="array",
            tickvals=list(range(len(top))),
            ticktext=[escape_html(_short(word)) for word, _ in top],
            range=[max(len(top), 1) - 0.5, -0.5],
            showgrid=False,
            ticklabelstandoff=4,
            row=1,
            col=column,
        )
    figure.update_xaxes(showgrid=True, rangemode="tozero", nticks=5, tickformat=".1%" if density else ",")
    return styled(figure, 150 + 21 * count, legend=False)


def word_frequency_figure(dataset: Dataset) -> go.Figure:
    """Draw Fig. 2.3: the density of word frequencies, a line each for train, eval and both; both axes logarithmic.

    A point is the share of the words whose number of occurrences lies in a bin, divided by the bin's width. The bins
    grow with the frequency, since most words occur once or twice and a few a hundred times.
    """
    figure = go.Figure()
    symbols = {"train": "circle", "eval": "square", "all": "diamond"}
    for split in shown_splits(dataset):
        occurrences = np.array(list(word_frequencies(dataset.split(split)).values()))
        edges = _growing_edges(int(occurrences.max()) if len(occurrences) else 1)
        numbers, _ = np.histogram(occurrences, edges)
        low, high = edges[:-1] + 0.5, edges[1:] - 0.5
        occupied = numbers > 0
        shares = numbers[occupied] / max(len(occurrences), 1)
        ends = zip(low[occupied], high[occupied], strict=True)
        spans = [f"{a:.0f}" if a == b else f"{a:.0f} to {b:.0f}" for a, b in ends]
        figure.add_scatter(
            x=np.sqrt(low * high)[occupied],
            y=shares / np.diff(edges)[occupied],
            mode="lines+markers",
            name=SPLIT_TITLES[split],
            line={"color": SPLIT_COLORS[split], "width": 2},
            marker={"color": SPLIT_COLORS[split], "size": 8, "symbol": symbols[split]},
            customdata=[
                (span, number, share, escaped_percent(share))
                for span, number, share in zip(spans, numbers[occupied].tolist(), shares.tolist(), strict=True)
            ],
            hovertemplate="%{customdata[0]} occurrences: %{customdata[1]:,} words, %{customdata[3]} of all",
        )
    figure.update_xaxes(type="log", title="occurrences of a word", tickvals=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    powers = range(-7, 1)
    figure.update_yaxes(
        type="log",
        title="density of words",
        tickvals=[10.0**power for power in powers],
        ticktext=[f"{10.0**power:.{-power}f}" for power in powers],
    )
    return styled(figure, 420)


def image_sizes_figure(sizes: Mapping[str, Sequence[tuple[int, int]]]) -> go.Figure:
    """Draw Fig. 2.4: histograms of image widths and heights, the splits stacked.

    Args:
        sizes: width and height in pixels of each image, for each split ("train", "eval").

    Raises:
        OditsError: no split has an image.
    """
    given = {split: np.asarray(values, dtype=float) for split, values in sizes.items() if len(values)}
    if not given:
        raise OditsError("There are no images whose sizes could be shown.")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for axis, title in enumerate(("width", "height")):
        edges = _edges(np.concatenate([values[:, axis] for values in given.values()]), most=30)
        for split, values in given.items():
            _histogram(figure, values[:, axis], edges, split, axis + 1, False, ("pixels", "images"), legend=axis == 0)
        margin = 0.03 * (edges[-1] - edges[0])
        span = [edges[0] - margin, edges[-1] + margin]
        figure.update_xaxes(title=f"{title} in pixels", range=span, row=1, col=axis + 1)
    figure.update_yaxes(title="images", row=1, col=1)
    figure.update_layout(barmode="stack")
    return styled(figure, 380, legend=len(given) > 1)


def shown_splits(dataset: Dataset, splits: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the panels asked for, else each split that has images, and "all" where there are two."""
    present = (*dataset.splits, "all") if len(dataset.splits) > 1 else dataset.splits
    chosen = tuple(splits) if splits else present
    if not chosen or not all(dataset.split(split) for split in chosen):
        raise OditsError(f"{dataset.name} has no images to show{' in ' + ' or '.join(chosen) if chosen else ''}.")
    return chosen


def _panels(splits: Sequence[str], x_title: str, y_title: str | None, shared_y: bool = True) -> go.Figure:
    """Make a row of panels, one for each split, each titled with it."""
    figure = make_subplots(
        rows=1,
        cols=len(splits),
        shared_yaxes=shared_y,
        horizontal_spacing=0.04 if shared_y else 0.14,
        subplot_titles=[SPLIT_TITLES[split] for split in splits],
    )
    figure.update_annotations(font_size=FONT_SIZE + 1)
    figure.update_xaxes(title=x_title, row=1, col=(len(splits) + 1) // 2)
    if y_title is not None:
        figure.update_yaxes(title=y_title, row=1, col=1)
    return figure


def _histogram(
    figure: go.Figure,
    values: Sequence[int] | np.ndarray,
    edges: np.ndarray,
    split: str,
    column: int,
    density: bool,
    units: tuple[str, str],
    legend: bool = False,
) -> None:
    """Add the histogram of whole numbers to a panel; `units` are those of the values and of what is counted."""
    numbers, _ = np.histogram(values, edges)
    widths = np.diff(edges)
    low, high = edges[:-1] + 0.5, edges[1:] - 0.5
    spans = [f"{a:.0f}" if a == b else f"{a:.0f} to {b:.0f}" for a, b in zip(low, high, strict=True)]
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=numbers / (max(len(values), 1) * widths) if density else numbers,
        width=widths * 0.94,
        name=SPLIT_TITLES[split],
        legendgroup=split,
        showlegend=legend,
        marker={"color": faded(SPLIT_COLORS[split], 0.55) if density else SPLIT_COLORS[split], "cornerradius": 2},
        customdata=list(zip(spans, numbers.tolist(), strict=True)),
        hovertemplate=f"%{{customdata[0]}} {units[0]}: %{{customdata[1]:,}} {units[1]}"
        f"<extra>{SPLIT_TITLES[split]}</extra>",
        row=1,
        col=column,
    )


def _curve(figure: go.Figure, values: Sequence[int], split: str, column: int) -> None:
    """Add the kernel density curve to a panel; nothing where all values are equal."""
    try:
        x, y = density_curve(values)
    except StatisticsError:
        return
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=f"{SPLIT_TITLES[split]}, density curve (KDE)",
        showlegend=False,
        line={"color": SPLIT_COLORS[split], "width": 2.5},
        hoverinfo="skip",
        row=1,
        col=column,
    )


def _edges(values: np.ndarray, most: int = 16) -> np.ndarray:
    """Return edges of at most `most` bins of equal whole width over whole numbers, each half a unit off the numbers."""
    low, high = int(values.min()), int(values.max())
    width = max(1, -(-(high - low + 1) // most))
    return np.arange(low, high + width + 1, width) - 0.5


def _growing_edges(largest: int) -> np.ndarray:
    """Return edges of bins over 1..largest whose widths are 1, 1, 1, then double at every second bin."""
    starts = [1, 2, 3, 4, 6]
    while starts[-1] <= largest:
        starts.append(2 * starts[-2])
    return np.array([start for start in starts if start <= largest] + [largest + 1]) - 0.5


def _short(word: str) -> str:
    return word if len(word) <= MAX_LABEL else word[: MAX_LABEL - 1] + "…"
