"""Points of an image decoded by several threads, each on a core of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A context in which `map` works on as many items at once as torch has threads, each item in one thread.

    The decoder's steps take a fraction of a millisecond. Shared between cores they would wait for each other all the
    time, and for long where another program takes a core; and a core's cache would see every point.
    """

    def __init__(self, device: torch.device) -> None:
        self.count = torch.get_num_threads() if device.type == "cpu" else 1
        self._pool = ThreadPoolExecutor(self.count, "sam", initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self.count > 1:
            torch.set_num_threads(self.count)  # else threads that are started later would begin with one

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items; only a few items are taken ahead."""
        if self.count == 1:
            yield from map(function, items)
            return
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(self._run, function, item))
            if len(waiting) > 2 * self.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    @staticmethod
    def _run(function: Callable[[Item], Result], item: Item) -> Result:
        with torch.inference_mode():  # it holds for one thread
            return function(item)
