"""The page Models in a real browser: weights from a stand-in of the hub, stopped, gone on with, and used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import REPOSITORY, Serve, mistakes, settle, visit
from tests.loopback import running
from tests.models.clip.hub_stand_in import HubStandIn
from tests.models.clip.tiny_clip import tiny_files, tiny_weights

TINY = "hf-hub:signs/tiny"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubStandIn]:
    stand_in = HubStandIn()
    stand_in.files = {f"signs/tiny/{name}": data for name, data in tiny_files(tiny_weights(tmp_path)).items()}
    with running(stand_in):
        yield stand_in


@pytest.fixture
def address(browser: Browser, serve: Serve, hub: HubStandIn, tmp_path: Path) -> str:
    """The address of an app whose hub is the stand-in, and whose cache of it is empty."""
    variables = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hub")}
    return serve(REPOSITORY, **variables)


def test_weights_are_downloaded_stopped_gone_on_with_and_used(address: str, hub: HubStandIn, page: Page) -> None:
    visit(page, f"{address}/models?get={TINY}&weights-other={TINY}")
    for name in ("CLIP ViT-B/32 (OpenAI)", "SAM ViT-B", "GroundingDINO"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    assert hub.asked == [], "an address alone asks nobody"
    page.get_by_text("Other weights").click()
    page.get_by_label("Reference", exact=True).fill(TINY)
    page.get_by_label("Reference", exact=True).press("Enter")
    other = page.locator('[data-testid="stExpander"]').filter(has=page.get_by_label("Reference", exact=True))
    other.get_by_role("button", name="Look up the size").click()
    expect(other.get_by_text(re.compile(r"^12\.\d|^13 MB to download; .* are free in"))).to_be_visible()
    assert hub.downloads() == []

    hub.pause = 0.2  # ten seconds for all of it
    other.get_by_role("button", name=re.compile("^Download 1")).click()
    expect(other.get_by_text(re.compile(r"^[1-9]\.\d MB of 1\d MB")).first).to_be_visible()
    other.get_by_role("button", name="Stop").click()
    expect(other.get_by_text("What has arrived is kept")).to_be_visible()
    hub.pause = 0
    other.get_by_role("button", name=re.compile("^Download 1")).click()
    expect(other.get_by_text("On this machine.")).to_be_visible()
    (_, first), (_, second) = hub.downloads()
    assert first is None and second is not None and second != "bytes=0-"

    other.get_by_role("button", name="Open Words with it").click()
    page.get_by_role("heading", name="Words", exact=True).wait_for()
    settle(page)
    expect(page.get_by_text("signs/tiny").first).to_be_visible()
    assert mistakes(page) == [] and "model=hf-hub" in page.url

    visit(page, f"{address}/models")
    assert len(hub.downloads()) == 2 and mistakes(page) == []
    page.set_viewport_size({"width": 800, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
