"""`--figure FILE`: checked before the work, drawn after it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from odits.core.files import asset
from tests.cli.test_cli import refused, run


def test_what_can_not_be_drawn_ends_before_the_work(tmp_path: Path) -> None:
    image = asset("demo") / "cafe.jpg"
    assert "ends in .svg, .pdf or .png" in refused("words", image, "--figure", tmp_path / "a.gif")
    assert "no folder" in refused("counts", "--data", asset("demo"), "--figure", tmp_path / "absent" / "a.svg")
    line = refused("evaluate", "--data", asset("demo"), "--figure", tmp_path / "a.svg", "--figure-theme", "pink")
    assert "no theme" in line


@pytest.mark.slow
def test_figures_of_the_demo_images(tmp_path: Path) -> None:
    demo = asset("demo")
    image = demo / "cafe.jpg"
    done = run("words", image, "--checkpoint", "embedded", "--figure", tmp_path / "words.svg", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1
    ElementTree.parse(tmp_path / "words.svg")
    done = run(
        "evaluate", "--data", demo, "--checkpoint", "embedded", "--track", "none", "--figure", tmp_path / "e.png"
    )
    assert done.returncode == 0 and (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG"), done.stderr
    pair = ("embedded", "spotting")
    done = run(
        "differences", *pair, "--data", demo, "--slices", "--images", "3", "--json", "--figure", tmp_path / "d.pdf"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["rows"]) == 14 and found["first"]["checkpoint"] != found["rows"][0]["checkpoint"]
    assert len(found["images"][0]["images"]) == 3
    assert sum(part["images_in_part"] for part in found["slices"][0]["words"]["parts"]) == 6
    assert (tmp_path / "d.pdf").read_bytes().startswith(b"%PDF")
    assert "Holm" in run("differences", *pair, "--data", demo, "--slices", "--images", "2").stderr
    assert "two checkpoints or more" in refused("differences", "embedded", "--data", demo)


@pytest.mark.slow
def test_figures_of_objects_and_of_what_carries_a_word(tmp_path: Path) -> None:
    images = [asset("demo") / name for name in ("cafe.jpg", "hotel.jpg")]
    done = run("objects", *images, "--figure", tmp_path / "objects.svg", "--json")
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "objects.svg").read_text()
    ElementTree.fromstring(drawn)
    found = json.loads(done.stdout)
    assert "cafe.jpg" in drawn and "hotel.jpg" in drawn
    assert drawn.count("Text (") == 2 and sum(len(one["objects"]) for one in found) > 20
    done = run("explain", images[0], "--checkpoint", "street", "--word", "cafe", "--figure", tmp_path / "carries.svg")
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "carries.svg").read_text()
    ElementTree.fromstring(drawn)
    assert "without each object" in drawn and "(text CAFE)" in drawn
    too_many = [asset("demo") / "cafe.jpg"] * 33
    assert "at most 32 images" in refused("objects", *too_many, "--figure", tmp_path / "many.svg")


def test_a_report_that_can_not_be_written_ends_before_the_work(tmp_path: Path) -> None:
    demo = asset("demo")
    assert ".html or .pdf" in refused("report", "embedded", "--data", demo, "--out", tmp_path / "a.doc")
    assert "no folder" in refused("report", "embedded", "--data", demo, "--out", tmp_path / "absent" / "a.pdf")


@pytest.mark.slow
def test_a_report_says_the_command_that_makes_it_again(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    options = ("--data", asset("demo"), "--split", "all", "--picture", "cafe.jpg", "--out", out)
    done = run("report", "embedded", *options)
    assert done.returncode == 0, done.stderr
    document = out.read_text(encoding="utf-8")
    assert "odits report embedded --data" in document and "--picture cafe.jpg" in document
    assert document.count("data:image/jpeg;base64,") == 1
