"""Several processes that answer questions about images, each with its share of the cores.

`concurrent.futures.ProcessPoolExecutor` is not used: its processes run the file of the main program again, which under
Streamlit is the app itself; and one image that kills its process (memory, a decoder's fault) would end them all.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TextIO

from odits.core.errors import OditsError

Question = dict[str, Any]
Answer = dict[str, Any]
Source = Path | bytes
"""An image's file, or what it holds."""
_PACKAGES = Path(__file__).resolve().parents[2]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """A process for each core, at most eight: each takes some 700 MB of memory."""
    return max(1, min(8, cores()))


def question_about(name: str, source: Source) -> Question:
    """A question about an image that is called `name`."""
    if isinstance(source, Path):
        return {"name": name, "path": str(source)}
    return {"name": name, "content": base64.b64encode(source).decode("ascii")}


def source_of(question: Question) -> Source:
    """The image that a question is about."""
    return Path(question["path"]) if "path" in question else base64.b64decode(question["content"])


def ask_all(
    module: str, questions: Sequence[Question], workers: int | None = None, arguments: Sequence[str] = ()
) -> Generator[tuple[int, Answer], None, None]:
    """(place of the question, its answer), in the order in which they come; `problem` says what is wrong with one.

    Closing the iterator ends the processes.

    Args:
        module: is run as `python -m MODULE THREADS ARGUMENTS` and must `serve`.
        questions: by `question_about`.
        workers: how many processes; default one for each core, at most eight.
        arguments: for the processes.

    Raises:
        OditsError: no question can be answered at all.
    """
    count = min(workers or default_workers(), len(questions))
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(questions)):
        todo.put(place)
    done: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
    threads = max(1, cores() // max(1, count))
    command = [sys.executable, "-m", module, str(threads), *arguments]
    askers = [_Asker(command, threads, questions, todo, done) for _ in range(count)]
    try:
        for _ in questions:
            place, answer = done.get()
            if "fatal" in answer:
                raise OditsError(answer["fatal"])
            yield place, answer
    finally:
        for asker in askers:
            asker.end()


def serve(answer: Callable[[Question], Answer]) -> None:
    """Answers each line of JSON on standard input with one on standard output, and ends with them.

    What libraries print goes to standard error. An OditsError that `answer` raises ends the work of all processes.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve_on(sys.stdin, answers, answer)


def serve_on(questions: TextIO, answers: TextIO, answer: Callable[[Question], Answer]) -> None:
    """As `serve`, on any two streams."""
    for line in questions:
        try:
            found = answer(json.loads(line))
        except OditsError as error:
            found = {"fatal": str(error)}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


class _Asker:
    """A thread that asks a process of its own; a process that dies costs the image it was at, and is replaced."""

    def __init__(
        self,
        command: Sequence[str],
        threads: int,
        questions: Sequence[Question],
        todo: queue.SimpleQueue[int],
        done: queue.SimpleQueue[tuple[int, Answer]],
    ) -> None:
        self._command, self._threads = command, threads
        self._questions, self._todo, self._done = questions, todo, done
        self._process: subprocess.Popen[str] | None = None
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nothing; the process is gone afterwards."""
        self._ended.set()
        with self._starting:
            process = self._process
        if process is not None:
            process.kill()
            process.wait()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                place = self._todo.get_nowait()
            except queue.Empty:
                return
            self._done.put((place, self._ask(self._questions[place])))

    def _ask(self, question: Question) -> Answer:
        try:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError) as error:
            line = ""
            if self._process is None:
                return {"fatal": f"No process can be started to read images: {error}."}
        if line.endswith("\n"):
            found: Answer = json.loads(line)
            return found
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        name = question["name"]
        return {"problem": f"{name} could not be read: the process that read it broke down, perhaps for memory."}

    def _started(self) -> subprocess.Popen[str]:
        with self._starting:
            if self._ended.is_set():
                raise ValueError("ended")
            if self._process is None:
                path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="utf-8",
                    env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(self._threads)},
                )
            return self._process
