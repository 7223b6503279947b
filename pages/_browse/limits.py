"""From which probability on "right" is proposed: by limits fitted to marks of the checkpoint on screen, or by one."""

from __future__ import annotations

import streamlit as st

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.evaluation.limits import BESIDE, LIMIT, InForce, Limits, limits_in_force
from odits.evaluation.results import StoredEvaluation
from pages._shared import state
from pages._shared.layout import complain, count_of, escape_markdown

SOURCES = {"marks": "Limits fitted to marks", "one": "One limit"}
LINK = ("limits", "limit")


def choose_limits(evaluation: StoredEvaluation) -> tuple[Limits, str]:
    """Ask by which limits "right" is proposed, and say which are in force and where they come from.

    Returns:
        The limits, and a sentence about them.
    """
    found = _find(evaluation)
    by_marks = found is not None and state.choose_part("Propose “right” by", SOURCES, "limits") == "marks"
    if found is not None and by_marks:
        sentence = f"“Right” from {percent(found.limits.general)} on{_own(found)}, fitted to marks ({_origin(found)})."
        st.caption(escape_markdown(sentence))
        return found.limits, sentence
    limit = st.slider(
        "Propose “right” from",
        0.05,
        0.95,
        help="Word spotting is calibrated: at 50 % a word is as likely there as not.",
        **state.bind("limit", state.fraction("limit", LIMIT, 0.05, 0.95)),
    )
    origin = "the usual limit" if limit == LIMIT else "as set here"
    sentence = f"“Right” from {percent(float(limit))} on, {origin}."
    st.caption(escape_markdown(sentence))
    if found is None:
        st.caption(
            "No limits were fitted to marks of this checkpoint yet: `odits annotations evaluate --use-limits` does it."
        )
    return Limits(float(limit)), sentence


def _find(evaluation: StoredEvaluation) -> InForce | None:
    try:
        return limits_in_force(evaluation.checkpoint, evaluation.reference)
    except OditsError as error:
        complain(str(error))
        return None


def _own(found: InForce) -> str:
    count = len(found.limits.words)
    return f", {count_of(count, 'word')} with a limit of {'its' if count == 1 else 'their'} own" if count else ""


def _origin(found: InForce) -> str:
    return f"{BESIDE} beside the checkpoint" if found.file.name == BESIDE else "kept on this machine"
