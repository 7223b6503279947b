"""What is done with each of many images, and how a worker does it; `odits.core.pool` hands the images out.

A `Task` names the function that makes the work's function, as "module:name", with settings in JSON; each worker calls
it once, so a model is loaded once. An image that can't be used gets an `ItemError` in place of a value.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from odits.core.errors import ItemError, OditsError

Source = Path | bytes
"""An image's file, or what it holds."""
Function = Callable[[Sequence["Item"]], Sequence[Any]]
"""From a batch of items to a value for each, in their order; an `ItemError` says why there is none (`per_item`)."""


class Item(NamedTuple):
    """One image.

    Attributes:
        name: what messages call it.
        source: its file, or what the file holds.
        about: what else the function needs to know of it.
    """

    name: str
    source: Source
    about: Any = None


@dataclass(frozen=True)
class Task:
    """What is to be done with every image.

    Attributes:
        builder: "module:function"; called once in each worker with the settings and `threads`, it returns a `Function`.
        settings: for the builder, in JSON.
        batch: so many items that follow each other go to the function together.
        files: settings that are paths of files, such as weights; machines of a cluster get what they hold.
        here: the function itself, where this process has it already.
    """

    builder: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1
    files: Sequence[str] = ()
    here: Function | None = None

    def build(self, threads: int | None = None) -> Function:
        """Return the function; `threads` is how many it may use, all cores by default."""
        return self.here or build_function(self.builder, self.settings, threads)


def per_item(function: Callable[[Item], Any]) -> Function:
    """Return a `Function` that calls `function` with one item after the other."""
    return lambda items: [_attempt(function, item, item.name) for item in items]


def per_batch(load: Callable[[Item], Any], compute: Callable[[list[Any]], Any]) -> Function:
    """Return a `Function` that loads one item after the other and computes the values of all that could be loaded.

    Args:
        load: what an item stands for, such as its pixels.
        compute: a value for each of several such, in their order; an array's rows will do.
    """

    def function(items: Sequence[Item]) -> list[Any]:
        found = [_attempt(load, item, item.name) for item in items]
        good = [place for place, loaded in enumerate(found) if not isinstance(loaded, ItemError)]
        loaded = [found[place] for place in good]
        values = _attempt(compute, loaded, "") if loaded else []
        if isinstance(values, ItemError):  # one of them is to blame, and the others have a value of their own
            values = [
                _attempt(lambda one: compute([one])[0], one, items[place].name)
                for place, one in zip(good, loaded, strict=True)
            ]
        for place, value in zip(good, values, strict=True):
            found[place] = value
        return found

    return function


def _attempt(function: Callable[[Any], Any], argument: Any, name: str) -> Any:
    """Return the function's value, or an `ItemError` where it fails: decoders and models do so in many ways."""
    try:
        return function(argument)
    except ItemError as error:
        return error
    except OditsError:
        raise
    except MemoryError:
        return ItemError(f"{name} needs more memory than there is.")
    except Exception as error:
        return ItemError(f"{name} can't be worked on: {type(error).__name__}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message that is not empty, as the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else "no reason given").rstrip(".") + "."


def build_function(builder: str, settings: Mapping[str, Any], threads: int | None = None) -> Function:
    """Return the function of a task.

    Raises:
        OditsError: it can't be made: no such model, or no room for it.
    """
    module, _, name = builder.partition(":")
    try:
        function: Function = getattr(importlib.import_module(module), name)(threads=threads, **settings)
    except OditsError:
        raise
    except Exception as error:
        raise OditsError(f"The work can't begin: {type(error).__name__}: {first_line(error)}") from error
    return function


class Worker:
    """A task's function in a process of its own, built at the first batch so that its answer can say what is wrong."""

    def __init__(self, builder: str, settings: Mapping[str, Any], threads: int) -> None:
        self._make = lambda: build_function(builder, settings, threads)
        self._function: Function | None = None

    def run(self, items: Sequence[tuple[Any, ...]]) -> tuple[list[tuple[Any, str | None]], str]:
        """Return (value, problem) for each item of a batch, and why nothing can be done at all, else ""."""
        try:
            self._function = self._function or self._make()
            values = self._function([Item(*item) for item in items])
        except OditsError as error:
            return [], str(error)
        return [(None, str(value)) if isinstance(value, ItemError) else (value, None) for value in values], ""


def values_of(replies: tuple[list[tuple[Any, str | None]], str]) -> list[Any]:
    """Return the values, or `ItemError`s, of what `Worker.run` returned.

    Raises:
        OditsError: nothing can be done at all.
    """
    found, fatal = replies
    if fatal:
        raise OditsError(fatal)
    return [value if problem is None else ItemError(problem) for value, problem in found]


Batches = Generator[tuple[Sequence[int], Sequence[Any]], None, None]
"""Places of the items of a batch, and their values or `ItemError`s."""


def batch_places(task: Task, items: Sequence[Item]) -> list[Sequence[int]]:
    """Return the places of the items of each batch."""
    return [range(start, min(start + task.batch, len(items))) for start in range(0, len(items), task.batch)]


def crash_message(name: str) -> str:
    """Return the sentence about an image whose worker died."""
    return f"{name} could not be worked on: the process that did it broke down, perhaps for memory."
