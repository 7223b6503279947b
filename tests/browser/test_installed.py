"""The explorer as `odits app` starts it from the installed wheel, outside the checkout and without a network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from benchmarks._serving import free_port, wait_until_served
from odits.core.files import asset
from tests.browser.conftest import mistakes, visit
from tests.browser.test_app import PAGES
from tests.installing import Installed


@pytest.fixture(scope="module")
def explorer(installed: Installed) -> Iterator[str]:
    """The address of a running `odits app` with the demo as its data set."""
    port = free_port()
    command = [installed.command, "app", "--port", str(port), "--data", asset("demo"), "--server.headless=true"]
    log = installed.folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(part) for part in command],
            cwd=installed.folder,
            env=installed.environment,
            stdout=output,
            stderr=output,
        )
    address = f"http://localhost:{port}"
    try:
        wait_until_served(address, server, log)
        yield address
    finally:
        server.kill()
        server.wait(timeout=30)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_of_the_installed_explorer_opens(explorer: str, page: Page, path: str) -> None:
    visit(page, f"{explorer}/{path}")
    expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])
    assert mistakes(page) == []


def test_installed_explorer_has_its_own_theme(explorer: str, page: Page) -> None:
    """The colours of .streamlit/config.toml are found although the server was started elsewhere."""
    page.emulate_media(color_scheme="light")
    visit(page, explorer)
    colour = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stSidebar]')).backgroundColor")
    assert colour == "rgb(242, 245, 248)"
