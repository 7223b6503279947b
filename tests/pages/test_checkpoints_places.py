"""The page Checkpoints over an MLflow one of whose experiments is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from odits.models.reference import EMBEDDED_WEIGHTS
from odits.tracking.mlflow_client import open_mlflow
from odits.tracking.store import StoredRun
from pages._checkpoints.stores import run_table
from tests.pages.running import open_page


def test_the_table_of_runs_says_why_files_are_out_of_reach_and_else_nothing() -> None:
    runs = [StoredRun("mlflow", str(number), "signs", "finished") for number in range(2)]
    assert "Out of reach" not in run_table(runs)
    gone = StoredRun("mlflow", "2", "signs", "finished", problem="Its files can't be listed: it is gone.")
    assert list(run_table([*runs, gone])["Out of reach"])[-1] == gone.problem


@pytest.mark.slow
def test_a_bucket_that_is_gone_hides_no_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = open_mlflow().client
    gone, good = (
        client.create_run(client.create_experiment(name, artifact_location=place), run_name=name).info.run_id
        for name, place in (("gone", "gs://gone/signs"), ("good", (tmp_path / "good").as_uri()))
    )
    client.log_artifact(good, str(EMBEDDED_WEIGHTS))
    page = open_page("checkpoints", tab="runs", source="mlflow", runs=f"{gone}|{good}")
    table = next(frame.value for frame in page.dataframe if "Out of reach" in frame.value)
    assert set(table["Run"]) == {"gone", "good"}
    assert any(gone in warning.value and "needs the Python package google" in warning.value for warning in page.warning)
    stored = next(frame.value for frame in page.dataframe if "Here" in frame.value)
    assert list(stored["Checkpoint"]) == ["model"]
