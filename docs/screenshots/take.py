"""Takes the README's screenshots from the running app: `python docs/screenshots/take.py [NAME…]`.

Pictures are the repository's own demo images: no photograph of a data set gets into the repository. The pages with
numbers show SVT's where the data set is at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH, TALLEST = 1440, 1500
WAIT = 1_200_000  # milliseconds: counting the objects of 100 images takes minutes on a busy machine

VIEWS = {
    "words": "?images=demo&image=cafe.jpg",
    "browse": "browse?images=demo&vocabulary=demo&annotator=Anna&view=image&opened=hotel.jpg",
    "search": "search?searched=demo&query=cafe",
    "objects": "objects?images=demo&image=cafe.jpg&vocabulary=demo&object=7",
    "explain": "explain?images=demo&image=cafe.jpg&vocabulary={words}",
    "counts": "counts?images={numbers}",
    "models": "models",
    "checkpoints": "checkpoints?tab=compare",
    "runs": "checkpoints?tab=runs",
    "data": "data?tab=overview",
    "data-words": "data?tab=words",
}


FIRST = [(width, scheme) for width in (1280, 800) for scheme in ("light", "dark")]
"""Windows, 720 pixels high, and colours in which the first screen is shown as it is, without scrolling."""


def take_first(browser: Browser, address: str) -> None:
    """Write the first screen's screenshots: words-1280-light.png and so on."""
    for width, scheme in FIRST:
        context = browser.new_context(viewport={"width": width, "height": 720}, color_scheme=scheme)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.add_init_script("localStorage.setItem('odits-tour', 'seen')")
        page.goto(address)
        settle(page)
        page.screenshot(path=FOLDER / f"words-{width}-{scheme}.png")
        context.close()


def take(page: Page, address: str, name: str) -> None:
    """Write one screenshot, as high as the page is, up to a limit."""
    page.goto(address)
    settle(page)
    evaluate = page.get_by_role("button", name="Evaluate 6 images")
    if evaluate.count():
        evaluate.click()
        page.get_by_role("button", name="All images").wait_for()
        settle(page)
    index = page.get_by_role("button", name="Index 6 images")
    if index.count():
        index.click()
        page.get_by_role("button", name="Stop").wait_for()
        page.get_by_role("button", name="Stop").wait_for(state="detached")
        settle(page)
    count = page.get_by_role("button", name="Count objects in").or_(page.get_by_role("button", name="Go on with"))
    if count.count():
        count.first.click()
        page.get_by_role("button", name="Stop").wait_for()
        page.get_by_role("button", name="Stop").wait_for(state="detached")
        page.get_by_text("Standard deviation", exact=True).first.wait_for()
        settle(page)
    needed = page.get_by_test_id("stMain").evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(max(needed, 900), TALLEST)})
    page.wait_for_timeout(2500)  # charts draw themselves anew
    page.screenshot(path=FOLDER / f"{name}.png")
    page.set_viewport_size({"width": WIDTH, "height": 900})


def settle(page: Page) -> None:
    """Wait until the app has run to its end and its charts are drawn."""
    page.wait_for_selector("h1")
    for _ in range(2):
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.wait_for_timeout(1500)
    for chart in page.get_by_test_id("stPlotlyChart").all():
        chart.locator(".main-svg").first.wait_for()


def main() -> int:
    """Exit status: 0 when all screenshots were written, 2 when there is no browser."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        sys.stderr.write("No Chromium or Chrome was found: install one, or name it in CHROMIUM.\n")
        return 2
    sys.path.insert(0, str(REPOSITORY))
    from benchmarks._serving import free_port, wait_until_served
    from odits.data import find_data_folder

    numbers, words = ("demo", "demo") if find_data_folder(None) is None else ("train", "svt")
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        wait_until_served(f"http://localhost:{port}", server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.set_default_timeout(WAIT)
            for name, path in VIEWS.items():
                if name in (sys.argv[1:] or VIEWS):
                    take(page, f"http://localhost:{port}/{path.format(numbers=numbers, words=words)}", name)
            if "first" in (sys.argv[1:] or ["first"]):
                take_first(browser, f"http://localhost:{port}/?images=demo&image=cafe.jpg")
            browser.close()
    finally:
        server.kill()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
