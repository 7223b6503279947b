"""A simulation of 10^8 pictures on many machines: the job that works on them, and queries of a sharded index.

The job: workers take batches; a batch's time spreads log-normally, some batches straggle, workers die at random and
start again, some pictures kill whoever works on them, and the driver itself is stopped and resumed. A batch that was
lost is done again; one at which three workers died is taken apart into its pictures, and a picture at which three died
is named as a problem (`odits.core.ray`). Queries: each goes to all shards, whose best are merged; a shard may straggle
or be down. The same seed gives the same figures. Every assumption is a setting, and printed.
"""

from __future__ import annotations

import heapq
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._report.paper import table, write_section
from benchmarks.reporting import parser, report

DEATHS = 3
"""At a batch, or a picture, before it is to blame."""


@dataclass(frozen=True)
class Settings:
    """What is assumed.

    Attributes:
        pictures: of the job.
        workers: of one core each.
        batch: pictures that a worker is given at once.
        picture_seconds: core-seconds of a picture.
        spread: standard deviation of the logarithm of a batch's time.
        stragglers: share of batches that are slow.
        straggling: how many times as long they take.
        deaths_per_day: of a worker that works.
        restart_seconds: until a dead worker is back, its models loaded.
        deadly: share of pictures that kill their worker each time.
        stops: times that the driver is stopped, spread over the job.
        resume_seconds: until all work again after a stop.
        shards: of the index, one machine each.
        shard_ms: median of a shard's answer.
        shard_spread: standard deviation of the logarithm of its time.
        shard_straggles: share of answers that take ten times as long.
        shard_down: share of the time that a copy of a shard does not answer.
        patience_ms: after which an answer goes out without a shard.
        copies: of each shard; the second is asked after `hedge_ms`.
        hedge_ms: see above.
        top: results of a query.
        queries: that are simulated.
        seed: of everything random.
    """

    pictures: int = 100_000_000
    workers: int = 10_000
    batch: int = 64
    picture_seconds: float = 10.0
    spread: float = 0.2
    stragglers: float = 0.01
    straggling: float = 5.0
    deaths_per_day: float = 0.5
    restart_seconds: float = 120.0
    deadly: float = 1e-6
    stops: int = 3
    resume_seconds: float = 600.0
    shards: int = 1_000
    shard_ms: float = 20.0
    shard_spread: float = 0.3
    shard_straggles: float = 0.001
    shard_down: float = 0.001
    patience_ms: float = 500.0
    copies: int = 2
    hedge_ms: float = 60.0
    top: int = 20
    queries: int = 500
    seed: int = 0


class Job:
    """The job, event by event.

    Args:
        settings: what is assumed.

    Attributes:
        done: pictures with a result.
        failed: pictures that are named as a problem.
        lost_seconds: core-seconds of work that came to nothing.
        deaths: of workers.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.done = self.failed = self.deaths = 0
        self.busy_seconds = self.lost_seconds = 0.0
        self._random = random.Random(settings.seed)
        self._deaths: dict[tuple[int, int], int] = {}
        self._todo = deque(self._batches())
        self._deadly = self._deadly_pictures()
        self._events: list[tuple[float, int, int]] = []  # when, its driver's start, worker
        self._working: dict[int, tuple[tuple[int, int], float, bool]] = {}  # part, since when, whether it ends well
        self._idle: list[int] = []
        self._start = 0

    def _batches(self) -> Iterator[tuple[int, int]]:
        """Yield the first picture of each batch and the one behind its last."""
        size = self.settings.batch
        for first in range(0, self.settings.pictures, size):
            yield first, min(first + size, self.settings.pictures)

    def _deadly_pictures(self) -> dict[int, list[int]]:
        """Draw the pictures that kill their worker, by batch."""
        count = round(self.settings.deadly * self.settings.pictures)
        found: dict[int, list[int]] = {}
        for picture in self._random.sample(range(self.settings.pictures), count):
            found.setdefault(picture // self.settings.batch, []).append(picture)
        return found

    def run(self) -> dict[str, Any]:
        """Run the job to its end and return what came of it."""
        settings = self.settings
        ideal = settings.pictures * settings.picture_seconds / settings.workers
        stops = [ideal * (number + 1) / (settings.stops + 1) for number in range(settings.stops)]
        marks = {share: 0.0 for share in (0.5, 0.99)}
        now = 0.0
        self._begin_all(now)
        while self._events:
            if stops and self._events[0][0] > stops[0]:
                now = self._stop(stops.pop(0))
                continue
            now, start, worker = heapq.heappop(self._events)
            if start == self._start:
                self._event(now, worker)
                for share, when in marks.items():
                    if not when and self.done >= share * settings.pictures:
                        marks[share] = now
        return {
            "hours": now / 3600,
            "ideal_hours": ideal / 3600,
            "hours_of_the_last_percent": (now - marks[0.99]) / 3600,
            "core_hours": now * settings.workers / 3600,
            "lost_work": self.lost_seconds / self.busy_seconds,
            "worker_deaths": self.deaths,
            "pictures_done": self.done,
            "pictures_named_as_problems": self.failed,
            "pictures_per_second": settings.pictures / now,
        }

    def _begin_all(self, now: float) -> None:
        """Let all workers begin."""
        self._idle.clear()
        for worker in range(self.settings.workers):
            self._begin(worker, now)

    def _begin(self, worker: int, now: float) -> None:
        """Give a worker its next batch, or let it wait."""
        if not self._todo:
            self._idle.append(worker)
            return
        part, settings, draw = self._todo.popleft(), self.settings, self._random
        seconds = (part[1] - part[0]) * settings.picture_seconds * draw.lognormvariate(0.0, settings.spread)
        seconds *= settings.straggling if draw.random() < settings.stragglers else 1.0
        deadly = any(part[0] <= picture < part[1] for picture in self._deadly.get(part[0] // settings.batch, ()))
        ends = draw.random() * seconds if deadly else seconds
        dies = draw.expovariate(settings.deaths_per_day / 86400) if settings.deaths_per_day else float("inf")
        self._working[worker] = part, now, not deadly and dies > seconds
        heapq.heappush(self._events, (now + min(ends, dies), self._start, worker))

    def _event(self, now: float, worker: int) -> None:
        """Take a batch that is done, or a death, or a worker that is back."""
        if worker not in self._working:
            self._begin(worker, now)
            return
        part, since, well = self._working.pop(worker)
        self.busy_seconds += now - since
        if well:
            self.done += part[1] - part[0]
            self._begin(worker, now)
            return
        self.deaths += 1
        self.lost_seconds += now - since
        self._again(part)
        heapq.heappush(self._events, (now + self.settings.restart_seconds, self._start, worker))
        while self._idle and self._todo:
            self._begin(self._idle.pop(), now)

    def _again(self, part: tuple[int, int]) -> None:
        """Put back a part at which a worker died, take it apart, or give its one picture up."""
        deaths = self._deaths[part] = self._deaths.get(part, 0) + 1
        if deaths < DEATHS:
            self._todo.append(part)
        elif part[1] - part[0] > 1:
            self._todo.extend((picture, picture + 1) for picture in range(*part))
        else:
            self.failed += 1

    def _stop(self, now: float) -> float:
        """Stop the driver and resume: what was in work is lost, what was stored is left out; return when all work."""
        for part, since, _ in self._working.values():
            self.busy_seconds += now - since
            self.lost_seconds += now - since
            self._todo.append(part)
        self._working.clear()
        self._events.clear()
        self._start += 1
        self._begin_all(now + self.settings.resume_seconds)
        return now + self.settings.resume_seconds


def shard_answers(settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Draw when each copy of each shard answers, in ms (queries, shards, copies); infinite where it is down."""
    size = (settings.queries, settings.shards, settings.copies)
    times = settings.shard_ms * rng.lognormal(0.0, settings.shard_spread, size)
    times *= np.where(rng.random(size) < settings.shard_straggles, 10.0, 1.0)
    times[rng.random(size) < settings.shard_down] = np.inf
    times[..., 1:] += settings.hedge_ms
    return times


def queries(settings: Settings) -> dict[str, float]:
    """Simulate queries: their times, and how many go out without all shards."""
    rng = np.random.default_rng(settings.seed)
    first = shard_answers(settings, rng).min(2)
    late = first > settings.patience_ms
    whole = np.minimum(first, settings.patience_ms).max(1)
    return {
        "median_ms": float(np.median(whole)),
        "percentile_99_ms": float(np.percentile(whole, 99)),
        "worst_ms": float(whole.max()),
        "incomplete_answers": float(late.any(1).mean()),
        "shards_missing": float(late.mean()),
    }


def shard_top(shard: int, scores: np.ndarray, top: int) -> list[tuple[float, int, int]]:
    """Return a shard's best: (negative score, shard, place) each, best first, equal ones by place."""
    places = np.argsort(-scores, kind="stable")[:top]
    return [(-float(scores[place]), shard, int(place)) for place in places]


def merge_top(tops: list[list[tuple[float, int, int]]], top: int) -> list[tuple[int, int]]:
    """Merge the best of shards: (shard, place) of the `top` best of all.

    Equal scores come in the order of shards and places, so the answer is that of one index, whatever the shards.
    """
    return [(shard, place) for _, shard, place in heapq.nsmallest(top, (one for found in tops for one in found))]


def merging(settings: Settings, tries: int = 10) -> dict[str, float]:
    """Merge the tops of shards with random scores, many of them equal, and hold them against one index of all."""
    rng = np.random.default_rng(settings.seed)
    seconds, same = [], 0
    for _ in range(tries):
        scores = rng.integers(0, 1_000, (settings.shards, 5 * settings.top)).astype(float)
        tops = [shard_top(shard, found, settings.top) for shard, found in enumerate(scores)]
        start = time.perf_counter()
        merged = merge_top(tops, settings.top)
        seconds.append(time.perf_counter() - start)
        whole = np.argsort(-scores.ravel(), kind="stable")[: settings.top]
        same += merged == [divmod(int(place), scores.shape[1]) for place in whole]
    return {"merges": tries, "merges_as_one_index": same, "median_merge_ms": 1e3 * float(np.median(seconds))}


def markdown(figures: dict[str, Any]) -> str:
    """Write what was assumed and what came of it."""
    assumed = ", ".join(f"{name} {value:,}" for name, value in figures["assumed"].items())
    job, two, one = figures["job"], figures["queries"], figures["queries_with_one_copy"]
    rows = [
        ("the job, without any fault or waiting", f"{job['ideal_hours']:.1f} h"),
        ("the job", f"{job['hours']:.1f} h, {job['core_hours']:,.0f} core-hours"),
        ("its last percent", f"{job['hours_of_the_last_percent']:.1f} h"),
        ("workers that died; work that came to nothing", f"{job['worker_deaths']:,}; {100 * job['lost_work']:.1f} %"),
        (
            "pictures with a result; named as problems",
            f"{job['pictures_done']:,}; {job['pictures_named_as_problems']:,}",
        ),
        ("a query, median and 99 %", f"{two['median_ms']:.0f} and {two['percentile_99_ms']:.0f} ms"),
        ("answers that miss a shard; with one copy of each", f"{_share(two)}; {_share(one)}"),
        ("merging the shards' best", f"{figures['merging']['median_merge_ms']:.1f} ms"),
    ]
    return f"Assumed: {assumed}.\n\n{table(('simulated', 'value'), rows)}"


def _share(found: dict[str, float]) -> str:
    return f"{100 * found['incomplete_answers']:.1f} %"


def main() -> None:
    """Simulate both and print the figures with what was assumed."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="a hundredth of the pictures and of the workers")
    arguments.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of a file")
    for field in fields(Settings):
        arguments.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=None)
    options = arguments.parse_args()
    quick = {"pictures": 1_000_000, "workers": 100, "queries": 100} if options.quick else {}
    given = {field.name: getattr(options, field.name) for field in fields(Settings)}
    settings = Settings(**quick | {name: value for name, value in given.items() if value is not None})
    alone = Settings(**asdict(settings) | {"copies": 1})
    figures = {
        "assumed": asdict(settings),
        "job": Job(settings).run(),
        "queries": queries(settings),
        "queries_with_one_copy": queries(alone),
        "merging": merging(settings),
    }
    if options.write:
        write_section(options.write, "simulation", markdown(figures))
    if options.json:
        report(figures, as_json=True)
        return
    report({f"{part} {name}": value for part, found in figures.items() for name, value in found.items()}, False)


if __name__ == "__main__":
    main()
