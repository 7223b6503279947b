"""Several processes that read images, each with its share of the cores.

`concurrent.futures.ProcessPoolExecutor` is not used: its processes run the file of the main program again, which under
Streamlit is the app itself; and one image that kills its process (memory, a decoder's fault) would end them all.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from odits.errors import OditsError
from odits.search.collection import Item

_PACKAGES = Path(__file__).resolve().parents[2]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """A process for each core, at most eight: each takes some 700 MB of memory."""
    return max(1, min(8, cores()))


def read_all(items: Sequence[Item], workers: int | None = None) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """(place of the item, what `odits.search.worker.read_image` says of it), in the order in which they are done.

    Closing the iterator ends the processes; the readings that they have made stay.

    Raises:
        OditsError: no image can be read at all.
    """
    count = min(workers or default_workers(), len(items))
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(items)):
        todo.put(place)
    done: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
    readers = [_Reader(items, todo, done, max(1, cores() // max(1, count))) for _ in range(count)]
    try:
        for _ in items:
            place, answer = done.get()
            if "fatal" in answer:
                raise OditsError(answer["fatal"])
            yield place, answer
    finally:
        for reader in readers:
            reader.end()


class _Reader:
    """A thread that asks a process of its own; a process that dies costs the image it was at, and is replaced."""

    def __init__(
        self,
        items: Sequence[Item],
        todo: queue.SimpleQueue[int],
        done: queue.SimpleQueue[tuple[int, dict[str, Any]]],
        threads: int,
    ) -> None:
        self._items, self._todo, self._done, self._threads = items, todo, done, threads
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
            self._done.put((place, self._ask(self._items[place])))

    def _ask(self, item: Item) -> dict[str, Any]:
        try:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps({"path": str(item.path), "name": item.name}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError) as error:
            answer = ""
            if self._process is None:
                return {"fatal": f"No process can be started to read images: {error}."}
        if answer.endswith("\n"):
            found: dict[str, Any] = json.loads(answer)
            return found
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        return {"problem": f"{item.name} could not be read: the process that read it broke down, perhaps for memory."}

    def _started(self) -> subprocess.Popen[str]:
        with self._starting:
            if self._ended.is_set():
                raise ValueError("ended")
            if self._process is None:
                path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "odits.search.worker", str(self._threads)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="utf-8",
                    env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(self._threads)},
                )
            return self._process
