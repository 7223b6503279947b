"""Where annotators differ: a third person sees the picture and what each of them said, and decides."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from PIL import ImageDraw

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.data import ImageRecord
from odits.data.adjudication import Dispute, decide, disputes, read_everybody
from odits.data.annotations import change_marks
from odits.data.marks import JUDGEMENTS, MAX_NOTE, Box
from odits.evaluation.limits import LIMIT
from pages._browse.places import read_places
from pages._browse.review import ICONS
from pages._shared import serving, state
from pages._shared.keyboard import keys
from pages._shared.layout import complain, count_of, escape_markdown, guarded, panes
from pages._shared.pictures import Opened, open_picture, short_name, show_picture

LINK = ("dispute", "decided")
KEYS = {
    **dict.fromkeys(("ArrowLeft", "k"), "previous"),
    **dict.fromkeys(("ArrowRight", "j"), "next"),
    **{"r": "right", "w": "wrong", "u": "unsure", "x": "none"},
}
_PROBLEM = "odits-deciding-problem"
_WHICH = {"open": "Not decided yet", "all": "All"}


def show_adjudication(annotator: str | None, data: str, pictures: Mapping[str, ImageRecord]) -> None:
    """Show the words of a data set on which annotators differ, one after the other, to be decided.

    Args:
        annotator: who decides; None while no name is given.
        data: name of the data set.
        pictures: its pictures by name; those that are gone are not shown, their marks stay.
    """
    with guarded():
        found = disputes(*read_everybody(data))
        settled = sum(one.decision is not None for one in found)
        which = state.choose_part("Which", _WHICH, "decided")
        shown = [one for one in found if which == "all" or one.decision is None]
        if found:
            st.progress(settled / len(found), f"{settled:,} of {count_of(len(found), 'dispute')} decided")
        if problem := st.session_state.pop(_PROBLEM, None):
            complain(problem)
        if not shown:
            st.info(
                "Every dispute is decided."
                if found
                else "No two annotators differ on a word of this data set. When two have marked the same pictures, a "
                "third decides here what they differ on.",
                icon=":material/handshake:",
            )
            return
        place = state.number("dispute", len(shown)) - 1
        state.put("dispute", place + 1)
        keys("adjudicate-keys", KEYS, lambda action: act(annotator, shown, action))
        _show(annotator, shown, place, pictures)


def act(annotator: str | None, shown: list[Dispute], action: str) -> None:
    """Do what a key or a button asks for: "previous", "next", a verdict, or "none" to take one's decision back."""
    place = state.number("dispute", len(shown)) - 1
    if action in ("previous", "next"):
        step = 1 if action == "next" else -1
        state.act("dispute", min(max(place + step, 0), len(shown) - 1) + 1)
        return
    one = shown[place]
    if annotator is None:
        st.session_state[_PROBLEM] = "Give your name on the left first: decisions are stored under it."
        return
    try:
        serving.require_part(annotator, "reviewer")
        note = str(st.session_state.get(_note_key(one), ""))
        change_marks(annotator, [decide(one, None if action == "none" else action, note)])
    except OditsError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    if action != "none" and state.get("decided") == "all":
        state.act("dispute", min(place + 1, len(shown) - 1) + 1)  # of the undecided the next one takes its place


def _note_key(one: Dispute) -> str:
    return f"decision-{one.about.image}-{one.about.word}"


def _show(annotator: str | None, shown: list[Dispute], place: int, pictures: Mapping[str, ImageRecord]) -> None:
    one = shown[place]
    with st.container(horizontal=True, vertical_alignment="center", key="stepper", gap="small"):
        for title, action, end in (("Previous", "previous", 0), ("Next", "next", len(shown) - 1)):
            st.button(title, key=f"go-{action}", disabled=place == end, on_click=act, args=(annotator, shown, action))
        name = escape_markdown(short_name(one.about.image))
        st.markdown(f"**{name}** :small[{place + 1:,} of {len(shown):,}]", width="content")
    with panes("dispute") as row:
        with row.container(key="pane-dispute"), guarded():
            picture = pictures.get(one.about.image)
            if picture is None:
                st.info("This picture is no longer in the data set; its marks are kept.", icon=":material/hide_image:")
            else:
                opened = open_picture(picture)
                box = _box_of(one, opened)
                show_picture(opened if box is None else _framed(opened, box), picture, "dispute")
        with row.container(key="pane-verdicts"), guarded():
            _show_verdicts(one)
            _ask(annotator, shown, one)


def _box_of(one: Dispute, opened: Opened) -> Box | None:
    """Return where the word stands: as somebody drew it, else as the chosen model read it; None where nobody knows."""
    drawn = next((mark.box for mark in one.marks.values() if mark.box is not None), None)
    if drawn is not None:
        return drawn
    outlines, _ = read_places([one.about.word], LIMIT, str(state.get("model") or ""), opened)
    if one.about.word not in outlines:
        return None
    xs, ys = zip(*outlines[one.about.word], strict=True)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _framed(opened: Opened, box: Box) -> Opened:
    """Draw a word's box into a copy of the picture."""
    image = opened.image.copy()
    left, top, width, height = box
    thick = max(2, image.width // 300)
    draw = ImageDraw.Draw(image)
    draw.rectangle(
        (left - thick, top - thick, left + width + thick, top + height + thick), outline="black", width=3 * thick
    )
    draw.rectangle((left, top, left + width, top + height), outline="#ffd54a", width=thick)
    return Opened(image, f"{opened.digest} {box}")


def _show_verdicts(one: Dispute) -> None:
    st.subheader(escape_markdown(one.about.word), anchor=False)
    for name, mark in one.marks.items():
        seen = mark.shown
        if seen.probability is not None:
            context = f" · saw {escape_markdown(seen.model)}: {percent(seen.probability)}"
        else:
            context = " · typed it" if mark.added else " · saw no prediction"
        note = f"  \n:small[{escape_markdown(mark.note)}]" if mark.note else ""
        st.markdown(f"{ICONS[mark.verdict]} **{escape_markdown(name)}**: {mark.verdict} :small[{context}]{note}")
    if one.decision is not None:
        who, decision = one.decision
        st.success(f"Decided by {escape_markdown(who)}: {decision.verdict}", icon=":material/gavel:")


def _ask(annotator: str | None, shown: list[Dispute], one: Dispute) -> None:
    decided = one.decision[1].verdict if one.decision is not None else ""
    with st.container(horizontal=True, key="decide"):
        for verdict in JUDGEMENTS:
            st.button(
                verdict.capitalize(),
                key=f"decide-{verdict}",
                icon=ICONS[verdict],
                type="primary" if verdict == decided else "secondary",
                on_click=act,
                args=(annotator, shown, verdict),
            )
        st.button("Take back", key="decide-none", disabled=not decided, on_click=act, args=(annotator, shown, "none"))
    st.text_input("Why", key=_note_key(one), max_chars=MAX_NOTE, placeholder="kept with the decision")
    st.caption("Keys: **R** right · **W** wrong · **U** unsure · **X** take back · **← →** another word")
