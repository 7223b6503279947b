"""Many items through one function: in this process, on processes, on Ray; what one item costs, and what ends all."""

from __future__ import annotations

import gc
import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.core.pool import HERE, Item, Problem, Task, Workers, collect, in_order, map_images, name_problems, per_item

DIGESTS = Task("tests.core.pool_tasks:digester", {"salt": "s"})
EITHER = pytest.mark.parametrize("workers", [HERE, Workers(2)], ids=["here", "processes"])


def items(*contents: bytes) -> list[Item]:
    return [Item(f"{place}.png", content) for place, content in enumerate(contents)]


@EITHER
def test_every_item_has_its_value_or_its_problem(workers: Workers, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(b"x")
    given = [*items(b"a", b"bad", b"bug"), Item("x.png", file), Item("gone.png", tmp_path / "gone.png")]
    seen: list[tuple[int, int]] = []
    values, problems = collect(map_images(DIGESTS, given, workers, lambda *told: seen.append(told)))
    assert {place: value[0] for place, value in values.items()} == {0: sha256_of("as"), 3: sha256_of("xs")}
    assert problems == {
        1: "1.png is bad.",
        2: "2.png can't be worked on: IndexError: out of range.",
        4: "gone.png can't be read: No such file or directory.",
    }
    assert name_problems(given, problems)[0] == Problem("1.png", "1.png is bad.")
    assert seen == [(done, 5) for done in range(6)]
    assert {value[1] == os.getpid() for value in values.values()} == {workers.is_here}


@EITHER
def test_what_is_wrong_with_all_items_ends_the_work(workers: Workers) -> None:
    for builder, sentence in (("no_model", "There is no such model."), ("mistaken", "ZeroDivisionError: a mistake")):
        with pytest.raises(OditsError, match=sentence):
            collect(map_images(Task(f"tests.core.pool_tasks:{builder}"), items(b"a"), workers))
    with pytest.raises(OditsError, match="disk is full"):
        collect(map_images(DIGESTS, items(b"a", b"disk", b"b"), workers))


@EITHER
def test_batches_are_cut_alike_and_a_bad_item_costs_itself_alone(workers: Workers) -> None:
    task = Task("tests.core.pool_tasks:batcher", batch=3)
    given = [*items(b"a", b"bb", b"ccc", b"odd", b"e"), Item("gone.png", Path("/nowhere/gone.png"))]
    values, problems = collect(map_images(task, given, workers))
    assert values == {0: (1, 3), 1: (2, 3), 2: (3, 3), 4: (1, 1)}
    assert problems[3] == "3.png can't be worked on: ValueError: odd." and problems[5].startswith("gone.png")


def test_a_process_that_dies_costs_one_item() -> None:
    values, problems = collect(map_images(DIGESTS, items(b"a", b"deadly", b"c"), Workers(1)))
    assert set(values) == {0, 2}
    assert problems == {1: "1.png could not be worked on: the process that did it broke down, perhaps for memory."}
    task = Task("tests.core.pool_tasks:batcher", batch=3)
    values, problems = collect(map_images(task, items(b"a", b"deadly", b"ccc"), Workers(1)))
    assert values == {0: (1, 1), 2: (3, 1)} and set(problems) == {1}


@pytest.mark.filterwarnings("error")  # pipes that are left open, or closed by the garbage collector with an error
def test_what_cannot_travel_to_a_process_costs_one_item() -> None:
    given = [Item("a.png", b"a"), Item("b.png", b"b", about=lambda: None), Item("c.png", b"c")]
    values, problems = collect(map_images(DIGESTS, given, Workers(1)))
    assert set(values) == {0, 2} and set(problems) == {1}
    gc.collect()


def test_closing_ends_the_processes() -> None:
    slow = Task("tests.core.pool_tasks:digester", {"seconds": 0.3})
    with closing(map_images(slow, items(*[b"a"] * 200), Workers(2))) as outcomes:
        (_, process) = next(outcomes).value
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_progress_raises_ends_the_work() -> None:
    def stop(done: int, _of: int) -> None:
        if done == 1:
            raise InterruptedError

    outcomes = map_images(DIGESTS, items(b"a", b"b", b"c"), Workers(1), stop)
    assert next(outcomes).problem is None
    with pytest.raises(InterruptedError):
        next(outcomes)


def test_outcomes_in_the_items_order() -> None:
    delays = {"0.png": 0.5, "1.png": 0.0, "2.png": 0.0}

    def wait(item: Item) -> str:
        time.sleep(delays[item.name])
        return item.name

    here = Task("", here=per_item(wait))
    shuffled = sorted(map_images(here, items(b"", b"", b"")), key=lambda outcome: -outcome.index)
    assert [outcome.value for outcome in in_order(shuffled)] == ["0.png", "1.png", "2.png"]
    assert collect(map_images(here, [])) == ({}, {})


def test_a_function_that_is_here_already_is_not_built_again() -> None:
    task = Task("tests.core.pool_tasks:no_model", here=per_item(lambda item: item.about))
    assert collect(map_images(task, [Item("a", b"", {"box": 1})])).values == {0: {"box": 1}}
