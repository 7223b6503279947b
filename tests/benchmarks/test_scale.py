"""The simulation of a job on many machines: no picture is lost or counted twice, and a seed gives the same figures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scale import Job, Settings, merge_top, merging, queries, shard_top

SMALL = Settings(
    pictures=20_000,
    workers=25,
    batch=64,
    picture_seconds=1.0,
    deaths_per_day=200.0,
    deadly=2e-4,
    queries=50,
    shards=20,
)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_picture_is_done_or_named_once_whatever_dies(seed: int) -> None:
    found = Job(Settings(**vars(SMALL) | {"seed": seed})).run()
    assert found["worker_deaths"] > 10
    assert found["pictures_done"] + found["pictures_named_as_problems"] == SMALL.pictures
    # the deadly ones, and seldom one at which three workers died by chance
    assert 4 <= found["pictures_named_as_problems"] <= 6


def test_a_seed_gives_the_same_figures() -> None:
    assert Job(SMALL).run() == Job(SMALL).run() != Job(Settings(**vars(SMALL) | {"seed": 5})).run()
    assert queries(SMALL) == queries(SMALL)


def test_a_job_without_faults_takes_what_its_pictures_take() -> None:
    calm = {"deaths_per_day": 0.0, "deadly": 0.0, "stops": 0, "spread": 0.0, "stragglers": 0.0}
    found = Job(Settings(**vars(SMALL) | calm | {"pictures": 25 * 64 * 10})).run()
    assert found["hours"] == pytest.approx(found["ideal_hours"]) and found["lost_work"] == 0.0


def test_a_second_copy_of_each_shard_completes_answers() -> None:
    down = vars(SMALL) | {"shard_down": 0.05}
    one, two = queries(Settings(**down | {"copies": 1})), queries(Settings(**down))
    assert two["incomplete_answers"] < one["incomplete_answers"] and two["median_ms"] < one["median_ms"]


def test_merged_tops_are_the_top_of_all() -> None:
    rng = np.random.default_rng(0)
    scores = [rng.integers(0, 30, size).astype(float) for size in (40, 3, 0, 100)]  # with many equal ones
    whole = [(-score, shard, place) for shard, found in enumerate(scores) for place, score in enumerate(found)]
    tops = [shard_top(shard, found, 10) for shard, found in enumerate(scores)]
    assert merge_top(tops, 10) == [(shard, place) for _, shard, place in sorted(whole)[:10]]
    assert merging(SMALL, 3)["merges_as_one_index"] == 3
