"""One picture after the other with the words a model predicts, to be judged by keys: the browser holds the next ones.

The browser is ahead: it shows the next picture at once and keeps marks until this side has said that they are on the
disk. Each message of it holds all that is not saved yet, so one that is lost or comes twice does no harm.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from odits import __version__
from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.core.percent import percent
from odits.core.text import literal
from odits.data import ImageRecord
from odits.data.annotation_files import annotation_file
from odits.data.annotations import latest, read_marks
from odits.data.marks import Mark
from odits.data.records import Collection
from odits.evaluation.annotation_queue import FILTERS, ORDERS, PictureProgress, filtered, ordered, progress_of
from odits.evaluation.limits import Limits
from odits.evaluation.results import StoredEvaluation
from odits.figures.theme import data_uri
from pages._browse.batches import Outcome, save_outbox
from pages._browse.division import choose_division
from pages._browse.duplicates import choose_left_out
from pages._browse.limits import LINK as LIMITS_LINK
from pages._browse.limits import choose_limits
from pages._browse.proposals import LEAST, listed_words, propose
from pages._shared import state
from pages._shared.layout import NeededError
from pages._shared.pictures import open_picture, preview, short_name

MODES = {
    "open": "With the model's words and verdicts",
    "shuffled": "Blind: the model's words in shuffled order",
    "typed": "Blind: only what I type",
}
AHEAD, BEHIND = 4, 1
"""Pictures after and before the one in view that the browser holds."""
LINK = ("mode", "least", *LIMITS_LINK, "queue", "only", "once", "among", "twice", "seed", "opened")
_KEY, _QUEUE, _OUTCOME = "annotate", "odits-annotate-queue", "odits-annotate-outcome"
_STYLE = """
<style>
/* the picture gets the room that the page's title has elsewhere */
[data-testid="stMainBlockContainer"] {padding-top: 3.9rem; padding-bottom: 1rem}
[data-testid="stMainBlockContainer"] > div {gap: .5rem}
[data-testid="stMainBlockContainer"] h1 {font-size: 1.3rem; padding: 0}
div:has(> .st-key-page-heading) + [data-testid="stElementContainer"] {display: none}
</style>
"""
_COMPONENT = Path(__file__).parent / "component"

Marks = Mapping[str, Mapping[str, Mark]]
"""An annotator's marks by picture and word."""


@dataclass(frozen=True)
class Settings:
    """How words are put before the annotator.

    Attributes:
        mode: a key of MODES.
        least: presence probability from which a word is listed.
        limits: presence probabilities from which "right" is proposed.
        order: a key of `ORDERS`.
        only: a key of `FILTERS`.
        seed: of an order by chance.
        other: an evaluation of another checkpoint, for the order by dispute.
        left_out: names of pictures that do not come: near-duplicates, and what others mark.
        remarks: sentences on what these settings mean here; they make no difference.
    """

    mode: str = "open"
    least: float = LEAST
    limits: Limits = field(default_factory=Limits)
    order: str = "file"
    only: str = "all"
    seed: int = 1
    other: StoredEvaluation | None = None
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def distinct(self) -> tuple[Any, ...]:
        """What tells these settings from others."""
        other = self.other.key if self.other is not None else ""
        limits = self.limits.general, tuple(sorted(self.limits.words.items()))
        return self.mode, self.least, limits, self.order, self.only, self.seed, other, self.left_out


class Queue(NamedTuple):
    """Pictures in the order in which they are judged; it stays as it is while somebody goes through it.

    Attributes:
        key: tells it from every other queue.
        made_for: what it was made for.
        names: of the pictures.
        at: the picture to begin with.
    """

    key: str
    made_for: tuple[Any, ...]
    names: tuple[str, ...]
    at: str

    @property
    def digest(self) -> str:
        """Tells what the queue was made for, on any server."""
        return sha256_of(repr((self.made_for, self.names)))


@dataclass(frozen=True, eq=False)
class Task:
    """What is annotated.

    Attributes:
        evaluation: whose words are judged.
        pictures: by name.
        annotator: who judges.
        reference: of the model.
        settings: how words are shown.
    """

    evaluation: StoredEvaluation
    pictures: Mapping[str, ImageRecord]
    annotator: str
    reference: str
    settings: Settings

    def words(self, name: str) -> list[tuple[str, float]]:
        """Return the words of a picture that are judged, with their probabilities."""
        return listed_words(self.evaluation, self.settings.least)[_places(self.evaluation)[name]]


def marks_now(annotator: str, data: str) -> Marks:
    """Return an annotator's marks in a data set, read again only where there are new ones."""
    return _marks(str(annotation_file(annotator)), annotator, data, latest(annotator))


@st.cache_resource(max_entries=8, show_spinner=False)
def _marks(path: str, annotator: str, data: str, number: int) -> Marks:
    found: dict[str, dict[str, Mark]] = {}
    for about, mark in read_marks(annotator, data).items():
        found.setdefault(about.image, {})[about.word] = mark
    return found


def progress(task: Task, name: str, marks: Marks) -> PictureProgress:
    """Say how far a picture is marked."""
    return progress_of([word for word, _ in task.words(name)], marks.get(name, {}))


def is_done(task: Task, name: str, marks: Marks) -> bool:
    """Whether all listed words of a picture have a mark."""
    return progress(task, name, marks).done


def choose_settings(
    compare: Callable[[], StoredEvaluation | None],
    collection: Collection,
    annotator: str,
    evaluation: StoredEvaluation,
) -> Settings:
    """Ask, in menus above the picture, how words are put before the annotator, and in which order pictures come.

    Args:
        compare: draws a box for another checkpoint's evaluation, and returns it.
        collection: the pictures.
        annotator: who marks.
        evaluation: whose words are judged.
    """
    with st.popover("Queue", icon=":material/format_list_numbered:"):
        order = state.choose("Order", list(ORDERS), "queue", ORDERS.__getitem__)
        seed, other = state.number("seed", 999_999), None
        if order == "chance" or state.get("among"):
            seed = int(
                st.number_input(
                    "Seed", 1, 999_999, help="The same seed, the same order and division.", **state.bind("seed", seed)
                )
            )
        if order == "disagreement":
            other = compare()
        only = state.choose("Pictures", list(FILTERS), "only", FILTERS.__getitem__)
        repeats, on_repeats = choose_left_out(collection)
        names = [record.name for record in collection.records if record.name not in repeats]
        mine, on_division = choose_division(names, annotator)
    with st.popover("Words and mode", icon=":material/tune:"):
        mode = state.choose("What I see", list(MODES), "mode", MODES.__getitem__)
        least = st.slider(
            "List words from",
            0.01,
            0.95,
            help="The probability from which a word is listed; a picture's most probable word always is.",
            **state.bind("least", state.fraction("least", LEAST, 0.01, 0.95)),
        )
        limits, on_limits = choose_limits(evaluation) if mode == "open" else (Limits(), "")
    left_out = tuple(sorted(repeats | (set(names) - mine)))
    remarks = tuple(filter(None, (on_division, on_repeats, on_limits)))
    return Settings(mode, float(least), limits, order, only, seed, other, left_out, remarks)


def show_annotate(task: Task) -> None:
    """Draw the view: the component, and what it needs next."""
    st.html(_STYLE)
    marks = marks_now(task.annotator, task.evaluation.data)
    queue = queue_of(task, marks)
    sent = _sent()
    outcome: Outcome = st.session_state.get(_OUTCOME) or Outcome([], [], [], [])
    data = answer(task, queue, marks, sent, outcome)
    state.put("opened", data["at"])
    _component()(key=_KEY, data=data, on_sent_change=lambda: _receive(task))


def keep_alive() -> None:
    """Give the view a way to have the whole page run, outside any fragment.

    A server that was started again knows no fragment of a page that was open before: its messages go unanswered.
    """
    with st.container(key="lifeline", height=1, border=False):
        place = "position: absolute; left: 0; width: 1px !important; height: 1px; overflow: hidden"
        st.html(f"<style>.st-key-lifeline {{{place}}}</style>")
        _lifeline()(key="annotate-lifeline", on_called_change=lambda: None)


def _sent() -> Mapping[str, Any]:
    """Return the browser's last message; an empty one before there is any."""
    found = st.session_state.get(_KEY)
    sent = found.get("sent") if isinstance(found, Mapping) else None
    return sent if isinstance(sent, Mapping) else {}


def _receive(task: Task) -> None:
    st.session_state[_OUTCOME] = save_outbox(task.annotator, task.evaluation.data, _sent().get("outbox"))


def queue_of(task: Task, marks: Marks) -> Queue:
    """Return the queue of this session: a new one where something else is asked for, or the page was opened anew."""
    made_for = (task.evaluation.key, task.annotator, *task.settings.distinct)
    queue: Queue | None = st.session_state.get(_QUEUE)
    if queue is None or queue.made_for != made_for:
        names = _in_order(task, marks)
        if not names:
            raise NeededError("No picture passes this filter. Choose other pictures under “Queue”.")
        asked = str(state.get("opened") or "")
        first = next((name for name in names if not is_done(task, name, marks)), names[0])
        queue = Queue(uuid.uuid4().hex, made_for, names, asked if asked in names else first)
        st.session_state[_QUEUE] = queue
    return queue


def _in_order(task: Task, marks: Marks) -> tuple[str, ...]:
    """Return the names of the pictures that are asked for, in their order."""
    settings = task.settings
    if settings.order == "disagreement" and settings.other is None:
        raise NeededError("Choose another model under “Queue” to begin with what two checkpoints differ on.")
    evaluations = [one for one in (task.evaluation, settings.other) if one is not None]
    checkpoints = [
        {name: dict(words) for name, words in zip(one.images, listed_words(one, settings.least), strict=True)}
        for one in evaluations
    ]
    left_out = set(settings.left_out)
    images = [name for name in task.evaluation.images if name not in left_out]
    names = ordered(images, settings.order, checkpoints, settings.limits, settings.seed)
    return tuple(filtered(names, settings.only, {name: progress(task, name, marks) for name in names}))


def forget_queue() -> None:
    """Make the queue anew the next time it is asked for."""
    st.session_state.pop(_QUEUE, None)


def answer(task: Task, queue: Queue, marks: Marks, sent: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Put together what the browser needs: what was saved, and what it does not hold of the queue and the pictures.

    Args:
        task: what is annotated.
        queue: the pictures.
        marks: as they lie on the disk.
        sent: the browser's last message.
        outcome: what became of the marks in it.
    """
    evaluation = task.evaluation
    known = sent.get("queue") == queue.key
    at = str(sent.get("at")) if known and sent.get("at") in task.pictures else queue.at
    held = {name for name in sent.get("held", []) if isinstance(name, str)} if known else set()
    near = window(task, queue, at, marks)
    cards = {name: card_of(task, name) for name in near if name not in held}
    fresh = dict.fromkeys([*near, *(name for name in outcome.images if name in task.pictures)])
    whole = {
        "made_for": queue.digest,
        "names": queue.names,
        "done": "".join("01"[is_done(task, name, marks)] for name in queue.names),
    }
    words = evaluation.vocabulary
    return {
        "annotator": task.annotator,
        "data": evaluation.data,
        "mode": task.settings.mode,
        "queue": {"key": queue.key} if known else {"key": queue.key, **whole},
        "at": at,
        "cards": cards,
        "marks": {name: {word: _mark(mark) for word, mark in marks.get(name, {}).items()} for name in fresh},
        "suggestions": {"key": words.digest}
        if sent.get("suggestions") == words.digest
        else {"key": words.digest, "words": words.words},
        "shown": _shown(task),
        "echo": str(sent.get("echo", "")),
        "saved": outcome.saved,
        "refused": outcome.refused,
        "remarks": outcome.remarks,
    }


def window(task: Task, queue: Queue, at: str, marks: Marks) -> list[str]:
    """Return the pictures that the browser is to hold: the one in view first, those around it, the next unfinished."""
    place = queue.names.index(at) if at in queue.names else 0
    after = queue.names[place : place + AHEAD]
    before = queue.names[max(0, place - BEHIND) : place]
    unfinished = next((name for name in queue.names[place + 1 :] if not is_done(task, name, marks)), None)
    return list(dict.fromkeys([*after, *before, *([unfinished] if unfinished else [])]))


def card_of(task: Task, name: str) -> dict[str, Any]:
    """Return a picture as the browser shows it: its pixels, and the words that are judged."""
    picture, settings = task.pictures[name], task.settings
    shown = literal(short_name(name))
    try:
        opened = open_picture(picture)
        source = data_uri(preview(opened.digest, opened.image))
        width, height = opened.image.size
        found = propose(task.words(name), settings.limits, task.reference, opened, task.evaluation.vocabulary)
    except OditsError as error:
        words = [{"word": word, "probability": share, "proposed": "wrong"} for word, share in task.words(name)]
        return {"source": "", "width": 1, "height": 1, "shown": shown, "words": words, "problem": str(error)}
    words = [
        {
            "word": one.word,
            "shown": literal(one.word),
            "share": percent(one.probability),
            "probability": one.probability,
            "proposed": one.verdict,
            "outline": one.outline,
        }
        for one in found
    ]
    if settings.mode != "open":
        words = [_blind(word) for word in _shuffled(words, f"{name} {task.annotator}")]
    lexicon = list(dict.fromkeys(picture.lexicon))
    return {"source": source, "width": width, "height": height, "shown": shown, "words": words, "lexicon": lexicon}


def _blind(word: Mapping[str, Any]) -> dict[str, Any]:
    return {key: word[key] for key in ("word", "shown", "outline")}


def _shuffled(words: Sequence[dict[str, Any]], seed: str) -> list[dict[str, Any]]:
    """Shuffle words, each picture otherwise, and always the same for one annotator."""
    return sorted(words, key=lambda word: sha256_of(f"{seed} {word['word']}"))


def _mark(mark: Mark) -> dict[str, Any]:
    return {"verdict": mark.verdict, "note": mark.note, "added": mark.added, "box": mark.box}


def _shown(task: Task) -> dict[str, str]:
    """Return what is on screen beside each word; a blind annotator sees no model."""
    evaluation, version = task.evaluation, {"version": __version__}
    if task.settings.mode != "open":
        return version
    names = {"model": evaluation.model, "checkpoint": evaluation.checkpoint}
    return {**names, "vocabulary": evaluation.vocabulary.digest, **version}


@st.cache_resource(max_entries=8, show_spinner=False)
def _place_table(key: str, _evaluation: StoredEvaluation) -> dict[str, int]:
    return {name: place for place, name in enumerate(_evaluation.images)}


def _places(evaluation: StoredEvaluation) -> dict[str, int]:
    return _place_table(evaluation.key, evaluation)


@cache
def _source() -> tuple[str, str]:
    scripts = ("outbox.js", "keys.js", "annotator.js", "view.js", "main.js")
    script = "\n".join((_COMPONENT / name).read_text("utf-8") for name in scripts)
    return script, (_COMPONENT / "annotate.css").read_text("utf-8")


@st.cache_resource(show_spinner=False)
def _lifeline() -> Any:
    script = (_COMPONENT / "lifeline.js").read_text("utf-8")
    return st.components.v2.component("odits_annotate_lifeline", js=script)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    script, style = _source()
    return st.components.v2.component("odits_annotate", js=script, css=style)
