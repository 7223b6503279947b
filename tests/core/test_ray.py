"""The pool on a real Ray cluster of two machines, as far as one machine can be two: own homes, own folders.

The code, the weights and the images travel; one of the machines is lost half-way.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from odits.core.pool import HERE, Item, Task, Workers, collect, map_images
from odits.core.progress import no_progress
from odits.models.segmentation.batch import ObjectsRequest, precompute

# a busy machine starts processes slowly; Ray reads this when it is imported
os.environ.setdefault("RAY_worker_register_timeout_seconds", "300")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (requirements-ray.txt)"),
]
ROOT = Path(__file__).parents[2]


def patiently(start: Callable[[], Any]) -> Any:
    """What `start` starts: Ray gives its own processes 15 seconds, which a busy machine may not have for them."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            failed = error
    raise failed


class TwoMachines:
    """A head without cores, to which this process connects, and two machines of two cores each."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        shutil.copy(Path(__file__).with_name("pool_tasks.py"), folder / "pool_tasks.py")
        self.homes = [folder / "first", folder / "second"]
        head = {"num_cpus": 0, "include_dashboard": False}
        self.cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self.address = str(self.cluster.address)
        self.nodes = [self._start(home, folder) for home in self.homes]

    def _start(self, home: Path, folder: Path) -> Any:
        there = {"ODITS_HOME": str(home), "PYTHONPATH": str(folder)}  # not the checkout's
        return patiently(lambda: self.cluster.add_node(num_cpus=2, env_vars=there))

    def lose_one(self) -> None:
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


def objects_in(home: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (home / "cache" / "objects").glob("v1/*/*.json")}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoMachines]:
    """Two machines; the last test loses one."""
    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("PYTHONPATH", raising=False)
        patch.chdir(folder)
        started = TwoMachines(folder)
        yield started
        started.cluster.shutdown()


def test_files_travel_once_to_each_machine_and_a_deadly_item_costs_one(machines: TwoMachines, tmp_path: Path) -> None:
    weights = tmp_path / "model.pth"
    weights.write_text("weights of ")
    task = Task("pool_tasks:weighted", {"weights": str(weights), "seconds": 0.2}, files=["weights"])
    given = [Item(f"{place}.png", b"") for place in range(24)]
    values, problems = collect(map_images(task, given, Workers(4, machines.address)))
    assert problems == {} and [value[0] for value in values.values()] == [f"weights of {item.name}" for item in given]
    homes = {Path(value[2]) for value in values.values()}
    assert homes == set(machines.homes), "both machines had their share"
    for home in homes:
        (copy,) = (home / "cache" / "cluster-files").glob("v1/*/*.pth")
        assert {Path(value[1]) for value in values.values() if Path(value[2]) == home} == {copy}
    deadly = [Item("a.png", b"a"), Item("b.png", b"deadly"), Item("c.png", tmp_path / "gone.png"), Item("d.png", b"d")]
    values, problems = collect(map_images(Task("pool_tasks:digester"), deadly, Workers(2, machines.address)))
    assert set(values) == {0, 3} and "broke down" in problems[1] and problems[2].startswith("c.png can't be read")
    assert values[0][0] == collect(map_images(Task("tests.core.pool_tasks:digester"), deadly[:1], HERE)).values[0][0]


def test_a_lost_machine_changes_nothing(
    machines: TwoMachines, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = []
    for number, path in enumerate(sorted((ROOT / "assets" / "demo").glob("*.jpg")) * 4):
        file = tmp_path_factory.mktemp("images") / f"{number}.png"
        Image.open(path).crop((30 * number, 0, 30 * number + 240, 200)).save(file)
        images.append(Item(file.name, file))
    lost: list[bool] = []

    def lose(done: int, _of: int) -> None:
        shared = all(list((home / "cache" / "objects").glob("v1/*/*.json")) for home in machines.homes)
        if done >= 3 and shared and not lost:
            lost.append(True)
            machines.lose_one()

    stored = []
    for where, progress in ((Workers(1), no_progress), (Workers(2, machines.address), lose)):
        home = tmp_path_factory.mktemp("store")
        monkeypatch.setenv("ODITS_HOME", str(home))
        done = precompute(images, ObjectsRequest("embedded"), where, progress)
        assert (done.computed, done.problems) == (24, {})
        stored.append(objects_in(home))
    assert len(machines.nodes) == 1
    assert stored[0] == stored[1] and len(stored[0]) == 24
    assert lost, "both had their share when one was lost"
