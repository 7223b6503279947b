"""`odits counts` and `odits precompute`, run as users run them: kept, resumed, tuned."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_cli import ROOT, refused, run
from tests.killing import run_and_kill

DEMO = ROOT / "assets" / "demo"
WITHOUT_MODELS = (
    "import sys; sys.argv[0] = 'odits'\n"
    "from odits.cli import main\n"
    "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
    "heavy = {'torch', 'cv2', 'supervision', 'onnxruntime', 'rapidocr', 'scipy.stats'} & set(sys.modules)\n"
    "assert not heavy, heavy\n"
)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of nine small images, cut from the demo images."""
    folder = tmp_path_factory.mktemp("street")
    rows = []
    for number, path in enumerate([*sorted(DEMO.glob("*.jpg")), *sorted(DEMO.glob("*.jpg"))[:3]]):
        with Image.open(path) as whole:
            left = 60 * number
            whole.crop((left, 0, left + 320, 260 + 20 * number)).save(folder / f"{number}.png")
        rows.append({"file": f"{number}.png", "words": "BAR CAFE", "split": "train"})
    with (folder / "lexicons.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "words", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def stamps(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (home / "cache" / "objects").glob("v1/*/*.json")}


@pytest.mark.slow
def test_killed_it_goes_on_and_the_second_run_only_reads(home: Path, street: Path) -> None:
    counting = ["counts", "--data", str(street), "--json", "--workers", "1"]
    run_and_kill(counting, lambda: len(stamps(home)) >= 2)
    kept = stamps(home)
    assert 2 <= len(kept) < 9
    done = run("counts", "--data", street, "--json")
    assert done.returncode == 0, done.stderr
    assert len(stamps(home)) == 9 and kept.items() <= stamps(home).items(), "nothing is segmented twice"
    again = subprocess.run(
        [sys.executable, "-c", WITHOUT_MODELS, "counts", "--data", str(street), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


@pytest.mark.slow
def test_tuning_starts_at_the_counts_and_ends_at_the_least_statistic(street: Path) -> None:
    done = run("counts", "--data", street, "--tune", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    tuning = found["tuning"]
    assert tuning["before"]["counts"] == found["counts"] and len(found["counts"]) == 9
    assert tuning["before"]["test"]["statistic"] == found["anderson"]["norm"]["statistic"]
    statistics = [item["statistic"] for item in tuning["settings"] if item["statistic"] is not None]
    assert len(tuning["settings"]) == tuning["tried"] == 252 and statistics == sorted(statistics)
    assert tuning["best"]["test"]["statistic"] == statistics[0] <= tuning["before"]["test"]["statistic"]
    assert "p-value" in tuning["note"]
    assert set(found["anderson"]) == {"norm", "expon", "lognorm", "weibull_min", "gumbel_r"}
    shown = run("counts", "--data", street, "--tune", "--distribution", "expon")
    assert "252 settings tried" in shown.stdout and "p-value" in shown.stderr
    assert "normal" not in refused("counts", "--data", street, "--tune", "--distribution", "cauchy")


@pytest.mark.slow
def test_too_few_images_are_a_sentence_and_no_mistake() -> None:
    done = run("counts", "--data", DEMO, "--split", "eval", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["anderson"] == {} and found["note"] == "An Anderson-Darling test needs at least 8 images; there are 6."
    shown = run("counts", "--data", DEMO, "--split", "eval")
    assert shown.returncode == 0 and "needs at least 8 images" in shown.stderr
    assert "at least 8 images" in refused("counts", "--data", DEMO, "--split", "eval", "--tune")


@pytest.mark.slow
def test_precompute_of_a_folder(home: Path, street: Path) -> None:
    done = run("precompute", "--folder", street, "--json", "--workers", "2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["images"], found["computed"], found["kept_from_before"], found["problems"]) == (9, 9, 0, [])
    assert found["segmenter"] == "Text regions + colour regions (not SAM)" and found["kind"] == "objects"
    assert len(stamps(home)) == 9
    assert "9 were there already" in run("precompute", "--folder", street).stderr
    assert "not both" in refused("precompute", "--folder", street, "--data", street)
    assert "Candidates are what SAM finds" in refused("precompute", "--folder", street, "--candidates")
    assert "--sam sets" in refused("precompute", "--folder", street, "--sam", "points_per_side=3")
