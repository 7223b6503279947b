"""Search: which images show a word."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.data.records import Collection
from odits.models.registry import EMBEDDED
from odits.search.query import Query, parse_query
from odits.search.ranking import Hit, Searcher, search
from pages._search import likeness
from pages._search.index import FOLDER, choose_images, clip_of, offer_embeddings, offer_index
from pages._search.results import MOST, Result, show_caption, show_list, show_none, style
from pages._shared import state
from pages._shared.datasets import choose_dataset
from pages._shared.jobs import show_problems
from pages._shared.layout import escape_markdown, guarded, page, panes
from pages._shared.word_models import choose_model

RANKINGS = {"reading": "Reading", "clip": "CLIP", "both": "Both in one", "beside": "Side by side"}
HELP = (
    "Reading finds images in which the word is written. CLIP finds images that look like it. Both in one: what was "
    "read comes first, CLIP orders the rest."
)
WRONG = {"0": "none", "1": "1", "2": "2"}


def main() -> None:
    """Draw the page."""
    with page("Search", "Find the images that show a word, however it is written there."):
        style()
        with st.sidebar:
            collection = choose_images(choose_dataset())
            by_image = state.get("ranking") in RANKINGS and state.get("ranking") != "reading"
            reference = choose_model("clip", EMBEDDED, ("clip",)) if by_image else ""
        query: Query | None = None
        ranking = "reading"
        try:
            query, ranking = choose_query()
        except OditsError as error:
            st.warning(escape_markdown(str(error)), icon=":material/edit:")
        link = ["searched", "folder", "query", "part-of", "wrong", "ranking", "show", *likeness.LINK]
        state.publish(*link, *(["clip"] if reference else []))
        if collection is None:
            st.info("Name a folder of images on the left, or choose others.", icon=":material/folder_open:")
            return
        with guarded():
            likeness.offer_likeness(collection)
        with guarded():
            show(collection, query, ranking, reference)


def choose_query() -> tuple[Query | None, str]:
    """Ask what to look for, and by which ranking. Raises OditsError where the text is no query."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="query-row"):
        text = st.text_input(
            "Words",
            placeholder="for example hotel, or best western",
            help="Several words: an image must show all of them. Enter searches.",
            **state.bind("query", str(state.get("query") or "")),
        )
        wrong = state.choose_part(
            "Wrong letters",
            WRONG,
            "wrong",
            help="How many letters of a word may be missing, too many or different. Short words may have fewer.",
            label_visibility="visible",
        )
        ranking = state.choose_part("Ranking", RANKINGS, "ranking", help=HELP, label_visibility="visible")
    part = st.toggle(
        "Parts of words count too",
        help="Then “hot” finds HOTEL, and “coffee” finds STARBUCKSCOFFEE as surely as COFFEE.",
        **state.bind("part-of", state.is_on("part-of")),
    )
    return (parse_query(text, part, int(wrong)) if text.strip() else None), ranking


def show(collection: Collection, query: Query | None, ranking: str, reference: str) -> None:
    """Show the answer, or what is still needed for one."""
    searcher = offer_index(collection)
    if searcher is None:
        return
    if query is None:
        words = ", ".join(map(escape_markdown, examples(searcher)))
        example = f" For example: {words}." if words else ""
        count = len(searcher.index.images)
        st.info(f"Type a word to look for in the {count:,} images.{example}", icon=":material/search:")
    else:
        hits = search(searcher, query, MOST)
        if ranking == "reading":
            show_reading(hits, query, searcher, link_of())
        else:
            show_by_image(query, hits, searcher, ranking, reference)
    show_problems([entry.problem for entry in searcher.index.problems])


def examples(searcher: Searcher) -> list[str]:
    """Return a few words that were surely read in these images."""
    index = searcher.index
    sure = [
        line for line in (-index.certainty).argsort()[:400].tolist() if re.fullmatch("[A-Za-z]{4,12}", index.text(line))
    ]
    words = dict.fromkeys(index.text(line).upper() for line in sure)
    return list(words)[:4]


def link_of() -> str | None:
    """Return the address of the page "Words" for an image of a data set, without the image's name."""
    searched = state.get("searched")
    return None if searched == FOLDER else f"./?images={searched}&model=spotting&image="


def show_reading(hits: list[Hit], query: Query, searcher: Searcher, link: str | None) -> None:
    """Show the ranking by reading."""
    if not hits:
        show_none(searcher, query)
        return
    show_caption(hits, query)
    show_list([Result(hit.image, hit) for hit in hits], query, link, "reading")


def show_by_image(query: Query, hits: list[Hit], searcher: Searcher, ranking: str, reference: str) -> None:
    """Show CLIP's ranking, alone, in one with reading, or beside it."""
    link = link_of()
    model = clip_of(reference)
    embeddings = offer_embeddings(searcher.index, model)
    if embeddings is None:
        show_reading(hits, query, searcher, link)
        return
    from odits.search.image_ranking import Fusion

    places = [hit.place for hit in hits]
    scores = pd.Series([hit.score for hit in hits], dtype=float).to_numpy()
    fusion = Fusion(places, scores, embeddings.similarities(model, query), len(query.words))
    by_place = {hit.place: hit for hit in hits}
    best = fusion.best_by_image(MOST) if ranking != "both" else fusion.best(MOST)
    results = [Result(searcher.index.images[one.place], by_place.get(one.place), one) for one in best]
    if ranking == "both":
        st.markdown("What was read comes first; then what CLIP ranks highest.")
        show_list(results, query, link, "both")
    elif ranking == "clip":
        st.markdown(f"As {escape_markdown(model.name)} ranks them; every image has a rank.")
        show_list(results, query, link, "clip")
    else:
        with panes("rankings") as row:
            with row.container(key="pane-reading"):
                st.subheader("By reading", anchor=False)
                if hits:
                    read = [Result(hit.image, hit, fusion.standing(hit.place)) for hit in hits]
                    show_list(read, query, link, "reading", narrow=True)
                else:
                    show_none(searcher, query)
            with row.container(key="pane-by-image"):
                st.subheader(f"By {escape_markdown(model.name)}", anchor=False)
                show_list(results, query, link, "clip", narrow=True)


main()
