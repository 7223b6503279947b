"""What is possible on drawn streets, and that they are drawn again byte for byte."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rendered_streets as bench


def test_a_gain_is_the_mean_difference_and_nothing_is_possible_where_nothing_was_put_in() -> None:
    values = {"with": [0.5, 0.7], "without": [0.2, 0.3], "regions": [0.2, 0.1], "image": [0.2, 0.3]}
    rows = {name: {metric: np.array(found) for metric in bench.METRICS} for name, found in values.items()}
    put_in = bench.gains(bench.Ingredient("signs", ("with", "without"), ("regions", "image")), rows, 100)
    assert put_in["possible"] == pytest.approx(0.35) and put_in["found"] == pytest.approx(-0.1)
    nothing = bench.gains(bench.Ingredient("regions", None, ("regions", "image")), rows, 100)
    assert nothing["possible"] == 0 and nothing["found"] == pytest.approx(-0.1)


@pytest.mark.slow
def test_the_same_bytes_are_drawn_and_who_knows_more_ranks_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["rendered_streets.py", "--images", "20", "--neighbourhoods", "2", "--without-models", "--json"]
    monkeypatch.setattr(sys, "argv", command)
    found = []
    for home in ("one", "two"):
        monkeypatch.setenv("ODITS_HOME", str(tmp_path / home))
        bench.main()
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] and len(found[0]["digest"]) == 64
    assert found[0]["train"] == 14 and found[0]["held out"] == 6
    means = {name: row["average_precision"]["mean"] for name, row in found[0]["rows"].items()}
    assert means[bench.LAW] < means[bench.SIGNS] < means[bench.BY_LAW] <= means[bench.CEILING] + 0.05
