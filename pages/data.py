"""Data: the facts and figures of the data set's words and images."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from odits.data import Dataset, ImageError
from odits.data.exports import Files
from odits.data.facts import dataset_facts, split_facts, word_frequencies
from odits.data.records import collection_of_dataset
from odits.figures.dataset import (
    frequent_words_figure,
    image_sizes_figure,
    lexicon_lengths_figure,
    shown_splits,
    word_frequency_figure,
)
from odits.figures.theme import SPLIT_TITLES
from pages._shared import jobs, state
from pages._shared.datasets import GET_SVT, choose_dataset, demo_dataset
from pages._shared.exports import export_menu
from pages._shared.figures import panels_menu
from pages._shared.glossary import help_on
from pages._shared.jobs import show_problems
from pages._shared.layout import (
    bullets,
    chart,
    count_of,
    escape_markdown,
    file_stem,
    page,
    panes,
    table_download,
)
from pages._shared.likeness import offer_duplicates

TABS = {"overview": "Overview", "words": "Words", "images": "Images"}


def main() -> None:
    """Draw the page."""
    with page("Data", "What the images and their words look like before any model sees them."):
        found = choose_dataset()
        dataset = found or demo_dataset()
        if found is None:
            st.info(GET_SVT.replace("type its folder here", "type its folder on the left"), icon=":material/database:")
        if dataset is None:
            st.caption("There is nothing else to show: the demo images are missing too.")
            return
        if found is None:
            st.caption("Until then, this page shows the demo images.")
        tab = state.choose_part("Part", TABS, "tab")
        state.publish("tab")
        name = file_stem(dataset.name.lower())
        key = (str(dataset.root), len(dataset.records))
        if tab == "words":
            words(dataset, key, name)
        elif tab == "images":
            images(dataset, key, name)
        else:
            overview(facts_of(*key, dataset), name)
            save_boxes(dataset, name)
        if dataset.warnings:
            with st.expander(f"{count_of(len(dataset.warnings), 'remark')} from reading it", icon=":material/info:"):
                st.markdown(bullets(dataset.warnings))


def show(figure: go.Figure, caption: str, name: str, alt: str) -> None:
    """Show a figure with its caption and the menu that saves it."""
    chart(figure, name, alt)
    _save_below(figure, caption, name)


def _save_below(figure: go.Figure, caption: str, name: str) -> None:
    """Draw the menu that saves a figure, and its caption."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"under-{name}"):
        panels_menu(name, name, figure)
        st.caption(caption)


def overview(facts: dict[str, Any], name: str) -> None:
    """Show the numbers of images and words, and the frequencies of Table 2.1."""
    with st.container(horizontal=True, key="numbers"):
        st.metric("Images", f"{facts['splits'][-1]['images']:,}")
        st.metric("Different words", f"{facts['all_unique']:,}")
        st.metric("In both splits", f"{facts['common_unique']:,}")
        st.metric("Words in the pictures", f"{facts['splits'][-1]['boxed_words']:,}")
    splits = pd.DataFrame(facts["splits"])
    shown = pd.DataFrame(
        {
            "Split": splits["split"].map(SPLIT_TITLES),
            "Images": splits["images"],
            "Different words": splits["unique_words"],
            "Words in a lexicon": [
                f"{low} to {high}" for low, high in splits[["shortest_lexicon", "longest_lexicon"]].values
            ],
            "Words in the pictures": splits["boxed_words"],
        }
    )
    st.table(shown.map(_written).set_index("Split"))
    table_download(shown, f"{name}-splits", "splits")
    frequency = facts["frequency"]
    st.subheader("How often a word occurs", anchor=False)
    words = pd.DataFrame([frequency]).rename(
        columns={"count": "words", "std": "standard deviation", "min": "least", "50%": "median", "max": "most"}
    )
    st.table(words.map(_written).set_index("words"))
    common = ", ".join(f"{word} ({number})" for word, number in facts["most_common"])
    st.caption(
        f"{facts['at_most_20']:,} of the {facts['all_unique']:,} words occur at most 20 times. "
        f"The most frequent are {escape_markdown(common)}. Every occurrence counts, repeats in one lexicon too."
    )
    table_download(words, f"{name}-frequencies", "frequencies")


def _written(value: object) -> str:
    """Write a cell of a table whose heads wrap in a narrow window: a whole number with commas, another one rounded."""
    if isinstance(value, str):
        return escape_markdown(value)
    return f"{float(str(value)):,.3f}".removesuffix(".000")


def save_boxes(dataset: Dataset, name: str) -> None:
    """Say as what the data set was read, and offer its boxed words for other tools, where it has any."""
    if dataset.reader:
        st.caption(f"Read as {escape_markdown(dataset.reader)}, from {escape_markdown(str(dataset.root))}.")
    if not any(record.boxed for record in dataset.records):
        return

    def files(format: str, shape: str, prefix: str | None) -> Files:
        from odits.objects.exports import export_boxes

        return export_boxes(dataset, format, prefix)

    export_menu("boxes", f"{name}-boxes", files, "words with boxes")


def words(dataset: Dataset, key: tuple[str, int], name: str) -> None:
    """Show the figures of lexicons and words."""
    density = state.choose_part("Scale", {"frequency": "frequency", "density": "density"}, "scale") == "density"
    st.subheader("The most frequent words", anchor=False)
    whole, single = frequent_figures(*key, density, dataset)
    frequent_words(whole, single, f"{name}-frequent-words")
    st.subheader("Words in a lexicon", anchor=False, help=help_on("lexicon"))
    show(
        lexicon_lengths_figure(dataset, density),
        "Each image has a lexicon: the names of businesses nearby.",
        f"{name}-lexicon-lengths",
        "Histograms of the number of different words in a lexicon",
    )
    st.subheader("Rare and frequent words", anchor=False)
    show(
        word_frequency_figure(dataset),
        "Most words occur once or twice, a few a hundred times. Both axes are logarithmic.",
        f"{name}-word-frequency",
        "Density of word frequencies",
    )
    st.subheader("All words", anchor=False)
    table = word_table(*key, dataset)
    st.dataframe(table, hide_index=True, height=320, key="words-table")
    table_download(table, f"{name}-words", "words")


def frequent_words(whole: go.Figure, single: dict[str, go.Figure], name: str) -> None:
    """Show the most frequent words, a chart for each split: they stand below each other in a narrow window."""
    st.html("<style>.st-key-panes-frequent-words > div {flex-basis: 15.5rem}</style>")
    with panes("frequent-words") as row:
        for split, figure in single.items():
            with row.container(key=f"pane-words-{split}"):
                chart(figure, f"{name}-{split}", f"The 20 most frequent words, {SPLIT_TITLES[split].lower()}")
    _save_below(whole, "The 20 most frequent words of the lexicons.", name)


def images(dataset: Dataset, key: tuple[str, int], name: str) -> None:
    """Show the figure of image sizes, the table of images, and the images that can't be opened."""
    table, problems = image_table(*key, dataset)
    problems |= offer_check(dataset, key)
    show_problems(list(problems.values()))
    table = table[~table["image"].isin(list(problems))]
    sizes = {
        split: list(zip(rows["width"], rows["height"], strict=True))
        for split, rows in table.groupby("split", sort=False)
    }
    show(
        image_sizes_figure(sizes),
        "Widths and heights of the images.",
        f"{name}-image-sizes",
        "Histograms of image sizes",
    )
    st.dataframe(table, hide_index=True, height=420, key="images-table")
    table_download(table, f"{name}-images", "images")
    offer_duplicates(collection_of_dataset(dataset, "all"))


def offer_check(dataset: Dataset, key: tuple[str, int]) -> dict[str, str]:
    """Decode every image beside the page; return why some can't be, by name, once that is known."""

    def check(job: jobs.Job) -> dict[str, str]:
        found = {}
        for done, record in enumerate(dataset.records):
            job.report(done, len(dataset.records))
            try:
                record.open()
            except ImageError as error:
                found[record.name] = str(error)
        return found

    name = f"check-{key[0]}-{key[1]}"
    found: dict[str, str] | None = jobs.result_of(name)
    task = jobs.Task(
        key=name,
        button="Check the images",
        title="Checking that every image can be opened",
        run=check,
        note="Opens every image once, beside the page.",
        stopped="Stopped.",
        primary=False,
        for_all=True,
    )
    jobs.offer(task, needed=found is None, by_itself=True)
    return found or {}


@st.cache_data(max_entries=4, show_spinner="Counting words …")
def facts_of(root: str, images: int, _dataset: Dataset) -> dict[str, Any]:
    """Return Table 2.1, the overlap counts and one row a split."""
    return {**dataset_facts(_dataset), "splits": split_facts(_dataset)}


@st.cache_data(max_entries=4, show_spinner=False)
def word_table(root: str, images: int, _dataset: Dataset) -> pd.DataFrame:
    """Count how often each word occurs in each split, the most frequent first."""
    columns = {
        SPLIT_TITLES[split].lower(): word_frequencies(_dataset.split(split)) for split in (*_dataset.splits, "all")
    }
    table = pd.DataFrame(columns).fillna(0).astype(int).rename_axis("word").reset_index()
    return table.sort_values("both", ascending=False, kind="stable", ignore_index=True)


@st.cache_data(max_entries=4, show_spinner=False)
def frequent_figures(
    root: str, images: int, density: bool, _dataset: Dataset
) -> tuple[go.Figure, dict[str, go.Figure]]:
    """Draw the most frequent words: in one figure, which is what is saved, and alone by split, which is shown."""
    single = {split: frequent_words_figure(_dataset, density, [split]) for split in shown_splits(_dataset)}
    return frequent_words_figure(_dataset, density), single


@st.cache_data(max_entries=4, show_spinner="Measuring images …")
def image_table(root: str, images: int, _dataset: Dataset) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return one row an image, with split, size in pixels and words, and a sentence for each that has none, by name."""
    rows, problems = [], {}
    for record in _dataset.records:
        try:
            width, height = record.size()
        except ImageError as error:
            problems[record.name] = str(error)
            continue
        words = len(set(record.lexicon))
        rows.append((record.name, record.split, width, height, words, ", ".join(record.visible)))
    columns = ["image", "split", "width", "height", "lexicon words", "visible words"]
    return pd.DataFrame(rows, columns=columns), problems


main()
