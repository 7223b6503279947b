"""Answers of models: computed once for all who ask the same, in turn, and only while somebody waits for them.

A page asks by `answer`. What was computed before is there at once. Else the work takes a place in one queue for all
sessions; those who wait see how many are before them. Whoever moves on (another picture, another page, a closed tab)
waits no longer, and work that nobody waits for is taken out of the queue, or ends at its next step where it is begun.

What a person will most likely ask next is computed ahead (`ahead`), while nobody waits for anything: it makes way for
every question at its next step, and whoever asks for just that waits for it with what is done already.
"""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st
from cachetools import LRUCache
from streamlit.runtime.scriptrunner import get_script_run_ctx

from odits.core.device import cores
from odits.core.errors import StoppedError
from odits.core.stopping import stoppable
from pages._shared import memory

Result = TypeVar("Result")

_LOOK_S = 0.25
"""Seconds after which one who waits looks whether they have been sent somewhere else."""
_CORES_EACH = 4
"""A model uses several cores by itself: so many of them for each answer that is computed at the same time."""
_LAST_STEP_S = 20.0
"""Seconds that a step of what is computed ahead may take when the process ends."""
_PLANS = 32
"""Sessions for which answers are computed ahead, those that asked last."""


@dataclass(frozen=True)
class Kind:
    """A kind of answer.

    Attributes:
        name: tells it from the others.
        most: so many of them are kept, those that were used last.
        holds_model: whether they hold on to the model, and go where models are let go.
    """

    name: str
    most: int
    holds_model: bool = False


class Asked:
    """An answer that somebody waits for.

    Attributes:
        ended: set when there is a result, or an error.
        result: of the work.
        error: what went wrong; it is raised for everybody who waits, and not kept.
        waiting: how many wait.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.ended = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiting = 0


class Answers:
    """The answers of a server, and the queue of those that are still to be computed.

    Args:
        at_once: how many are computed at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._changed = threading.Condition()
        self._kept: dict[Kind, LRUCache[Hashable, Any]] = {}
        self._asked: dict[tuple[Kind, Hashable], Asked] = {}
        self._queue: deque[tuple[Kind, Hashable]] = deque()
        self._at_work = 0
        self._workers = threading.local()
        self._plans: OrderedDict[str, deque[Callable[[], object]]] = OrderedDict()
        self._ahead: list[Asked] = []  # what the thread that computes ahead is at, each part of the one before
        for number in range(at_once):
            threading.Thread(target=self._serve, name=f"answers-{number}", daemon=True).start()
        self._closed = False
        self._ahead_thread = threading.Thread(target=self._compute_ahead, name="answers-ahead", daemon=True)
        self._ahead_thread.start()
        atexit.register(self.close)

    def kept(self, kind: Kind, key: Hashable) -> tuple[Any] | None:
        """Return what was computed before, in a tuple; None where it was not, or not lately."""
        with self._changed:
            store = self._kept.get(kind)
            return (store[key],) if store is not None and key in store else None

    def keep(self, kind: Kind, key: Hashable, result: Any) -> None:
        """Keep a result; that of its kind which nobody used for the longest time may go."""
        with self._changed:
            self._kept.setdefault(kind, LRUCache(kind.most))[key] = result

    def ask(self, kind: Kind, key: Hashable, work: Callable[[], Any]) -> Asked:
        """Wait for an answer with all who do already, or be the first; `leave` has to be called in the end."""
        with self._changed:
            asked = self._asked.get((kind, key))
            if asked is None:
                asked = self._asked[kind, key] = Asked(work)
                self._queue.append((kind, key))
                self._changed.notify_all()
            asked.waiting += 1
            return asked

    def leave(self, asked: Asked) -> None:
        """Wait no longer. The last who leaves takes the work out of the queue, or lets it end at its next step."""
        with self._changed:
            asked.waiting -= 1
            if not asked.waiting and not asked.ended.is_set():
                place = next(place for place, one in self._asked.items() if one is asked)
                del self._asked[place]  # whoever asks from now on begins anew
                if place in self._queue:
                    self._queue.remove(place)

    def before(self, asked: Asked) -> int:
        """Return how many answers come before this one; 0 where it is being computed."""
        with self._changed:
            for place, name in enumerate(self._queue):
                if self._asked[name] is asked:
                    return place + self._at_work
            return 0

    def is_worker(self) -> bool:
        """Whether this thread computes an answer: what that needs is computed on the spot."""
        return getattr(self._workers, "here", False)

    def on_the_spot(self, kind: Kind, key: Hashable, work: Callable[[], Any]) -> Any:
        """Compute what the work of this thread needs, and keep it."""
        if getattr(self._workers, "ahead", False):
            return self._one_ahead(kind, key, work)
        result = work()
        self.keep(kind, key, result)
        return result

    def plan(self, who: str, works: Sequence[Callable[[], object]]) -> None:
        """Compute answers before a person asks for them, in place of what was planned for them before.

        Args:
            who: the person's session.
            works: each asks by `answer` for what it needs, which is kept.
        """
        with self._changed:
            self._plans.pop(who, None)
            if works:
                self._plans[who] = deque(works)
            if len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
            self._changed.notify_all()

    def forget(self) -> None:
        """Let go of all answers that hold on to a model."""
        with self._changed:
            for kind in [kind for kind in self._kept if kind.holds_model]:
                del self._kept[kind]

    def close(self) -> None:
        """Compute nothing ahead any more, and wait until it has stopped: a process must not end amid a network."""
        with self._changed:
            self._closed = True
            self._plans.clear()
            self._changed.notify_all()
        self._ahead_thread.join(_LAST_STEP_S)

    def _serve(self) -> None:
        self._workers.here = True
        while True:
            with self._changed:
                while not self._queue:
                    self._changed.wait()
                kind, key = self._queue.popleft()
                asked = self._asked[kind, key]
                self._at_work += 1
            self._compute(asked)
            memory.leave_out()  # the first answer loads libraries and networks
            with self._changed:
                self._at_work -= 1
                if self._asked.get((kind, key)) is asked:
                    del self._asked[kind, key]
                if asked.error is None:
                    self.keep(kind, key, asked.result)
                asked.ended.set()
                self._changed.notify_all()
            del asked  # a thread that waits for work holds on to nothing

    def _compute(self, asked: Asked) -> None:
        try:
            with stoppable(lambda: not asked.waiting):
                asked.result = asked.work()
        except BaseException as error:  # raised for those who wait: this thread has to live on
            asked.error = error

    def _compute_ahead(self) -> None:
        """Compute what is planned while nobody waits for an answer."""
        self._workers.here = self._workers.ahead = True
        while True:
            with self._changed:
                while not self._closed and (not self._plans or self._queue or self._at_work):
                    self._changed.wait()
                if self._closed:
                    return
                who, plan = next(iter(self._plans.items()))
                work = plan.popleft()
            done = self._try_ahead(work, who, plan)
            memory.leave_out()
            with self._changed:
                if not done:
                    plan.appendleft(work)
                if self._plans.get(who) is plan:
                    self._plans.move_to_end(who)  # the others' turn
                    if not plan:
                        del self._plans[who]
            del work, plan

    def _try_ahead(self, work: Callable[[], object], who: str, plan: object) -> bool:
        """Do a work ahead; return False where it has to be begun again, since somebody else's question came first."""

        def is_unwanted() -> bool:
            if any(one.waiting > 1 for one in self._ahead):  # a person asks for just this by now
                return False
            return bool(self._queue) or bool(self._at_work) or self._plans.get(who) is not plan

        try:
            with stoppable(is_unwanted):
                work()
        except StoppedError:
            return False
        except BaseException:  # who asks for it is told
            return True
        return True

    def _one_ahead(self, kind: Kind, key: Hashable, work: Callable[[], Any]) -> Any:
        """Compute an answer ahead so that others can wait for it, and keep it. Raises StoppedError."""
        with self._changed:
            if (kind, key) in self._asked:  # somebody was sooner
                raise StoppedError("Stopped.")
            asked = self._asked[kind, key] = Asked(work)
            asked.waiting = 1
            self._ahead.append(asked)
        try:
            asked.result = work()
        except BaseException as error:
            asked.error = error
        with self._changed:
            self._ahead.remove(asked)
            asked.waiting -= 1
            if asked.waiting and isinstance(asked.error, StoppedError):  # somebody came too late to hold it up
                asked.error = None
                self._queue.append((kind, key))
                self._changed.notify_all()
                raise StoppedError("Stopped.")
            del self._asked[kind, key]
            if asked.error is None:
                self.keep(kind, key, asked.result)
            asked.ended.set()
        if asked.error is not None:
            raise asked.error
        return asked.result


@st.cache_resource(show_spinner=False)
def held() -> Answers:
    """Hold the answers of this server."""
    return Answers(max(1, cores() // _CORES_EACH))


def answer(kind: Kind, key: Hashable, work: Callable[[], Result]) -> Result:
    """Return an answer, computed once for all who ask the same.

    Args:
        kind: of answer.
        key: what tells it from others of its kind: digests of the picture, the model, the vocabulary.
        work: computes it, in another thread: it must not draw.

    Raises:
        OditsError: what `work` raises.
    """
    answers = held()
    if (kept := answers.kept(kind, key)) is not None:
        found: Result = kept[0]
        return found
    if answers.is_worker():
        result: Result = answers.on_the_spot(kind, key, work)
        return result
    asked = answers.ask(kind, key, work)
    try:
        _wait(answers, asked)
    finally:
        answers.leave(asked)
    if asked.error is not None:
        raise asked.error
    result = asked.result
    return result


def ahead(works: Sequence[Callable[[], object]]) -> None:
    """Let what this session will most likely ask for next be computed while nobody waits for anything.

    Args:
        works: in the order in which they are wanted; each asks by `answer`, draws nothing and knows nothing of the
            session. What was planned for the session before is given up.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        held().plan(context.session_id, works)


def _wait(answers: Answers, asked: Asked) -> None:
    """Wait, and say how many come before; where the person has moved on, drawing ends this run of the page."""
    if get_script_run_ctx(suppress_warning=True) is None:  # a job: it says by itself how far it is
        asked.ended.wait()
        return
    place = st.empty()
    while not asked.ended.wait(_LOOK_S):
        before = answers.before(asked)
        if before:
            place.caption(f"{before} before you", width="content")
        else:
            place.empty()
    place.empty()
