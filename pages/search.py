"""Search: which images show a word."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.data.records import Collection
from odits.search.query import Query, parse_query
from odits.search.ranking import Hit, Searcher, search
from pages._search.results import Result, show_results, style
from pages._search.index import choose_images, offer_index, searcher_of
from pages._search.index import clip_of, seen_by
from odits.models.registry import EMBEDDED
from pages._shared import state
from pages._shared.layout import file_stem, guarded, page, panes, escape_markdown, table_download
from pages._shared.pictures import dataset_or_none
from pages._shared.word_models import choose_model

RANKINGS = {"reading": "Reading", "clip": "CLIP", "both": "Both in one", "beside": "Side by side"}
HELP = (
    "Reading finds images in which the word is written. CLIP finds images that look like it. Both in one: what was "
    "read comes first, CLIP orders the rest."
)
WRONG = {"0": "none", "1": "1", "2": "2"}
SHOWN = 12
MOST = 240  # images that reading lists
SURE = 0.5


def ask() -> tuple[Query | None, str]:
    """What to look for, as the user typed it, and by which ranking."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="query-row"):
        text = st.text_input(
            "Words",
            placeholder="for example hotel, or best western",
            help="Several words: an image must show all of them. Enter searches.",
            **state.bind("query", str(state.get("query") or "")),
        )
        wrong = st.segmented_control(
            "Wrong letters",
            list(WRONG),
            format_func=WRONG.__getitem__,
            required=True,
            help="How many letters of a word may be missing, too many or different. Short words may have fewer.",
            **state.bind("wrong", state.get("wrong") if state.get("wrong") in WRONG else "0"),
        )
        ranking = st.segmented_control(
            "Ranking",
            list(RANKINGS),
            format_func=RANKINGS.__getitem__,
            required=True,
            help=HELP,
            **state.bind("ranking", state.get("ranking") if state.get("ranking") in RANKINGS else "reading"),
        )
    part = st.toggle(
        "Parts of words count too",
        help="Then “hot” finds HOTEL, and “coffee” finds STARBUCKSCOFFEE as surely as COFFEE.",
        **state.bind("part-of", str(state.get("part-of")) == "True"),
    )
    if not text.strip():
        return None, ranking or "reading"
    return parse_query(text, part, int(wrong or 0)), ranking or "reading"


def examples(searcher: Searcher) -> list[str]:
    """A few words that were surely read in these images."""
    index = searcher.index
    sure = [
        line for line in (-index.certainty).argsort()[:400].tolist() if re.fullmatch("[A-Za-z]{4,12}", index.text(line))
    ]
    words = dict.fromkeys(index.text(line).upper() for line in sure)
    return list(words)[:4]


def table_of(results: list[Result], query: Query) -> pd.DataFrame:
    """The results as a table, a row an image."""
    rows: list[dict[str, Any]] = []
    for rank, (image, hit, standing) in enumerate(results, start=1):
        row: dict[str, Any] = {"rank": rank, "image": image.name, "path": image.path}
        row["probability"] = hit.probability if hit else None
        if standing is not None:
            row |= {"rank by reading": standing.read or None, "rank by CLIP": standing.seen}
        for number, word in enumerate(query.words):
            match = hit.matches[number] if hit else None
            corners = "" if match is None else " ".join(f"{x:.1f},{y:.1f}" for x, y in match.corners)
            row |= {
                f"{word}: read": match.text if match else "",
                f"{word}: why": match.why if match else "",
                f"{word}: corners": corners,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def say_found(hits: list[Hit], query: Query) -> None:
    """In a sentence how many images show the words."""
    words = escape_markdown(" and ".join(query.words))
    sure = sum(hit.probability >= SURE for hit in hits)
    more = len(hits) - sure
    doubtful = f"{more} more may do so" if sure else f"{more} may do so, none surely"
    if len(hits) >= MOST:
        doubtful = "more may do so"
    first = f"**{sure:,}** {'image shows' if sure == 1 else 'images show'} {words}" if sure else f"**{words}**"
    st.markdown(f"{first}; {doubtful}." if more else f"{first}.")


def say_none(searcher: Searcher, query: Query) -> None:
    """That no image shows the words, and what comes nearest."""
    words = escape_markdown(" and ".join(query.words))
    near: list[str] = []
    for word in query.words:
        looser = search(searcher, Query((word,), True, 2), 5)
        near += [hit.matches[0].text.strip() for hit in looser]
    shown = ", ".join(f"“{escape_markdown(text)}”" for text in list(dict.fromkeys(filter(None, near)))[:6])
    hint = f" The nearest readings are {shown}." if shown else ""
    loosen = "" if query.part and query.tolerance == 2 else " Allow wrong letters or parts of words to find more."
    together = "" if len(query.words) == 1 else " together"
    st.info(f"No image shows {words}{together}.{hint}{loosen}", icon=":material/search_off:")


def show_reading(hits: list[Hit], query: Query, searcher: Searcher, link: str | None) -> None:
    """The ranking by reading."""
    if not hits:
        say_none(searcher, query)
        return
    say_found(hits, query)
    show_list([Result(hit.image, hit) for hit in hits], query, link, "reading")


def show_list(results: list[Result], query: Query, link: str | None, key: str, narrow: bool = False) -> None:
    """Cards, more of them at a button, and the table to download."""
    asked = str(state.get("show") or "")
    shown = int(asked) if asked.isdecimal() and len(asked) < 6 else SHOWN
    show_results(results[:shown], link, narrow)
    with st.container(horizontal=True, vertical_alignment="center", key=f"more-{key}"):
        if len(results) > shown:
            st.button(
                "Show more",
                key=f"show-more-{key}",
                icon=":material/expand_more:",
                on_click=state.act,
                args=("show", shown + 2 * SHOWN),
            )
            st.caption(f"{shown:,} of {len(results):,}", width="content")
        stem = file_stem(f"search-{'-'.join(query.words)}-{key}")
        table_download(table_of(results, query), stem, f"table-{key}", "Results")


def show_seen(query: Query, hits: list[Hit], searcher: Searcher, ranking: str, link: str | None) -> None:
    """CLIP's ranking, alone, in one with reading, or beside it."""
    model = clip_of(reference)
    seen = seen_by(searcher.index, model) if model is not None else None
    if model is None or seen is None:
        show_reading(hits, query, searcher, link)
        return
    from odits.search.image_ranking import Fusion

    places = [hit.place for hit in hits]
    scores = pd.Series([hit.score for hit in hits], dtype=float).to_numpy()
    fusion = Fusion(places, scores, seen.similarities(model, query), len(query.words))
    by_place = {hit.place: hit for hit in hits}
    best = fusion.best_seen(MOST) if ranking != "both" else fusion.best(MOST)
    results = [Result(searcher.index.images[one.place], by_place.get(one.place), one) for one in best]
    if ranking == "both":
        st.markdown("What was read comes first; then what CLIP holds most likely.")
        show_list(results, query, link, "both")
    elif ranking == "clip":
        st.markdown(f"As {escape_markdown(model.name)} ranks them; every image has a place.")
        show_list(results, query, link, "clip")
    else:
        with panes("rankings") as row:
            with row.container(key="pane-reading"):
                st.subheader("By reading", anchor=False)
                if hits:
                    read = [Result(hit.image, hit, fusion.standing(hit.place)) for hit in hits]
                    show_list(read, query, link, "reading", narrow=True)
                else:
                    say_none(searcher, query)
            with row.container(key="pane-seeing"):
                st.subheader(f"By {escape_markdown(model.name)}", anchor=False)
                show_list(results, query, link, "clip", narrow=True)


def show_problems(searcher: Searcher) -> None:
    """Images that could not be read."""
    problems = searcher.index.problems
    if problems:
        count = len(problems)
        with st.expander(f"{count} {'image' if count == 1 else 'images'} could not be read"):
            st.markdown("\n".join(f"- {escape_markdown(entry.problem)}" for entry in problems[:100]))


def link_of(collection: Collection) -> str | None:
    """The address of the page "Words" for an image of a data set, without the image's name."""
    searched = state.get("searched")
    return None if searched == "folder" else f"./?images={searched}&model=spotting&image="


def show(collection: Collection, query: Query | None, ranking: str) -> None:
    """The answer, or what is still needed for one."""
    searcher = searcher_of(collection)
    offer_index(collection, searcher)
    if searcher is None:
        return
    if query is None:
        words = ", ".join(map(escape_markdown, examples(searcher)))
        example = f" They say, for example: {words}." if words else ""
        count = len(searcher.index.images)
        st.info(f"Type a word to look for in the {count:,} images.{example}", icon=":material/search:")
    else:
        hits = search(searcher, query, MOST)
        if ranking == "reading":
            show_reading(hits, query, searcher, link_of(collection))
        else:
            show_seen(query, hits, searcher, ranking, link_of(collection))
    show_problems(searcher)


with page("Search", "Find the images that show a word, however it is written there."):
    style()
    with st.sidebar:
        collection = choose_images(dataset_or_none())
        sees = state.get("ranking") in ("clip", "both", "beside")
        reference = choose_model("clip", EMBEDDED, ("clip",)) if sees else ""
    query: Query | None = None
    ranking = "reading"
    try:
        query, ranking = ask()
    except OditsError as error:
        st.warning(escape_markdown(str(error)), icon=":material/edit:")
    seen_names = ("clip",) if reference else ()
    state.publish("searched", "folder", "query", "part-of", "wrong", "ranking", "show", *seen_names)
    if collection is not None:
        with guarded():
            show(collection, query, ranking)
    else:
        st.info("Name a folder of images on the left, or choose others.", icon=":material/folder_open:")
