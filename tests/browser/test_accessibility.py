"""What axe-core finds on every page in its main states, in both themes: no serious and no critical violation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WAIT, mistakes, settle, visit

VERSION = "4.14.1"
DEMO = "images=demo&image=cafe.jpg"
EVALUATE = "Evaluate 6 images"
ANNOTATE = "images=demo&vocabulary=demo&model=embedded&annotator=Anna&view=annotate"

STREAMLITS: dict[str, tuple[str, str]] = {}
"""Streamlit's own faults: by axe-core's rule the CSS selector of what has it, and the issue at streamlit/streamlit."""


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The text of axe-core, from npm once; skips where it can't be had, and fails where ODITS_REQUIRE_BROWSER=1."""
    folder = request.config.cache.mkdir("axe-core")
    script = folder / f"axe-{VERSION}.min.js"
    if not script.is_file():
        try:
            _fetch(folder, script)
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            reason = f"axe-core {VERSION} can't be had from npm: {error}"
            if os.environ.get("ODITS_REQUIRE_BROWSER") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
    return script.read_text("utf-8")


def _fetch(folder: Path, script: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    part = folder / f"part-{os.getpid()}"
    part.mkdir()
    command = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(part)]
    subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    with tarfile.open(next(part.glob("*.tgz"))) as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member is not None
        (part / script.name).write_bytes(member.read())
    (part / script.name).replace(script)
    shutil.rmtree(part)


def pressed(page: Page, name: str | re.Pattern[str]) -> bool:
    """Presses a button where it is there: what it starts may have been done before."""
    button = page.get_by_role("button", name=name)
    there = button.count() > 0
    if there:
        button.click()
    return there


def evaluated(page: Page) -> None:
    """Evaluates the demo images where that was not done before."""
    if pressed(page, EVALUATE):
        page.get_by_role("button", name=EVALUATE).wait_for(state="detached")
        page.locator('[class*="st-key-stop-"]').wait_for(state="detached", timeout=5 * WAIT)
        settle(page)


def annotating(page: Page) -> None:
    """Opens the view for annotating, with the field for a word."""
    pressed(page, EVALUATE)
    page.locator(".annotate .word").first.wait_for()
    settle(page)
    page.keyboard.press("a")
    page.keyboard.type("ho")
    page.locator(".annotate .option").first.wait_for()


def indexed(page: Page) -> None:
    """Indexes the demo images where that was not done before."""
    if pressed(page, "Index 6 images"):
        page.get_by_text(re.compile("^Best first|image.? show")).first.wait_for()
        settle(page)


def counted(page: Page) -> None:
    """Counts the objects of the demo images where that was not done before."""
    if pressed(page, re.compile("^(Count objects|Go on)")):
        page.get_by_text("Standard deviation", exact=True).wait_for()
        settle(page)


def unfolded(page: Page) -> None:
    """Opens everything that can be unfolded."""
    closed = page.locator("details:not([open]) > summary")
    for _ in range(closed.count()):
        closed.first.click()
    page.wait_for_timeout(300)


def alike(page: Page) -> None:
    """Waits for the pictures that look like the one asked for."""
    pressed(page, "Look at 6 images")
    page.locator(".st-key-alike img").first.wait_for()
    settle(page)


def saving(page: Page) -> None:
    """Opens the first menu that saves a figure, and whatever it is folded into."""
    unfolded(page)
    settle(page)
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.get_by_role("button", name="SVG").first.wait_for()


def with_menu(name: str) -> Callable[[Page], None]:
    """Opens a menu of the view for annotating."""

    def prepare(page: Page) -> None:
        evaluated(page)
        page.locator(".annotate .word").first.wait_for()
        page.get_by_role("button", name=name).click()
        page.get_by_test_id("stPopoverBody").wait_for()
        settle(page)

    return prepare


class State(NamedTuple):
    """A page as somebody has it before them: its address, and what is done there first."""

    address: str
    prepare: Callable[[Page], object] = unfolded


STATES = {
    "words": State(f"?{DEMO}"),
    "words-compared": State(f"?{DEMO}&vocabulary=demo&model=embedded&compare=True&model2=spotting"),
    "words-save": State(f"?{DEMO}", saving),
    "words-empty": State("?images=upload"),
    "browse-nothing-yet": State("browse?images=demo&vocabulary=lexicon"),
    "browse-gallery": State("browse?images=demo&vocabulary=demo&model=embedded&annotator=Anna", evaluated),
    "browse-image": State(
        "browse?images=demo&vocabulary=demo&model=embedded&annotator=Anna&view=image&opened=cafe.jpg", evaluated
    ),
    "browse-annotate": State(f"browse?{ANNOTATE}", annotating),
    "browse-limits": State(f"browse?{ANNOTATE}&limits=one&limit=0.6", with_menu("Words and mode")),
    "browse-divided": State(f"browse?{ANNOTATE}&among=Anna,Ben&twice=0.5", with_menu("Queue")),
    "browse-adjudication": State("browse?images=demo&part=adjudication&annotator=Anna"),
    "browse-agreement": State("browse?part=agreement"),
    "search": State("search?searched=demo&query=cafe", indexed),
    "search-by-picture": State("search?searched=demo&like=cafe.jpg", alike),
    "search-folder": State("search?searched=folder"),
    "objects": State(f"objects?{DEMO}&vocabulary=demo&object=2"),
    "objects-save": State(f"objects?{DEMO}&vocabulary=demo&object=2", saving),
    "objects-one": State(f"objects?{DEMO}&vocabulary=demo&do=one"),
    "explain": State(f"explain?{DEMO}&vocabulary=demo"),
    "explain-save": State(f"explain?{DEMO}&vocabulary=demo", saving),
    "stage": State(f"stage?{DEMO}&vocabulary=demo"),
    "counts": State("counts?images=demo", counted),
    "models": State("models"),
    "checkpoints-runs": State("checkpoints?tab=runs"),
    "checkpoints-compare": State("checkpoints?tab=compare"),
    "data": State("data"),
    "data-words": State("data?tab=words"),
    "data-images": State("data?tab=images"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_no_serious_or_critical_violation_in_either_theme(app: str, page: Page, axe: str, name: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    visit(page, f"{app}/{STATES[name].address}")
    STATES[name].prepare(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
        page.wait_for_timeout(500)  # colours change by and by
        assert violations(page, axe) == []
    assert mistakes(page) == [] or name == "browse-nothing-yet"


def test_a_violation_is_found(page: Page, axe: str) -> None:
    page.set_content('<html lang="en"><title>t</title><main><h1>t</h1><img src="data:,"><a href="#"></a></main></html>')
    assert [found.partition(":")[0] for found in violations(page, axe)] == ["image-alt", "link-name"]


def violations(page: Page, axe: str) -> list[str]:
    """Each serious or critical violation that is not Streamlit's own: the rule, the element and what is wrong."""
    page.evaluate(axe)
    excluded = """([rules]) => axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations.map(
        (one) => ({...one, nodes: one.nodes.filter(
            (node) => !rules[one.id] || !document.querySelector(node.target.at(-1))?.matches(rules[one.id]))})))"""
    found: list[dict[str, Any]] = page.evaluate(excluded, [{rule: known[0] for rule, known in STREAMLITS.items()}])
    return [
        f"{one['id']}: {node['html'][:300]} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
