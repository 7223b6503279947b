"""How far a long piece of work is, shown as a bar on a terminal and as a plain line every ten seconds elsewhere.

Work that takes long takes a `Progress` and calls it. A command opens one `Reporter` and begins a phase for each part:

    with open_reporter() as report:
        evaluate(images, report.phase("evaluating"))
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task as RichTask
    from rich.progress import TaskID
    from rich.text import Text

Progress = Callable[[int, int], None]
"""Called with (done so far, all there is), in bytes or items; the second is 0 where nobody knows."""

Unit = Literal["items", "bytes"]
Item = TypeVar("Item")

INTERVAL_S = 10.0
_MEGABYTE = 1 << 20


def no_progress(done: int, of: int) -> None:
    """Ignore how far the work is."""


class Phase:
    """A part of a long piece of work; call it with (done, of).

    The time left follows from the pace since the first call, so that work which was done before counts for nothing.

    Attributes:
        name: what is being done, in a word or three.
        done, of: items or bytes; `of` is 0 while nobody knows.
        detail: what else is to be seen, such as a loss.
        began: when the phase began, by `time.monotonic`.

    Example:
        >>> phase = Phase("evaluating")
        >>> phase(3, 12)
        >>> phase.line()
        'evaluating: 3 of 12'
    """

    def __init__(self, name: str, of: int = 0, unit: Unit = "items", changed: Callable[[Phase], None] | None = None):
        self.name, self.of, self.unit = name, of, unit
        self.done, self.detail = 0, ""
        self.began = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._changed = changed

    def __call__(self, done: int, of: int) -> None:
        """Say that `done` of `of` are done."""
        if self._first is None:
            self._first = (time.monotonic(), done)
        self.done, self.of = done, of
        self._tell()

    def advance(self, count: int = 1) -> None:
        """Say that `count` more are done."""
        self(self.done + count, self.of)

    def describe(self, detail: str) -> None:
        """Show a detail beside the name, such as a loss."""
        self.detail = detail
        self._tell()

    @property
    def finished(self) -> bool:
        """Whether all is done."""
        return 0 < self.of <= self.done

    def seconds_left(self) -> float | None:
        """Return how long the rest takes at the pace so far; None while that can't be told."""
        if self._first is None or not self.of:
            return None
        since, before = self._first
        if self.done <= before:
            return None
        return max(0, self.of - self.done) * (time.monotonic() - since) / (self.done - before)

    def line(self) -> str:
        """Return the state in one plain line, e.g. "training: 3 of 12, 2 min 10 s left (loss 0.31)"."""
        if self.unit == "bytes":
            done, of = (f"{count / _MEGABYTE:,.1f} MiB" for count in (self.done, self.of))
        else:
            done, of = f"{self.done:,}", f"{self.of:,}"
        text = f"{self.name}: {done} of {of}" if self.of else f"{self.name}: {done}" if self.done else f"{self.name} …"
        left = None if self.finished else self.seconds_left()
        text += f", {duration(left)} left" if left is not None else ""
        return f"{text} ({self.detail})" if self.detail else text

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self)


class Reporter(Protocol):
    """What shows phases; a context, for it owns a part of the screen or a thread."""

    def __enter__(self) -> Reporter:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show nothing more."""
        ...

    def phase(self, name: str, of: int = 0, unit: Unit = "items") -> Phase:
        """Begin a phase."""
        ...


def open_reporter(stream: TextIO | None = None, interval: float | None = None, quiet: bool = False) -> Reporter:
    """Return what shows phases on `stream`.

    Args:
        stream: a terminal gets bars, anything else plain lines. Default: standard error.
        interval: seconds between two lines. Default: $ODITS_PROGRESS_SECONDS, else ten.
        quiet: show nothing, as all processes but the first of a training do.
    """
    shown_on = stream or sys.stderr
    if quiet:
        return LineReporter(shown_on, float("inf"))
    if shown_on.isatty() and os.environ.get("TERM") != "dumb":
        return BarReporter(shown_on)
    return LineReporter(shown_on, _named_interval() if interval is None else interval)


def _named_interval() -> float:
    try:
        return max(0.01, float(os.environ.get("ODITS_PROGRESS_SECONDS", "")))
    except ValueError:
        return INTERVAL_S


def track(report: Reporter, items: Sequence[Item] | Iterable[Item], name: str, of: int | None = None) -> Iterator[Item]:
    """Yield the items while a phase of the reporter counts them."""
    total = of if of is not None else len(items) if isinstance(items, Sequence) else 0
    phase = report.phase(name, total)
    phase(0, total)
    for count, item in enumerate(items, start=1):
        yield item
        phase(count, total)


class LineReporter:
    """Write the state of the running phases as a plain line every few seconds: for CI, nohup, a service's log.

    Lines come from a thread of their own, so that work which says nothing for minutes is seen to be going on. Work
    that is shorter than the interval writes none. A phase that was shown gets a last line when it is finished.
    """

    def __init__(self, stream: TextIO, interval: float = INTERVAL_S) -> None:
        self._stream, self._interval = stream, interval
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._running: list[Phase] = []
        self._shown: set[Phase] = set()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)

    def __enter__(self) -> LineReporter:
        if self._interval < float("inf"):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def phase(self, name: str, of: int = 0, unit: Unit = "items") -> Phase:
        """Begin a phase."""
        phase = Phase(name, of, unit, self._changed)
        with self._lock:
            self._running.append(phase)
        return phase

    def _changed(self, phase: Phase) -> None:
        if not phase.finished:
            return
        with self._lock:
            if phase not in self._running:
                return
            self._running.remove(phase)
            if phase in self._shown:
                self._shown.remove(phase)
                self._write(f"{phase.line()}, done in {duration(time.monotonic() - phase.began)}")

    def _work(self) -> None:
        while not self._ended.wait(self._interval):
            with self._lock:
                active = [phase for phase in self._running if phase.done or phase is self._running[-1]]
                self._shown.update(active)
                if active:
                    self._write("; ".join(phase.line() for phase in active))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a log that is full or closed never ends the work
            self._ended.set()


class BarReporter:
    """Draw a bar for each running phase on a terminal; it goes when the phase is finished."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, ProgressColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Count(ProgressColumn):
            """Items or bytes, as the phase has it."""

            items, size = MofNCompleteColumn(), DownloadColumn(binary_units=True)

            def render(self, task: RichTask) -> Text:
                return (self.size if task.fields["phase"].unit == "bytes" else self.items).render(task)

        class Left(ProgressColumn):
            """The time left, as the phase estimates it."""

            def render(self, task: RichTask) -> Text:
                left = task.fields["phase"].seconds_left()
                return Text("" if left is None or task.finished else f"{duration(left)} left")

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), Count(), Left())
        self._bars: RichProgress = Bars(*columns, console=Console(file=stream), transient=True)
        self._tasks: dict[Phase, TaskID] = {}

    def __enter__(self) -> BarReporter:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def phase(self, name: str, of: int = 0, unit: Unit = "items") -> Phase:
        """Begin a phase."""
        phase = Phase(name, of, unit, self._changed)
        self._tasks[phase] = self._bars.add_task(name, total=of or None, phase=phase)
        return phase

    def _changed(self, phase: Phase) -> None:
        task = self._tasks.get(phase)
        if task is None:
            return
        text = f"{phase.name}  {phase.detail}" if phase.detail else phase.name
        self._bars.update(task, completed=phase.done, total=phase.of or None, description=text)
        if phase.finished:
            self._bars.refresh()
            self._bars.remove_task(self._tasks.pop(phase))


def duration(seconds: float) -> str:
    """Return a duration for people.

    Example:
        >>> duration(9.4), duration(130), duration(7260)
        ('9 s', '2 min 10 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
