"""Long work beside the page: `offer` draws its button, its progress with the time left, Stop, and what came of it.

A job belongs to the server, not to the page that started it: it goes on whatever the user looks at, a reload or another
tab shows it again, and it runs once however often it is started.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from odits.core.errors import OditsError, StoppedError
from pages._shared import announcer, memory, serving
from pages._shared.layout import bullets, count_of, escape_markdown

RESUMES = "Stopped. What is done is stored: the button goes on from there."
"""Said of a stopped job that repeats nothing when it is started again."""

_ENDED = 64  # jobs that have ended are remembered with their results, the latest ones
_WATCHED, _TO_REPORT, _ASKED, _BEGUN = "odits-jobs-watched", "odits-jobs-ended", "odits-job-asked-", "odits-jobs-begun"
_NOTED = "odits-jobs-noted"  # the latest ended job of each key that this session has looked up the results of
_UNLIMITED = 1_000  # jobs at a time where the explorer is not served
_serials = itertools.count()


@dataclass(frozen=True)
class Task:
    """Work that a page offers.

    Attributes:
        key: identifies the work: of all jobs with the same key one runs at a time.
        button: label of the button that starts it.
        title: what is being done, above the progress bar.
        run: does the work in a thread of its own and returns its result. It must not draw; it calls `Job.report`.
        note: beside the button.
        done: said when it has ended well; by default what it made is all that shows.
        stopped: said when the user has stopped it.
        refresh: clears what was looked up before the job ended; called before the page is drawn again, in each session
            that had begun to look.
        icon: of the button.
        primary: whether the button stands out.
        for_all: whether everybody may start it where the explorer is served; otherwise its owner.
    """

    key: str
    button: str
    title: str
    run: Callable[[Job], Any]
    note: str = ""
    done: str = ""
    stopped: str = RESUMES
    refresh: Callable[[], Any] | None = None
    icon: str = ":material/play_circle:"
    primary: bool = True
    for_all: bool = False


class Queue:
    """Jobs in the order in which they were started: so many work at a time, the others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: list[Job] = []

    def join(self, job: Job) -> None:
        """Take the last place."""
        with self._changed:
            self._jobs.append(job)

    def before(self, job: Job, at_once: int) -> int:
        """Return how many jobs have to end before one begins; 0 where it is at work."""
        with self._changed:
            return max(self._jobs.index(job) - at_once + 1, 0) if job in self._jobs else 0

    def wait(self, job: Job, at_once: int) -> None:
        """Wait for a job's turn.

        Raises:
            StoppedError: the user has stopped it.
        """
        while self.before(job, at_once):
            if job.stopping:
                raise StoppedError("Stopped.")
            with self._changed:
                self._changed.wait(0.5)  # a stopped job notices it by itself

    def leave(self, job: Job) -> None:
        """Give the place to those who wait."""
        with self._changed:
            self._jobs.remove(job)
            self._changed.notify_all()


class Job:
    """One run of a task, in a thread of its own.

    Attributes:
        title: what is being done just now; the work may change it.
        done: how many items are done.
        of: how many there are; 0 while nobody knows.
        state: of the thread.
        message: what went wrong, or a remark about what went well.
        problems: one sentence for each item that could not be done, while the others were.
        result: what the work returned.
        session: of the browser tab that started it.
    """

    def __init__(
        self, title: str, work: Callable[[Job], Any], session: str = "", queue: Queue | None = None, at_once: int = 1
    ) -> None:
        self.title, self.done, self.of, self.session = title, 0, 0, session
        self.state: Literal["running", "done", "stopped", "failed"] = "running"
        self.message = ""
        self.problems: Sequence[str] = ()
        self.result: Any = None
        self.serial = next(_serials)
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._queue, self._at_once = queue or Queue(), at_once
        self._queue.join(self)
        self._thread = threading.Thread(target=self._run, args=(work,), name=title, daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[Job], Any]) -> None:
        try:
            self._queue.wait(self, self._at_once)
            self._began = time.monotonic()
            self.result = work(self)
            self.state = "done"
        except StoppedError:
            self.state = "stopped"
        except OditsError as error:
            self.state, self.message = ("stopped", "") if self._stop.is_set() else ("failed", str(error))
        except BaseException as error:  # not even a library that exits leaves a job running for ever
            logging.getLogger("odits").exception("unexpected error in a job")
            self.message = (
                f"Something unexpected went wrong ({type(error).__name__}); the terminal that runs the app has details."
            )
            self.state = "failed"
        finally:
            self._queue.leave(self)
            memory.settle(now=True)

    def begin(self, title: str) -> None:
        """Begin another part of the work: its progress starts at nothing.

        Raises:
            StoppedError: the user has stopped the job.
        """
        self.report(0, 0)
        self.title, self._began = title, time.monotonic()

    def report(self, done: int, of: int) -> None:
        """Note how far the work is; a `Progress` as the package's functions take it.

        Raises:
            StoppedError: the user has stopped the job.
        """
        if self._stop.is_set():
            raise StoppedError("Stopped.")
        self.done, self.of = done, of
        # Streamlit collects garbage after each run of a script, and so each time that progress is drawn: with a model
        # loaded that holds this thread up for longer than its own work takes, unless what is there is left out
        memory.leave_out()

    def stop(self) -> None:
        """Ask the work to end at its next report."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was stopped."""
        return self._stop.is_set()

    def line(self) -> str:
        """Return what stands above the progress bar: what is done, and how long it may still take."""
        if self.stopping:
            return "Stopping …"
        if before := self._queue.before(self, self._at_once):
            return f"{self.title}: {before} before you"
        spent = time.monotonic() - self._began
        if not self.of or not self.done or spent < 3 or self.done >= self.of:
            return self.title
        left = spent * (self.of - self.done) / self.done
        return f"{self.title}, about {duration(left)} left"

    def wait(self, seconds: float) -> None:
        """Wait until the work has ended, or the time is over."""
        self._thread.join(seconds)


def duration(seconds: float) -> str:
    """Return a time for people: "40 s", "3 min", "2 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def offer(
    task: Task, *, needed: bool = True, disabled: bool = False, help: str | None = None, by_itself: bool = False
) -> Job | None:
    """Draw a task as it stands: its button, or its progress with Stop while it runs, and then what came of it.

    Args:
        task: the work.
        needed: whether there is anything to do; otherwise there is no button.
        disabled: whether the button can't be pressed yet.
        help: of the button.
        by_itself: whether the work starts without the button, once a session. What fails or is stopped does not begin
            again and again.

    Returns:
        The job that has ended since the page was last drawn; None otherwise. What it made is there since before this
        run of the page began.
    """
    busy = False
    asked = st.session_state.pop(_ASKED + task.key, False) or (needed and by_itself and _first_time(task.key))
    if asked and may_start(task) and not (busy := _is_busy(task.key)):
        start(task.key, task.title, task.run)
    if busy:
        st.warning("One long job at a time: another one of yours is at work.", icon=":material/hourglass_top:")
    _note_end(task, needed)
    job = _jobs().get(task.key)
    if job is not None and job.state == "running":
        st.session_state.setdefault(_WATCHED, {})[task.key] = job.serial
        _show_progress(task.key)
        return None
    ended: Job | None = st.session_state.get(_TO_REPORT, {}).pop(task.key, None)
    if ended is not None:
        _report(ended, task)
    if needed and not may_start(task):
        st.caption(f"{escape_markdown(task.button)}: the owner of this server starts that.")
    elif needed:
        with st.container(horizontal=True, vertical_alignment="center", key=f"offer-{task.key}"):
            st.button(
                escape_markdown(task.button),
                type="primary" if task.primary else "secondary",
                icon=task.icon,
                key=f"start-{task.key}",
                on_click=_ask,
                args=(task.key,),
                disabled=disabled,
                help=help,
            )
            if task.note:
                st.caption(task.note)
    return ended


def may_start(task: Task) -> bool:
    """Whether this session may start a task."""
    return task.for_all or serving.long_jobs_may_be_started()


def _is_busy(key: str) -> bool:
    """Whether another job of this session is at work, where a session of a server may have one."""
    if serving.paths_may_be_typed():
        return False
    session = _session()
    return any(job.state == "running" and job.session == session and name != key for name, job in _jobs().items())


def start(key: str, title: str, work: Callable[[Job], Any]) -> Job:
    """Run work under a key, unless one with the same key runs already; return the job that runs."""
    with _lock():
        job = _jobs().get(key)
        if job is None or job.state != "running":
            _forget_oldest()
            job = _jobs()[key] = Job(title, work, _session(), _queue(), serving.jobs_at_once(_UNLIMITED))
    st.session_state.setdefault(_WATCHED, {})[key] = job.serial
    return job


def running(key: str) -> bool:
    """Return whether a job of that key is at work."""
    job = _jobs().get(key)
    return job is not None and job.state == "running"


def active(key: str) -> bool:
    """Return whether `offer` has something to show of a job: its progress, or what came of it."""
    return running(key) or key in st.session_state.get(_WATCHED, {}) or key in st.session_state.get(_TO_REPORT, {})


def result_of(key: str) -> Any:
    """Return what the last job of that key made; None before, or where it was long ago."""
    job = _jobs().get(key)
    return job.result if job is not None and job.state == "done" else None


@st.cache_resource(show_spinner=False)
def _jobs() -> dict[str, Job]:
    """Hold the jobs of this server by their key: they outlive the page that started them."""
    return {}


@st.cache_resource(show_spinner=False)
def _queue() -> Queue:
    return Queue()


@st.cache_resource(show_spinner=False)
def _lock() -> threading.Lock:
    return threading.Lock()


def _forget_oldest() -> None:
    ended = [key for key, job in _jobs().items() if job.state != "running"]
    for key in ended[:-_ENDED]:
        _jobs().pop(key, None)


def _session() -> str:
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context is not None else ""


def _ask(key: str) -> None:
    st.session_state[_ASKED + key] = True


def _first_time(key: str) -> bool:
    begun = st.session_state.setdefault(_BEGUN, set())
    first = key not in begun
    begun.add(key)
    return first


def _note_end(task: Task, needed: bool) -> None:
    """Draw the page again where a job has ended that this session watched, or whose results it seems not to have.

    The page began before the end; or a visitor came later and met what others had looked up before it.
    """
    watched = st.session_state.get(_WATCHED, {})
    noted = st.session_state.setdefault(_NOTED, {})
    job = _jobs().get(task.key)
    if job is not None and job.state == "running":
        return
    serial = watched.pop(task.key, None)
    if job is None or (serial is None and (not needed or task.refresh is None or noted.get(task.key) == job.serial)):
        return
    noted[task.key] = job.serial
    if job.serial == serial:
        st.session_state.setdefault(_TO_REPORT, {})[task.key] = job
    if task.refresh is not None:
        task.refresh()
    st.rerun()


def _report(job: Job, task: Task) -> None:
    """Say what came of a job."""
    ends = {"failed": job.message, "stopped": task.stopped, "done": job.message or task.done or f"{job.title}: done."}
    announcer.say(ends[job.state])
    if job.state == "failed":
        st.error(escape_markdown(job.message), icon=":material/error:")
    elif job.state == "stopped":
        st.info(task.stopped, icon=":material/pause_circle:")
    elif job.message:
        st.warning(escape_markdown(job.message), icon=":material/info:")
    elif task.done:
        st.success(task.done, icon=":material/check_circle:")
    show_problems(job.problems)


def show_problems(problems: Sequence[str]) -> None:
    """Name the images that were left out; nothing where there are none."""
    if problems:
        heading = f"{count_of(len(problems), 'image')} could not be read:"
        st.warning(f"{heading}\n\n{bullets(problems)}", icon=":material/broken_image:")


@partial(serving.fragment, run_every=1.0)
def _show_progress(key: str) -> Any:
    """Draw the bar of a job at work, anew every second; the whole page once it has ended."""
    job = _jobs().get(key)
    if job is None or job.state != "running":
        st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"job-{key}"):
        st.progress(min(job.done / job.of, 1.0) if job.of else 0.0, escape_markdown(job.line()))
        st.button("Stop", key=f"stop-{key}", icon=":material/stop_circle:", on_click=job.stop, disabled=job.stopping)
    # every tenth, so that nothing else is talked over
    tenths = f", {10 * (10 * job.done // job.of)} %" if job.of else ""
    announcer.live_region(f"job-{key}", f"{job.title}{tenths}")
    if job.session != _session():
        st.caption("This is running already: it was started in another tab, or before this page was loaded again.")
