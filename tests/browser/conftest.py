"""A running app and a real browser for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect, sync_playwright

from benchmarks._serving import free_port, wait_until_served

REPOSITORY = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=LocalNetworkAccessChecks",  # a page whose headers a test changed counts as a foreign one
]
WAIT = 120_000
"""Milliseconds that a page may take on a busy machine, the first loading of a model included."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium or Chrome; skips where there is none, and fails instead where ODITS_REQUIRE_BROWSER=1."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = "No Chromium or Chrome was found: install one, or name it in CHROMIUM."
        if os.environ.get("ODITS_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield started
        started.close()


Serve = Callable[..., str]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A function that starts the app of a folder, with a prepared or an empty ODITS_HOME, over a data set, and returns
    its address.

    All are stopped in the end.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, home: Path | None = None, data: Path | None = None, **variables: str) -> str:
        port = free_port()
        home = home or tmp_path_factory.mktemp("home")
        log = home / "server.log"
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            f"--server.port={port}",
            "--server.headless=true",
        ]
        environment = os.environ | {"ODITS_HOME": str(home), "HF_HUB_OFFLINE": "1"}
        environment |= ({"ODITS_DATA": str(data)} if data else {}) | variables
        with log.open("wb") as output:
            running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output))
        address = f"http://localhost:{port}"
        wait_until_served(address, running[-1], log)
        return address

    yield start
    for process in running:
        process.kill()  # an open browser tab would keep a server that is asked politely waiting
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def app(browser: Browser, serve: Serve) -> str:
    """The address of the app of this repository."""
    return serve(REPOSITORY)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab of 1440 pixels, of somebody who has seen the tour."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    context.add_init_script("try { localStorage.setItem('odits-tour', 'seen') } catch { /* about:blank has none */ }")
    yield context.new_page()
    context.close()


def settle(page: Page) -> None:
    """Waits until the app has run to its end."""
    page.wait_for_selector("h1")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(1200)  # a first visit is routed twice: only then do keys reach the buttons
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def visit(page: Page, address: str) -> None:
    """Opens an address, and by hand what it asks for beyond what is offered, and waits until all of it is there."""
    page.goto(address)
    settle(page)
    if page.locator(".st-key-link-open button").count():
        page.locator(".st-key-link-open button").click()
        settle(page)


def press(page: Page, key: str, shown: str) -> None:
    """Presses a key until the text is there: a key pressed while the page still loads may be lost, as it is by hand."""
    for _ in range(6):
        page.keyboard.press(key)
        try:
            page.get_by_text(shown).wait_for(timeout=8000)
            return
        except TimeoutError:
            continue
    pytest.fail(f"{key} did not lead to '{shown}'.")


def mistakes(page: Page) -> list[str]:
    """The texts of all error boxes on the page, without what keeps Streamlit from making links of them."""
    found = page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]')
    return [text.replace("\u2060", "") for text in found.all_inner_texts()]
