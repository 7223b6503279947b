"""Long work beside the page: it goes on whatever the user looks at, tells how far it is, and can be stopped."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from odits.core.errors import OditsError
from pages._shared.layout import plain

Report = Callable[[int, int], None]
"""Told (done, in all); raises `StoppedError` once the user has stopped the job."""


class StoppedError(OditsError):
    """The user stopped the job."""


class Job:
    """One piece of work in a thread of its own. It must not touch Streamlit.

    Attributes:
        title: what is being done just now; the work may change it.
        done, of: how far it is.
        state: of the thread.
        message: what went wrong, or a remark about what went well.
    """

    def __init__(self, title: str, work: Callable[[Job], None]) -> None:
        self.title, self.done, self.of = title, 0, 0
        self.state: Literal["running", "done", "stopped", "failed"] = "running"
        self.message = ""
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), name=title, daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[Job], None]) -> None:
        try:
            work(self)
            self.state = "done"
        except StoppedError:
            self.state = "stopped"
        except OditsError as error:
            self.state, self.message = ("stopped", "") if self._stop.is_set() else ("failed", str(error))
        except Exception as error:
            logging.getLogger("odits").exception("unexpected error in a job")
            self.message = (
                f"Something unexpected went wrong ({type(error).__name__}); the terminal that runs the app has details."
            )
            self.state = "failed"
        finally:
            gc.unfreeze()

    def begin(self, title: str) -> None:
        """Nothing; another part of the work begins."""
        self.report(0, 0)
        self.title, self._began = title, time.monotonic()

    def report(self, done: int, of: int) -> None:
        """Nothing; how far the work is.

        Raises:
            StoppedError: the user has stopped the job.
        """
        if self._stop.is_set():
            raise StoppedError("stopped")
        self.done, self.of = done, of
        # Streamlit collects garbage after each run of a script, and so each time that progress is drawn: with a model
        # loaded that holds this thread up for longer than its own work takes, unless what is there is left out
        gc.freeze()

    def stop(self) -> None:
        """Nothing; the work ends at its next report."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was stopped."""
        return self._stop.is_set()

    def line(self) -> str:
        """What is shown over the progress bar: what is done, and how long it may still take."""
        if self.stopping:
            return "Stopping …"
        spent = time.monotonic() - self._began
        if not self.of or not self.done or spent < 3:
            return self.title
        left = spent * (self.of - self.done) / self.done
        return f"{self.title}, about {duration(left)} left" if self.done < self.of else self.title

    def wait(self, seconds: float) -> None:
        """Nothing; returns when the work has ended, or the time is over."""
        self._thread.join(seconds)


def duration(seconds: float) -> str:
    """A time for people: "40 s", "3 min", "2 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


@st.cache_resource(show_spinner=False)
def _jobs() -> dict[str, Job]:
    """The jobs of this server by their key: they outlive the page that started them."""
    return {}


def start(key: str, title: str, work: Callable[[Job], None]) -> None:
    """Nothing; the work is running afterwards, unless one with the same key is running already."""
    if not running(key):
        _jobs()[key] = Job(title, work)


def running(key: str) -> bool:
    """Whether a job of that key is at work."""
    job = _jobs().get(key)
    return job is not None and job.state == "running"


def show(key: str, stopped: str, done: str = "") -> Job | None:
    """The job that has ended since the page was last drawn, if any; one at work is shown with progress and a stop.

    Args:
        key: of the job.
        stopped: said when the user has stopped it.
        done: said when it has ended well.
    """
    job = _jobs().get(key)
    if job is None:
        return None
    if job.state == "running":
        _progress(key)
        return None
    _jobs().pop(key, None)
    if job.state == "failed":
        st.error(plain(job.message), icon=":material/error:")
    elif job.state == "stopped":
        st.info(stopped, icon=":material/pause_circle:")
    elif job.message:
        st.warning(plain(job.message), icon=":material/info:")
    elif done:
        st.success(done, icon=":material/check_circle:")
    return job


@st.fragment(run_every=1.0)
def _progress(key: str) -> Any:
    """The bar of a job at work, drawn anew every second; the whole page is, once it has ended."""
    job = _jobs().get(key)
    if job is None or job.state != "running":
        st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"job-{key}"):
        st.progress(min(job.done / job.of, 1.0) if job.of else 0.0, plain(job.line()))
        st.button("Stop", key=f"stop-{key}", icon=":material/stop_circle:", on_click=job.stop, disabled=job.stopping)
