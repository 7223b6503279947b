"""Warm pages in a browser: first paint, ready, a slider, the next picture, beside a trivial Streamlit app."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._serving import free_port, wait_until_served  # noqa: E402
from benchmarks.reporting import parser, report  # noqa: E402
from odits.core.files import temporary_folder  # noqa: E402

TRIVIAL = """
import streamlit as st

st.set_page_config(layout="wide")
st.title("Trivial")
st.slider("A number", 0.0, 1.0, key="number")
st.write(st.session_state.number)
"""
PAGES = {
    "words": "?images=demo&image=cafe.jpg&vocabulary=demo&model=embedded",
    "browse": "browse?images=demo&vocabulary=demo&model=embedded",
    "search": "search?searched=demo",
    "objects": "objects?images=demo&image=cafe.jpg&vocabulary=demo",
    "explain": "explain?images=demo&image=cafe.jpg&vocabulary=demo",
    "stage": "stage?images=demo&image=cafe.jpg",
    "counts": "counts?images=demo",
    "models": "models",
    "checkpoints": "checkpoints?tab=here",
    "data": "data",
}
WAIT = 600_000  # milliseconds: the first visit loads the models
_QUIET_MS = 500
# notes when the page last changed, on the clock that starts with the navigation
_WATCH = """
localStorage.setItem("odits-tour", "seen");
window.oditsLast = 0;
new MutationObserver(() => { window.oditsLast = performance.now(); })
    .observe(document, {subtree: true, childList: true, characterData: true});
"""
_QUIET = """([since, within]) => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"
    && window.oditsLast > since && performance.now() - window.oditsLast > within"""
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"


def main() -> None:
    """Start both apps, visit every page until it is warm, then time it; print medians in milliseconds."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="three repetitions in place of nine")
    arguments.add_argument("--only", nargs="+", choices=list(PAGES), metavar="PAGE", help="these pages alone")
    options = arguments.parse_args()
    asked = options.only or list(PAGES)
    times = 3 if options.quick else 9
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    figures: dict[str, float] = {"repetitions": times, "load_before": os.getloadavg()[0]}
    with temporary_folder("pages") as folder, sync_playwright() as playwright:
        (folder / "app.py").write_text(TRIVIAL, "utf-8")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(WAIT)
        page.add_init_script(_WATCH)
        with served(folder, folder) as address:
            figures |= visits(page, address, "trivial", times)
            figures["trivial_slider_ms"] = median(times, lambda: slide(page))
        with served(ROOT, folder) as address:
            for name in asked:
                figures |= visits(page, f"{address}/{PAGES[name]}", name, times)
            for name in STEPS:
                if name in asked:
                    figures |= STEPS[name](page, address, times)
        browser.close()
    figures["load_after"] = os.getloadavg()[0]
    ready = [value for name, value in figures.items() if name.endswith("_ready_ms") and not name.startswith("trivial")]
    figures["slowest_page_over_trivial"] = max(ready) / figures["trivial_ready_ms"]
    report(figures, options.json)


@contextmanager
def served(folder: Path, home: Path) -> Iterator[str]:
    """Serve the app of a folder with a home of its own; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    environment = os.environ | {"ODITS_HOME": str(home / "home"), "HF_HUB_OFFLINE": "1"}
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        address = f"http://localhost:{port}"
        wait_until_served(address, process, log)
        yield address
    finally:
        process.kill()
        process.wait()


def visits(page: Page, address: str, name: str, times: int) -> dict[str, float]:
    """Time first paint and ready of a page that was visited before, from the start of the navigation."""
    paints, readies = [], []
    for visit in range(times + 2):
        page.goto(address)
        page.wait_for_selector("h1")
        ready = quiet(page, 0)
        if visit >= 2:  # the first loads models, the second still fills caches
            paints.append(float(page.evaluate(_PAINT)))
            readies.append(ready)
    return {f"{name}_first_paint_ms": statistics.median(paints), f"{name}_ready_ms": statistics.median(readies)}


def quiet(page: Page, since: float) -> float:
    """Wait until the page has changed after a time, and no more; return when it last changed, in milliseconds."""
    page.wait_for_function(_QUIET, arg=[since, _QUIET_MS], polling=20)
    return float(page.evaluate("() => window.oditsLast"))


def took(page: Page, act: Callable[[], object]) -> float:
    """Do something, and return the milliseconds until the page last changed because of it."""
    since = float(page.evaluate("() => performance.now()"))
    act()
    return quiet(page, since) - since


def median(times: int, act: Callable[[], float]) -> float:
    """Return the median of an action's milliseconds, after one to warm up."""
    act()
    return statistics.median(act() for _ in range(times))


def slide(page: Page) -> float:
    """Move the first slider of the main part of the page by a step."""
    page.get_by_test_id("stMain").get_by_role("slider").first.focus()
    return took(page, lambda: page.keyboard.press("ArrowRight"))


def slider_on_objects(page: Page, address: str, times: int) -> dict[str, float]:
    """Time a slider that only redraws."""
    page.goto(f"{address}/{PAGES['objects']}")
    page.get_by_test_id("stMain").get_by_role("slider").first.wait_for()
    quiet(page, 0)
    return {"slider_ms": median(times, lambda: slide(page))}


def next_on_words(page: Page, address: str, times: int) -> dict[str, float]:
    """Time the next picture on Words."""
    page.goto(f"{address}/{PAGES['words'].replace('cafe', 'bakery')}")
    quiet(page, 0)
    return {"words_next_picture_ms": turn(page, times)}


def next_on_browse(page: Page, address: str, times: int) -> dict[str, float]:
    """Time the next picture on Browse, once its pictures are evaluated."""
    page.goto(f"{address}/{PAGES['browse']}&part=images")
    page.get_by_role("button", name="Evaluate 6 images").click()
    page.locator(".st-key-gallery").wait_for()
    page.goto(f"{address}/{PAGES['browse']}&part=images&view=image&opened=bakery.jpg")
    page.locator(".st-key-pane-opened").wait_for()
    quiet(page, 0)
    return {"browse_next_picture_ms": turn(page, times)}


def turn(page: Page, times: int) -> float:
    """Return the median of a turn to the next or the previous of the pictures, after one turn through all of them."""
    keys = itertools.cycle(["ArrowRight"] * 4 + ["ArrowLeft"] * 4)
    for _ in range(8):
        took(page, lambda: page.keyboard.press(next(keys)))
    return median(times, lambda: took(page, lambda: page.keyboard.press(next(keys))))


STEPS = {"objects": slider_on_objects, "words": next_on_words, "browse": next_on_browse}
"""What is timed beyond a visit, by its page."""


if __name__ == "__main__":
    main()
