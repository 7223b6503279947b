"""What one session may take of a server: pictures, answers in a minute, long jobs, and a place in their queue."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from odits.core.serving import VARIABLE
from pages._shared import jobs, serving
from pages._shared.serving import Person


@pytest.fixture(autouse=True)
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server with small limits, at which an owner has signed in (how they do is tested with a real provider)."""
    (tmp_path / "serve.toml").write_text(
        'address = "https://x.example"\nowners = ["ada@x.example"]\n'
        "held_megabytes = 1\nanswers_per_minute = 10\njobs_at_once = 1\n"
    )
    monkeypatch.setenv(VARIABLE, str(tmp_path / "serve.toml"))
    monkeypatch.setattr(serving, "person", lambda: Person("ada@x.example", "owner"))
    st.cache_resource.clear()
    WORK.clear()
    yield
    for work in WORK.values():
        work.set()


def picture(seed: int) -> bytes:
    """A picture of 400,000 bytes."""
    pixels = np.random.default_rng(seed).integers(0, 255, (365, 365, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


FILES: list[tuple[str, bytes]] = []


def uploads() -> None:
    """A page on which files were added."""
    import streamlit

    from pages._shared import datasets
    from tests.pages import test_served

    datasets.add_uploads(test_served.FILES)
    datasets.show_upload_problems()
    streamlit.text(", ".join(one.name for one in datasets.pictures_of("upload", None)))


def test_pictures_beyond_what_a_session_may_hold_are_named_and_the_others_stay() -> None:
    FILES[:] = [(f"{seed}.png", picture(seed)) for seed in (1, 2, 3)] + [
        ("broken.png", b"\x89PNG"),
        ("small.png", _small()),
    ]
    app = AppTest.from_function(uploads, default_timeout=30).run()
    assert app.text[0].value == "1.png, 2.png, small.png"
    problems = [item.value for item in app.error]
    assert "that would be more than 1 MB of images in all." in problems[0] and "3.png" in problems[0].replace("\\", "")
    assert len(problems) == 2 and "broken.png" in problems[1]


def _small() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(stream, "PNG")
    return stream.getvalue()


def upload() -> None:
    """What the server does with files that arrive: before anybody is let in, then of somebody who may hold 10 bytes."""
    import streamlit
    from starlette.exceptions import HTTPException
    from streamlit.runtime.scriptrunner import get_script_run_ctx
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    from pages._shared import uploads

    context = get_script_run_ctx()
    assert context is not None
    manager = context.uploaded_file_mgr

    def send(name: str, size: int) -> None:
        try:
            manager.add_file(context.session_id, UploadedFileRec(name, name, "image/png", bytes(size)))
            streamlit.text(f"{name} taken")
        except HTTPException as refused:
            streamlit.text(f"{name} {refused.status_code}")

    uploads.bound(10, is_let_in=False)
    send("a", 1)
    uploads.bound(10, is_let_in=True)
    for name, size in (("b", 6), ("c", 6), ("b", 9), ("d", 1)):
        send(name, size)
    streamlit.text(f"refused: {', '.join(uploads.release(()))}")
    uploads.bound(10, is_let_in=False)
    send("e", 1)


def test_files_that_arrive_are_held_to_what_a_session_may_hold_and_to_those_let_in() -> None:
    app = AppTest.from_function(upload, default_timeout=30).run()
    assert not app.exception
    said = [item.value for item in app.text]
    assert said == ["a 403", "b taken", "c 413", "b taken", "d taken", "refused: c", "e 403"]


def marked() -> None:
    """A mark by somebody who signed in, by somebody else, and a decision that takes a reviewer."""
    import streamlit

    from odits.core.errors import OditsError
    from pages._shared import serving

    for name, role in (("ada@x.example", "owner"), ("bo@x.example", "annotator")):
        try:
            serving.require_part(name, role)  # type: ignore[arg-type]
            streamlit.text(f"{name} may")
        except OditsError as error:
            streamlit.text(str(error))


def test_marks_are_refused_of_anybody_but_who_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [item.value for item in AppTest.from_function(marked, default_timeout=30).run().text]
    assert said[0] == "ada@x.example may" and "was not saved" in said[1]
    monkeypatch.setattr(serving, "person", lambda: Person("ada@x.example", "annotator"))
    assert "was not saved" in AppTest.from_function(marked, default_timeout=30).run().text[0].value


def plain() -> None:
    """A page of the explorer."""
    import streamlit

    from pages._shared.layout import page

    with page("Words", "A test."):
        streamlit.text("the answer")


def test_too_many_answers_in_a_minute_are_one_sentence_and_then_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(plain, default_timeout=30)
    for _ in range(10):
        assert "the answer" in [item.value for item in app.run().text]
    app.run()
    assert "the answer" not in [item.value for item in app.text]
    assert app.warning[0].value.startswith("That was more than 10 answers in a minute")
    later = time.monotonic() + 61
    monkeypatch.setattr(serving.time, "monotonic", lambda: later)
    assert "the answer" in [item.value for item in app.run().text] and not app.warning


WORK: dict[str, threading.Event] = {}


def offers() -> None:
    """A page with a long job, whose name is in the address."""
    import threading

    import streamlit

    from pages._shared import jobs
    from tests.pages import test_served

    name = streamlit.query_params["job"]
    event = test_served.WORK.setdefault(name, threading.Event())
    task = jobs.Task(name, f"Do {name}", f"Doing {name}", lambda job: event.wait(30), done=f"{name} is done.")
    jobs.offer(task)


def open_offer(name: str) -> AppTest:
    """A tab that shows the job of that name."""
    app = AppTest.from_function(offers, default_timeout=30)
    app.query_params["job"] = name
    return app.run()


def test_long_jobs_wait_in_a_queue_and_a_session_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = ["ada"]
    monkeypatch.setattr(jobs, "_session", lambda: sessions[0])
    first = open_offer("a")
    first.button(key="start-a").click().run()
    assert first.button(key="stop-a")
    another = open_offer("b")
    another.button(key="start-b").click().run()
    assert [item.value for item in another.warning] == ["One long job at a time: another one of yours is at work."]
    sessions[0] = "bo"
    second = open_offer("b")
    second.button(key="start-b").click().run()
    waiting = jobs._jobs()["b"]
    assert waiting.line() == "Doing b: 1 before you" and waiting.state == "running"
    sessions[0] = "cy"
    third = open_offer("c")
    third.button(key="start-c").click().run()
    assert jobs._jobs()["c"].line() == "Doing c: 2 before you"
    second.button(key="stop-b").click().run()
    _until(lambda: waiting.state == "stopped")
    assert jobs._jobs()["c"].line() == "Doing c: 1 before you"
    WORK["a"].set()
    _until(lambda: jobs._jobs()["a"].state == "done")
    _until(lambda: jobs._jobs()["c"].line() == "Doing c")
    WORK["c"].set()
    _until(lambda: jobs._jobs()["c"].state == "done")


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)
