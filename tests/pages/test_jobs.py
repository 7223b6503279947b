"""Long work that pages offer: one run however often it is started, seen from every tab, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from odits.core.errors import OditsError
from pages._shared.jobs import Job, duration


class Work:
    """Work that waits for the test: the page and the test share it through the process."""

    def __init__(self) -> None:
        self.began, self.go_on, self.runs, self.fails, self.problems = threading.Event(), threading.Event(), 0, "", []

    def __call__(self, job: Job) -> str:
        self.runs += 1
        job.report(1, 3)
        self.began.set()
        assert self.go_on.wait(20)
        job.report(2, 3)
        if self.fails:
            raise OditsError(self.fails)
        job.problems = self.problems
        return "made"


WORK = Work()


@pytest.fixture(autouse=True)
def work() -> Iterator[Work]:
    """Work that has not begun, and a server without jobs."""
    global WORK
    WORK = Work()
    st.cache_resource.clear()
    yield WORK
    WORK.go_on.set()


def page() -> None:
    """A page that offers the work and says what it made."""
    import streamlit

    from pages._shared import jobs
    from tests.pages import test_jobs

    task = jobs.Task("work", "Do it", "Doing it", test_jobs.WORK, done="It is done.", refresh=test_jobs.count_refresh)
    streamlit.text(f"made: {jobs.result_of('work')}")
    ended = jobs.offer(task, by_itself=streamlit.query_params.get("by-itself") == "yes")
    streamlit.text(f"ended: {ended.state if ended else None}")


REFRESHED: list[str] = []


def count_refresh() -> None:
    """Note that the page was asked to look again."""
    REFRESHED.append("work")


def tab(**address: str) -> AppTest:
    """A fresh browser tab."""
    app = AppTest.from_function(page, default_timeout=30)
    for name, value in address.items():
        app.query_params[name.replace("_", "-")] = value
    return shown(app)


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return shown(app)


def finish(app: AppTest, work: Work) -> AppTest:
    """Let the work end; the page then is as it is drawn the next time."""
    from pages._shared import jobs

    work.go_on.set()
    jobs._jobs()["work"].wait(20)
    return shown(app)


def texts(app: AppTest) -> list[str]:
    return [item.value for item in app.text]


def test_a_button_then_progress_then_what_came_of_it(work: Work) -> None:
    REFRESHED.clear()
    app = tab()
    assert labels(app) == ["Do it"] and texts(app) == ["made: None", "ended: None"]
    app = press(app, "Do it")
    assert work.began.wait(20)
    app = shown(app)
    assert labels(app) == ["Stop"] and "Doing it" in str(app.get("progress")[0].proto)
    app = finish(app, work)
    assert [item.value for item in app.success] == ["It is done."]
    assert texts(app) == ["made: made", "ended: done"], "what the page looks up is there when the end is told"
    assert REFRESHED == ["work"]
    assert not shown(app).success, "told once"


def test_started_twice_it_runs_once_and_the_second_tab_shows_it(work: Work) -> None:
    first, second = tab(), tab()
    press(first, "Do it")
    assert work.began.wait(20)
    press(second, "Do it")
    assert work.runs == 1 and labels(second) == ["Stop"]
    reloaded = tab()
    assert labels(reloaded) == ["Stop"], "a page that is loaded again shows the job"
    finish(first, work)
    assert [item.value for item in shown(second).success] == ["It is done."]
    assert [item.value for item in shown(reloaded).success] == ["It is done."]
    assert not tab().success, "a tab that never saw it is not told"


def test_a_visitor_after_the_end_sees_what_was_made_though_others_looked_before(work: Work) -> None:
    first = tab()
    press(first, "Do it")
    assert work.began.wait(20)
    from pages._shared import jobs

    work.go_on.set()
    jobs._jobs()["work"].wait(20)  # nobody looks on while it ends
    REFRESHED.clear()
    later = tab()
    assert REFRESHED == ["work"] and not later.success
    shown(later)
    assert REFRESHED == ["work"], "once a session"


def test_stopping_from_another_tab(work: Work) -> None:
    first = tab()
    press(first, "Do it")
    assert work.began.wait(20)
    second = press(tab(), "Stop")
    finish(first, work)
    assert "Stopped" in first.info[0].value and "Stopped" in shown(second).info[0].value
    assert labels(first) == ["Do it"]


def test_a_failure_is_a_sentence_and_images_left_out_are_named(work: Work) -> None:
    app = tab()
    press(app, "Do it")
    work.fails = "The disk is full."
    app = finish(app, work)
    assert [item.value for item in app.error] == ["The disk is full."] and labels(app) == ["Do it"]
    work.go_on.clear()
    work.fails, work.problems = "", ["a.png can't be opened.", "b_1.png can't be opened."]
    press(app, "Do it")
    app = finish(app, work)
    assert app.warning[0].value == (
        "2 images could not be read:\n\n- a.png can't be opened.\n- b\\_1.png can't be opened."
    )


def test_what_begins_by_itself_begins_once(work: Work) -> None:
    work.fails = "No."
    work.go_on.set()
    app = tab(by_itself="yes")
    for _ in range(40):
        if app.error:
            break
        time.sleep(0.1)
        app = shown(app)
    assert labels(shown(app)) == ["Do it"] and work.runs == 1


def test_a_job_is_stopped_at_its_next_report() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        job.report(1, 3)
        begun.set()
        go_on.wait(20)
        job.report(2, 3)

    job = Job("counting", work)
    assert begun.wait(20)
    assert (job.state, job.done, job.of) == ("running", 1, 3)
    job.stop()
    go_on.set()
    job.wait(20)
    assert (job.state, job.done, job.line()) == ("stopped", 1, "Stopping …")


def test_what_goes_wrong_in_a_job_is_one_sentence() -> None:
    def mistaken(job: Job) -> None:
        raise OditsError("The disk is full.")

    def broken(job: Job) -> None:
        raise ValueError("secret detail")

    told = []
    for work in (mistaken, broken):
        job = Job("working", work)
        job.wait(20)
        told.append((job.state, job.message))
    assert told[0] == ("failed", "The disk is full.")
    assert told[1][0] == "failed" and "ValueError" in told[1][1] and "secret" not in told[1][1]


def test_times_for_people() -> None:
    assert [duration(seconds) for seconds in (0.2, 40, 200, 7300)] == ["1 s", "40 s", "3 min", "2 h"]


def test_a_job_that_exits_has_failed_and_can_be_started_again() -> None:
    def leave(job: Job) -> None:
        raise SystemExit(1)

    job = Job("Leaving", leave)
    job.wait(20)
    assert job.state == "failed" and "SystemExit" in job.message
