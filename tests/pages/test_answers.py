"""Answers of models: one for all who ask the same, in turn, and none that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from benchmarks._reliability.sessions import Figures, Session, server
from odits.core.errors import OditsError, StoppedError
from odits.core.stopping import step
from pages._shared.answers import Answers, Asked, Kind, held
from tests.pages.running import REPOSITORY

KIND = Kind("sums", 2)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def take(answers: Answers, asked: Asked) -> object:
    """Wait for an answer to its end."""
    assert asked.ended.wait(20)
    answers.leave(asked)
    return asked.result


def test_the_same_is_computed_once_and_kept() -> None:
    answers, computed, go_on = Answers(1), [], threading.Event()

    def work() -> str:
        computed.append(1)
        assert go_on.wait(20)
        return "sum"

    asked = [answers.ask(KIND, "a", work) for _ in range(5)]
    assert len({id(one) for one in asked}) == 1 and asked[0].waiting == 5
    go_on.set()
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda one: take(answers, one), asked)) == ["sum"] * 5
    assert computed == [1] and answers.kept(KIND, "a") == ("sum",)
    assert answers.kept(KIND, "b") is None


def test_what_nobody_used_for_longest_goes_first() -> None:
    answers = Answers(1)
    for key in "ab":
        answers.keep(KIND, key, key)
    assert answers.kept(KIND, "a")
    answers.keep(KIND, "c", "c")
    assert [bool(answers.kept(KIND, key)) for key in "abc"] == [True, False, True]
    model = Kind("models", 2, holds_model=True)
    answers.keep(model, "a", "a")
    answers.forget()
    assert answers.kept(KIND, "a") and not answers.kept(model, "a")


def test_those_who_wait_know_their_place_and_those_who_leave_give_it_up() -> None:
    answers, go_on, computed = Answers(1), threading.Event(), []
    began = threading.Event()

    def first() -> None:
        began.set()
        assert go_on.wait(20)

    at_work = answers.ask(KIND, "first", first)
    assert began.wait(20)
    waiting = [answers.ask(KIND, key, lambda key=key: computed.append(key)) for key in ("b", "c", "d")]  # type: ignore[misc]
    assert [answers.before(one) for one in (at_work, *waiting)] == [0, 1, 2, 3]
    answers.leave(waiting[1])
    assert [answers.before(one) for one in (waiting[0], waiting[2])] == [1, 2]
    go_on.set()
    for one in (at_work, waiting[0], waiting[2]):
        take(answers, one)
    assert computed == ["b", "d"], "what nobody waited for was not computed"


def test_work_at_which_nobody_looks_any_more_ends_at_its_next_step() -> None:
    answers, began, go_on, reached = Answers(1), threading.Event(), threading.Event(), []

    def long() -> None:
        began.set()
        assert go_on.wait(20)
        step()
        reached.append("the end")

    asked = answers.ask(KIND, "long", long)
    also = answers.ask(KIND, "long", long)
    assert began.wait(20)
    answers.leave(asked)
    assert not also.ended.is_set(), "somebody still waits"
    answers.leave(also)
    again = answers.ask(KIND, "long", lambda: "anew")
    go_on.set()
    assert take(answers, again) == "anew" and not reached
    assert isinstance(also.error, StoppedError)


def test_a_mistake_is_told_to_all_who_wait_and_not_kept() -> None:
    answers, tries = Answers(1), []

    def work() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OditsError("The picture is damaged.")
        return "well"

    asked = answers.ask(KIND, "a", work)
    take(answers, asked)
    assert str(asked.error) == "The picture is damaged."
    assert take(answers, answers.ask(KIND, "a", work)) == "well"


class Slow:
    """A work that goes on when it is told to, in steps, and notes how often it began and ended."""

    def __init__(self, answers: Answers, key: str) -> None:
        self.answers, self.key = answers, key
        self.began, self.go_on, self.times = threading.Event(), threading.Event(), [0, 0]

    def work(self) -> str:
        self.times[0] += 1
        self.began.set()
        while not self.go_on.wait(0.01):
            step()
        self.times[1] += 1
        return self.key

    def ahead(self) -> None:
        self.answers.on_the_spot(KIND, self.key, self.work)


def test_what_is_planned_is_computed_before_anybody_asks() -> None:
    answers = Answers(1)
    slow = Slow(answers, "next")
    slow.go_on.set()
    failing = lambda: 1 / 0  # noqa: E731
    answers.plan("Anna", [failing, slow.ahead])
    wait_until(lambda: answers.kept(KIND, "next") == ("next",))
    assert slow.times == [1, 1]


def test_a_question_comes_before_what_is_planned() -> None:
    answers = Answers(1)
    slow = Slow(answers, "next")
    answers.plan("Anna", [slow.ahead])
    assert slow.began.wait(20)
    held_up, go_on = answers.ask(KIND, "asked", lambda: go_on.wait(20) and "asked"), threading.Event()
    wait_until(lambda: not answers._ahead)
    assert slow.times == [1, 0], "it made way"
    slow.go_on.set()
    go_on.set()
    assert take(answers, held_up) == "asked"
    wait_until(lambda: answers.kept(KIND, "next") == ("next",))
    assert slow.times == [2, 1], "and began again when nobody waited"


def test_who_asks_for_what_is_computed_ahead_waits_for_just_that() -> None:
    answers = Answers(1)
    slow, again = Slow(answers, "next"), []
    answers.plan("Anna", [slow.ahead])
    assert slow.began.wait(20)
    asked = answers.ask(KIND, "next", lambda: again.append("anew"))
    other = answers.ask(KIND, "other", lambda: "other")
    answers.plan("Anna", [])
    assert take(answers, other) == "other", "nobody is held up"
    slow.go_on.set()
    assert take(answers, asked) == "next" and slow.times == [1, 1] and not again


def test_who_asks_too_late_to_hold_it_up_is_answered_in_turn() -> None:
    answers, stopped, asked = Answers(1), threading.Event(), threading.Event()

    def work() -> None:
        while True:
            try:
                step()
                time.sleep(0.01)
            except StoppedError:
                stopped.set()
                assert asked.wait(20)
                raise

    answers.plan("Anna", [lambda: answers.on_the_spot(KIND, "next", work)])
    wait_until(lambda: bool(answers._ahead))
    answers._ahead[0].work = lambda: "in turn"
    answers.plan("Anna", [])
    assert stopped.wait(20)
    late = answers.ask(KIND, "next", work)
    asked.set()
    assert take(answers, late) == "in turn"


def test_a_new_plan_ends_the_one_before() -> None:
    answers = Answers(1)
    before, after = Slow(answers, "before"), Slow(answers, "after")
    answers.plan("Anna", [before.ahead])
    assert before.began.wait(20)
    after.go_on.set()
    answers.plan("Anna", [after.ahead])
    wait_until(lambda: answers.kept(KIND, "after") == ("after",))
    assert before.times == [1, 0] and answers.kept(KIND, "before") is None


def test_nothing_is_computed_ahead_once_the_process_ends() -> None:
    answers = Answers(1)
    slow = Slow(answers, "next")
    answers.plan("Anna", [slow.ahead])
    assert slow.began.wait(20)
    answers.close()
    assert not answers._ahead_thread.is_alive() and slow.times == [1, 0]


def page() -> None:
    """A page with an answer."""
    import streamlit

    from pages._shared.answers import Kind, answer

    streamlit.text(answer(Kind("words", 2), "a", lambda: "an answer"))


def test_a_page_shows_an_answer_and_nothing_of_the_waiting() -> None:
    st.cache_resource.clear()
    app = AppTest.from_function(page, default_timeout=20).run()
    assert [item.value for item in app.text] == ["an answer"] and not app.caption
    assert held().kept(Kind("words", 2), "a") == ("an answer",)


SCRIPT = """
import pathlib
import time

import streamlit as st

from odits.core.stopping import step
from pages._shared.answers import Kind, answer

which = st.query_params["which"]


def work():
    if which == "quick":
        return "quick"
    pathlib.Path(f"{which}-began").touch()
    try:
        while True:
            step()
            time.sleep(0.02)
    finally:
        pathlib.Path(f"{which}-ended").touch()


st.text(answer(Kind("words", 2), which, work))
"""


@pytest.mark.slow
def test_whoever_moves_on_or_leaves_lets_the_work_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from websockets.asyncio.client import connect

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    (tmp_path / "script.py").write_text(SCRIPT)

    def is_there(name: str) -> bool:
        return (tmp_path / name).exists()

    async def use(address: str) -> None:
        async with connect(f"{address.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"]) as tab:  # type: ignore[list-item]
            session = Session(tab, Figures())
            with pytest.raises(TimeoutError):
                await session.ask({"which": "first"}, patience=0.1)
            await asyncio.to_thread(wait_until, lambda: is_there("first-began"))
            await session.ask({"which": "quick"})
            assert is_there("first-ended"), "one at a time: this one had to end before"
            with pytest.raises(TimeoutError):
                await session.ask({"which": "second"}, patience=0.1)
            await asyncio.to_thread(wait_until, lambda: is_there("second-began"))
        await asyncio.to_thread(wait_until, lambda: is_there("second-ended"))

    with server(tmp_path / "script.py", tmp_path) as (address, _):
        asyncio.run(use(address))
