"""Listing, curves and downloads of a Neptune server, by the real client over HTTP on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odits.cli.checkpoints import app
from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.tracking.pulling import pull
from odits.tracking.sources import open_store
from tests.tracking.exports import safetensors_bytes, torch_bytes
from tests.tracking.neptune_server import Project, serve

pytestmark = pytest.mark.slow


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of two runs, one of them with checkpoints that have no endings in their paths."""
    best, last = safetensors_bytes(), torch_bytes()
    moment = ("datetime", {"value": "2025-03-01T12:00:00.000Z"})
    first = {
        "sys/id": ("string", {"value": "SIG-1"}),
        "sys/name": ("string", {"value": "clip signs"}),
        "sys/creation_time": moment,
        "parameters/seed": ("int", {"value": 7}),
        "train/loss": ("floatSeries", {"last": 2.0}),
        "checkpoints/best": ("file", {"name": "best", "ext": "safetensors", "size": len(best)}),
        "model/last": ("file", {"name": "last", "ext": "pt", "size": len(last)}),
        "checkpoints/best_card": ("file", {"name": "best_card", "ext": "md", "size": 9}),
    }
    second = {"sys/id": ("string", {"value": "SIG-2"}), "sys/creation_time": moment}
    points = [{"timestampMillis": 1000 * step, "step": float(step), "value": 4.0 - step} for step in range(3)]
    files = {("SIG-1", "checkpoints/best"): best, ("SIG-1", "model/last"): last}
    with serve(Project({"SIG-1": first, "SIG-2": second}, files, {("SIG-1", "train/loss"): points})) as found:
        monkeypatch.setenv("NEPTUNE_API_TOKEN", found.token())
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the client sends its token over TLS alone
        yield found


def test_runs_and_checkpoints_are_listed_and_pulled(server: Project) -> None:
    store = open_store("neptune:team/signs")
    first, second = store.list().runs
    assert (first.id, first.name, first.parameters, first.metrics) == (
        "SIG-1",
        "clip signs",
        {"seed": "7"},
        {"train/loss": 2.0},
    )
    assert [item.name for item in first.checkpoints] == ["checkpoints/best.safetensors", "model/last.pt"]
    assert not second.checkpoints
    best = pull(store, store.find("SIG-1/checkpoints/best.safetensors"))
    assert best.read_bytes() == server.files["SIG-1", "checkpoints/best"]
    converted = pull(store, store.find("SIG-1/model/last.pt"), architecture="odits-signs")
    assert converted.suffix == ".safetensors"


def test_curves_come_with_their_steps(server: Project) -> None:
    (curve,) = open_store("neptune:team/signs").curves("SIG-1").values()
    assert [(point.step, point.value) for point in curve] == [(0, 4.0), (1, 3.0), (2, 2.0)]


def test_the_command_line_prints_one_document(server: Project) -> None:
    source = ["--source", "neptune:team/signs", "--json"]
    listed = CliRunner().invoke(app, ["list", *source], catch_exceptions=False)
    assert [run["id"] for run in json.loads(listed.stdout)["runs"]] == ["SIG-1", "SIG-2"]
    reference = json.loads(listed.stdout)["runs"][0]["checkpoints"][0]["reference"]
    pulled = json.loads(CliRunner().invoke(app, ["pull", reference, *source], catch_exceptions=False).stdout)
    assert pulled["digest"] == file_digest(Path(pulled["path"]))


def test_a_run_that_is_not_there_is_a_sentence(server: Project) -> None:
    store = open_store("neptune:team/signs")
    with pytest.raises(StoreError, match="There is no run 'SIG-9'"):
        store.run("SIG-9")


def test_a_file_that_is_lost_is_a_sentence(server: Project) -> None:
    store = open_store("neptune:team/signs")
    checkpoint = store.find("SIG-1/model/last.pt")
    server.files.clear()
    with pytest.raises(StoreError):
        pull(store, checkpoint)


def test_a_refused_login_is_a_sentence(server: Project) -> None:
    server.refuse = True
    with pytest.raises(StoreError) as told:
        open_store("neptune:team/signs").list()
    assert "\n" not in str(told.value) and "Neptune" in str(told.value)
