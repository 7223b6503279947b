"""The page "Checkpoints" as its users have it: evaluating, comparing, looking at images, bringing weights here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file, save_file

from odits.core.files import file_digest
from odits.evaluation.results import stored_evaluations
from odits.models.reference import EMBEDDED_WEIGHTS
from odits.tracking.sources import make_tracker, open_store
from tests.browser.conftest import REPOSITORY, Serve, mistakes, settle, visit
from tests.tracking.conftest import row
from tests.tracking.exports import Export

RUN = "signs-on-demo"
LONG = 400_000
"""Milliseconds that two evaluations may take on a machine that others keep busy; seconds on a quiet one."""


class Site(NamedTuple):
    """A running app: its address, its ODITS_HOME, and the checkpoint fine-tuned there."""

    address: str
    home: Path
    tuned: Path


def write_checkpoint(path: Path, scale: float, epoch: int) -> None:
    """The embedded model with another temperature, as if it had been fine-tuned."""
    weights = load_file(EMBEDDED_WEIGHTS)
    weights["logit_scale"] = np.asarray(weights["logit_scale"] * scale, np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "architecture": "odits-signs",
        "name": f"ODITS Signs (embedded) (+{epoch})",
        "epoch": str(epoch),
        "total_loss": repr(4.0 / epoch),
        "parent": "embedded",
        "parent_digest": file_digest(EMBEDDED_WEIGHTS),
    }
    save_file(weights, path, metadata)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Site:
    home = tmp_path_factory.mktemp("prepared")
    tuned = home / "checkpoints" / "run" / "epoch-002.safetensors"
    write_checkpoint(tuned, 0.8, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODITS_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")  # two threads that wait for each other are slow on a busy machine
        run = make_tracker().start(RUN, {"seed": 0}, {})
        for epoch in (1, 2, 3):
            run.metrics({"loss/image": 4 / epoch, "loss/text": 5 / epoch, "loss/total": 4.5 / epoch}, epoch)
            run.metrics({"system/cpu_utilization_percentage": 50.0}, epoch)
        elsewhere = home / "epoch-003.safetensors"  # kept by the run and not on this machine
        write_checkpoint(elsewhere, 1.2, 3)
        run.checkpoint(elsewhere, "epoch-003", {"name": "ODITS Signs (embedded) (+3)", "epoch": "3"})
        run.finish("finished")
        elsewhere.unlink()
        return Site(serve(REPOSITORY, home), home, tuned)


def open_tab(page: Page, site: Site, tab: str, **state: str) -> None:
    link = "&".join(f"{name}={quote(value)}" for name, value in {"tab": tab, **state}.items())
    visit(page, f"{site.address}/checkpoints?{link}")


def tick(page: Page, key: str, row: int) -> None:
    """Ticks a row of a table: it is drawn on a canvas, its first column holds the boxes."""
    box = page.locator(f'[class*="st-key-{key}"] canvas').first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 18, box["y"] + 36 + 35 * row + 17)
    page.wait_for_timeout(300)
    settle(page)


def stopped_and_evaluated(page: Page, site: Site) -> None:
    button = page.get_by_role("button", name="Evaluate 6 images")
    button.click()
    page.locator(".st-key-stop-evaluate button").click()
    expect(page.get_by_text("Stopped. The images that are done are stored").first).to_be_visible(timeout=LONG)
    settle(page)
    if not page.get_by_role("button", name="Evaluate 6 images").is_visible():
        page.get_by_text("Evaluate checkpoints").click()
    page.get_by_role("button", name="Evaluate 6 images").click()
    expect(page.get_by_text("Evaluated.", exact=True).first).to_be_visible(timeout=LONG)
    settle(page)


def test_evaluate_stop_go_on_compare_and_look_at_images(site: Site, page: Page) -> None:
    open_tab(page, site, "compare", on="demo", evaluate=f"embedded,{site.tuned}")
    expect(page.get_by_text("Nothing has been evaluated yet").first).to_be_visible()
    stopped_and_evaluated(page, site)
    expect(page.get_by_text(re.compile("Best checkpoint: ODITS Signs|No best checkpoint yet")).first).to_be_visible()
    expect(page.get_by_text("unmodified ODITS Signs").first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    labels = page.locator(".js-plotly-plot .ytick text").all_text_contents()
    assert any("chance (uniform)" in label for label in labels)
    assert not any("ViT-B/32" in label for label in labels), "six demo images are not what the thesis measured on"
    page.get_by_text("With the published Table 2.6").click()
    settle(page)
    expect(page.locator(".js-plotly-plot .ytick text", has_text="ViT-B/32 (+20)").first).to_be_visible()
    expect(page.get_by_text("The published rows were measured on SVT's 249").first).to_be_visible()
    page.get_by_role("radio", name="Ranking").click()
    settle(page)
    expect(page.get_by_text("how many of the ten most probable are true").first).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text("unmodified ODITS Signs").first).to_be_visible()
    assert "family=rank" in page.url
    page.get_by_role("radio", name="Image by image").click()
    settle(page)
    expect(page.locator(".odits-row")).to_have_count(6)
    expect(page.locator(".odits-row").first.locator(".odits-top")).to_have_count(2)
    expect(page.locator(".odits-row img").first).to_be_visible()
    found = [float(text.split()[-1]) for text in page.locator(".odits-row figcaption span").all_inner_texts()]
    assert found == sorted(found, reverse=True), "images where they disagree most come first"
    assert mistakes(page) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODITS_HOME", str(site.home))
        assert len(stored_evaluations()) == 2


def test_bring_a_checkpoint_here_from_mlflow(site: Site, page: Page) -> None:
    open_tab(page, site, "runs")
    expect(page.locator(".st-key-losses .js-plotly-plot")).to_be_visible()
    expect(page.locator(".st-key-machine-load .js-plotly-plot")).to_be_visible()
    tick(page, "stored-checkpoints", 0)
    page.get_by_role("button", name="Pull 1 checkpoint").click()
    expect(page.get_by_text("The checkpoints are on this machine.").first).to_be_visible()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODITS_HOME", str(site.home))
        (item,) = open_store().list().runs[-1].checkpoints
    pulled = [path for path in (site.home / "checkpoints").glob("*.safetensors") if file_digest(path) == item.digest]
    assert len(pulled) == 1
    page.get_by_role("radio", name="Compare").click()
    settle(page)
    assert mistakes(page) == []


def test_a_server_that_is_down_is_one_sentence_and_the_rest_works(site: Site, page: Page) -> None:
    open_tab(page, site, "runs", **{"source": "mlflow-at", "place-mlflow-at": "http://127.0.0.1:9"})
    (told,) = mistakes(page)
    assert "The MLflow server http://127.0.0.1:9 cannot be reached; what is on this machine can still be used." in told
    page.get_by_role("radio", name="On this machine").click()
    settle(page)
    expect(page.get_by_role("heading", name="ODITS Signs", exact=True)).to_be_visible()
    assert mistakes(page) == []


def test_a_password_does_not_get_into_the_link(site: Site, page: Page) -> None:
    open_tab(page, site, "runs", **{"source": "mlflow-at", "place-mlflow-at": "http://me:hush@127.0.0.1:9"})
    (told,) = mistakes(page)
    assert "MLFLOW_TRACKING_PASSWORD" in told
    assert "hush" not in page.url


def test_an_export_of_two_folders_is_listed_pulled_and_imported(page: Page, site: Site, tmp_path: Path) -> None:
    made = Export(tmp_path)
    made.write(
        "SIGN-7",
        [
            row("sys/name", "string", "of Neptune 2"),
            made.neptune2("SIGN-7", "checkpoints/best", EMBEDDED_WEIGHTS.read_bytes()),
            *(row("train/loss", "float_series", 4.0 - step, step) for step in range(3)),
        ],
    )
    (made.folder / "files").rename(tmp_path / "uploads")
    open_tab(page, site, "runs", source="neptune-export")
    page.get_by_label("Export folder, or its data").fill(str(made.folder))
    page.get_by_label("Export folder, or its data").press("Enter")
    expect(page.get_by_text("is missing").first).to_be_visible()
    page.get_by_label("Its files, if elsewhere").fill(str(tmp_path / "uploads"))
    page.get_by_label("Its files, if elsewhere").press("Enter")
    expect(page.get_by_text("is missing")).to_have_count(0)
    settle(page)
    page.get_by_role("button", name="Import 1 run into MLflow").click()
    expect(page.get_by_text("In MLflow: 1 new, 0 changed, 0 unchanged.").first).to_be_visible(timeout=LONG)
    settle(page)
    tick(page, "stored-checkpoints", 0)
    page.get_by_role("button", name="Pull 1 checkpoint").click()
    expect(page.get_by_text("The checkpoints are on this machine.").first).to_be_visible(timeout=LONG)
    assert [path for path in (site.home / "checkpoints").glob("SIGN-7-*.safetensors")]
    assert not mistakes(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
