"""Who marks which pictures: divided among people, a share of them to two, so that their agreement can be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.data.marks import clean_name, fold_name
from odits.evaluation.annotation_queue import assigned
from pages._shared import state
from pages._shared.layout import bullets, count_of, escape_markdown

MOST = 20
"""People among whom pictures can be divided."""


def choose_division(names: Sequence[str], annotator: str) -> tuple[set[str], str]:
    """Ask among whom the pictures are divided, and which share two people mark.

    Args:
        names: of the pictures.
        annotator: who marks here.

    Returns:
        The names of this annotator's pictures, and a remark about them; all of them where nothing is divided.
    """
    typed = st.text_input(
        "Divide among",
        placeholder="for example Anna, Ben",
        help="Names, with commas. Each picture goes to one of them; the link to this page carries the division.",
        **state.bind("among", str(state.get("among") or "")),
    )
    try:
        people = read_people(typed)
    except OditsError as error:
        st.warning(escape_markdown(str(error)), icon=":material/edit:")
        return set(names), str(error)
    if len(people) < 2:
        return set(names), ""
    share = st.slider(
        "Marked by two people",
        0.0,
        1.0,
        step=0.05,
        format="percent",
        help="The share of the pictures that two people mark: from these their agreement is computed.",
        **state.bind("twice", state.fraction("twice")),
    )
    division = assigned(names, people, float(share), state.number("seed", 999_999))
    often = Counter(name for theirs in division.values() for name in theirs)
    twice = sum(count > 1 for count in often.values())
    st.markdown(bullets([_share_of(person, theirs, often) for person, theirs in division.items()]))
    whole = (
        f"{count_of(len(names), 'picture')}, {twice:,} of them ({percent(twice / max(len(names), 1))}) for two people"
    )
    st.caption(f"{whole}. The same names, share and seed give everybody the same division.")
    mine = next((one for one in people if fold_name(one) == fold_name(annotator)), None)
    if mine is None:
        return set(), f"The pictures are divided among {', '.join(people)}: add your name under “Queue”."
    theirs = division[mine]
    return set(theirs), f"You have {len(theirs):,} of {count_of(len(names), 'picture')}{_with_others(theirs, often)}."


def read_people(text: str) -> list[str]:
    """Read names with commas between them; of those that differ in case only, the first counts.

    Raises:
        OditsError: one is no name, or there are too many.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        if part.strip():
            name = clean_name(part)
            found.setdefault(fold_name(name), name)
    if len(found) > MOST:
        raise OditsError(f"Name at most {MOST} people.")
    return list(found.values())


def _share_of(person: str, names: Sequence[str], often: Counter[str]) -> str:
    return f"{person}: {len(names):,}{_with_others(names, often)}"


def _with_others(names: Sequence[str], often: Counter[str]) -> str:
    twice = sum(often[name] > 1 for name in names)
    return f", {twice:,} of them with somebody else" if twice else ""
