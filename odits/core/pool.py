"""Many images through one function: in this process, on processes of this machine, or on a Ray cluster.

One image that can't be used never ends the rest: it gets a sentence in place of a value. Whoever wants to go on with an
interrupted job leaves out the items whose results a store has already.

`concurrent.futures.ProcessPoolExecutor` is not used: its processes run the file of the main program again, which under
Streamlit is the app itself; and one image that kills its process (memory, a decoder's fault) would end them all.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from odits.core.device import cores
from odits.core.errors import ItemError
from odits.core.progress import Progress, no_progress
from odits.core.tasks import (
    Batches,
    Function,
    Item,
    Source,
    Task,
    Worker,
    batch_places,
    crash_message,
    first_line,
    per_batch,
    per_item,
    values_of,
)

__all__ = [
    "HERE",
    "Function",
    "Item",
    "Outcome",
    "Problem",
    "Results",
    "Source",
    "Task",
    "Workers",
    "collect",
    "default_processes",
    "in_order",
    "map_images",
    "name_problems",
    "per_batch",
    "per_item",
]
_PACKAGES = Path(__file__).resolve().parents[2]  # what a worker needs on its PYTHONPATH to find this package


class Outcome(NamedTuple):
    """What came of one image.

    Attributes:
        index: its place among the items.
        value: what the function returned.
        problem: one sentence that names the image and says why there is no value; None where there is one.
    """

    index: int  # type: ignore[assignment]  # tuples have a method of that name
    value: Any
    problem: str | None = None


@dataclass(frozen=True)
class Workers:
    """Where images are worked on.

    Attributes:
        processes: how many; 0 is this process itself. Default: one a core, at most eight, or all cores of the cluster.
        ray: address of a Ray cluster that does the work, or "local" to start one here.
    """

    processes: int | None = None
    ray: str | None = None

    @property
    def is_here(self) -> bool:
        """Whether this process does the work itself."""
        return self.ray is None and self.processes == 0


HERE = Workers(0)
"""This process itself: best where a model keeps all cores busy by its own threads."""


def default_processes() -> int:
    """Return a process for each core, at most eight: each takes some 700 MB of memory."""
    return max(1, min(8, cores()))


def map_images(
    task: Task, items: Sequence[Item], workers: Workers = HERE, progress: Progress = no_progress
) -> Generator[Outcome, None, None]:
    """Yield what comes of each image, as it comes; in the items' order where this process works alone.

    Closing the iterator ends the workers.

    Args:
        task: what is done with each image.
        items: the images.
        workers: where it is done.
        progress: called with (images that the caller has taken, images in all); what it raises ends the work.

    Raises:
        OditsError: nothing can be done with any image: no such model, a full disk, no such cluster.

    Example:
        >>> sizes = Task("", here=per_item(lambda item: len(item.source)))
        >>> [outcome.value for outcome in map_images(sizes, [Item("a.png", b"123"), Item("b.png", b"")])]
        [3, 0]
    """
    progress(0, len(items))
    done = 0
    with closing(_batches(task, items, workers)) as batches:
        for indices, values in batches:
            for index, value in zip(indices, values, strict=True):
                failed = isinstance(value, ItemError)
                yield Outcome(index, None if failed else value, str(value) if failed else None)
                done += 1
                progress(done, len(items))


class Problem(NamedTuple):
    """An image that could not be used.

    Attributes:
        image: its name.
        problem: one sentence that names it and says why.
    """

    image: str
    problem: str


class Results(NamedTuple):
    """What came of all images.

    Attributes:
        values: of those that could be used, by their place, in the items' order.
        problems: of the others, a sentence each, by their place, in the items' order.
    """

    values: dict[int, Any]
    problems: dict[int, str]


def collect(outcomes: Iterable[Outcome]) -> Results:
    """Sort outcomes into values and problems."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.index)
    return Results(
        {outcome.index: outcome.value for outcome in ordered if outcome.problem is None},
        {outcome.index: outcome.problem for outcome in ordered if outcome.problem is not None},
    )


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...


def name_problems(items: Sequence[Named], problems: Mapping[int, str]) -> list[Problem]:
    """Return problems with the names of their images, in the items' order."""
    return [Problem(items[index].name, problems[index]) for index in sorted(problems)]


def in_order(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield outcomes in the items' order, each as soon as all before it are there."""
    early: dict[int, Outcome] = {}
    following = 0
    for outcome in outcomes:
        early[outcome.index] = outcome
        while following in early:
            yield early.pop(following)
            following += 1


def _batches(task: Task, items: Sequence[Item], workers: Workers) -> Batches:
    """Yield (places of the items of a batch, their values or `ItemError`s)."""
    if not items:
        return _nothing()
    if workers.ray is not None:
        from odits.core.ray import run_on_ray

        return run_on_ray(task, items, workers.ray, workers.processes)
    if workers.is_here:
        return _run_here(task, items)
    return _run_on_processes(task, items, workers.processes or default_processes())


def _nothing() -> Batches:
    """Yield no batch."""
    yield from ()


def _run_here(task: Task, items: Sequence[Item]) -> Batches:
    function = task.build()
    for places in batch_places(task, items):
        yield places, function([items[place] for place in places])


def _run_on_processes(task: Task, items: Sequence[Item], count: int) -> Batches:
    todo: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    for places in batch_places(task, items):
        todo.put(places)
    done: queue.SimpleQueue[tuple[Sequence[int], Any]] = queue.SimpleQueue()
    count = min(count, todo.qsize())
    threads = max(1, cores() // count)
    children = [_Child(task, items, threads, todo, done) for _ in range(count)]
    try:
        left = len(items)
        while left:
            places, replies = done.get()
            yield places, values_of(replies)
            left -= len(places)
    finally:
        for child in children:
            child.end()


class _Child:
    """A thread that hands batches to a process of its own; a process that dies costs one image, and is replaced."""

    def __init__(
        self,
        task: Task,
        items: Sequence[Item],
        threads: int,
        todo: queue.SimpleQueue[Sequence[int]],
        done: queue.SimpleQueue[tuple[Sequence[int], Any]],
    ) -> None:
        self._task, self._items, self._threads, self._todo, self._done = task, items, threads, todo, done
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the process."""
        self._ended.set()
        with self._starting:
            process = self._process
        if process is not None:
            process.kill()  # the thread, which waits for its answer, gets none
        self._thread.join()
        if self._process is not None:
            _end_process(self._process)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                places = self._todo.get_nowait()
            except queue.Empty:
                return
            replies = self._exchange(places)
            if replies is not None:
                self._done.put((places, replies))
            elif len(places) > 1:  # one of them is to blame
                for place in places:
                    self._todo.put([place])
            else:
                self._done.put((places, ([(None, crash_message(self._items[places[0]].name))], "")))

    def _exchange(self, places: Sequence[int]) -> Any:
        """Send a batch to the process and return what it answers; None where it died, or the two can't be pickled."""
        try:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            send(process.stdin, [tuple(self._items[place]) for place in places])
            return pickle.load(process.stdout)
        except Exception as error:  # a thread that ended here would leave whoever waits for its batch waiting for ever
            if self._process is None and not self._ended.is_set():
                return [], f"No process can be started to work on images: {first_line(error)}"
        if self._process is not None:
            _end_process(self._process)
            self._process = None
        return None

    def _started(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._ended.is_set():
                raise ValueError("ended")
            if self._process is None:
                path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "odits.core.pool"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(self._threads)},
                )
                assert self._process.stdin is not None
                send(self._process.stdin, (self._task.builder, dict(self._task.settings), self._threads))
            return self._process


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, wait for its end and close the pipes to it, with what it has not read."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what is still to be written
                pipe.close()


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message for `pickle.load` at the other end."""
    pickle.dump(message, stream, pickle.HIGHEST_PROTOCOL)
    stream.flush()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Work for `_Child` at the other end of two streams: a task comes first, then batches, until the stream ends."""
    worker = Worker(*pickle.load(requests))
    while True:
        try:
            items = pickle.load(requests)
        except EOFError:
            return
        send(answers, worker.run(items))


def main() -> None:
    """Serve on standard input and output; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
