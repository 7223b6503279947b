"""`odits search` from end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from tests.search.conftest import DEMO


def test_search_in_a_folder_as_json(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("cafe", "hotel"):
        shutil.copy(DEMO / f"{name}.jpg", folder)
    (folder / "broken.jpg").write_bytes(b"no image")
    done = CliRunner().invoke(app, ["search", "hotel", "--folder", str(folder), "--json", "--workers", "1"])
    assert done.exit_code == 1, done.output  # an image that can't be read
    found = json.loads(done.stdout)
    assert found["images"] == 2 and found["words"] == ["hotel"]
    for names in ("unreadable", "problems"):
        assert [entry["image"] for entry in found[names]] == ["broken.jpg"]
    best = found["results"][0]
    assert best["image"] == "hotel.jpg" and best["probability"] > 0.5
    assert "hotel" in best["words"][0]["read"].lower() and len(best["words"][0]["corners"]) == 4
    done = CliRunner().invoke(app, ["search", "hotel", "cafe", "--folder", str(folder)])
    assert done.exit_code == 1 and "none shows hotel and cafe" in done.stderr
    done = CliRunner().invoke(app, ["search", "otel", "--folder", str(folder), "--part"])
    assert done.exit_code == 1 and "hotel.jpg" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["!!", "--folder", str(DEMO)], ["cafe", "--folder", "absent"], ["cafe", "--folder", str(DEMO), "--data", "."]],
)
def test_mistakes_are_told(home: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["search", *arguments])
    assert isinstance(done.exception, OditsError)
