"""Takes the README's screenshots from the running app: `python docs/screenshots/take.py [NAME…]`.

Pictures are the repository's own demo images: no photograph of a data set gets into the repository. The pages with
numbers show SVT's where the data set is at hand.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
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


FOUR = "model=street&model2=spotting&model3=embedded&model4=spotting:v6"
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
NARROW_TOO = [(width, scheme) for width in (1280, 800) for scheme in SCHEMES]
BOTH = [(1280, scheme) for scheme in SCHEMES]
WINDOWS: dict[str, tuple[str, list[tuple[int, Scheme]]]] = {
    "words": ("?images=demo&image=cafe.jpg", NARROW_TOO),
    "annotate": (
        "browse?images=demo&vocabulary=demo&model=spotting&annotator=Anna&view=annotate&opened=cafe.jpg",
        BOTH,
    ),
    "stage": (f"stage?images=demo&image=cafe.jpg&{FOUR}&list=cafe.jpg%0Abakery.jpg", BOTH),
    "compare": ("checkpoints?tab=compare&family=rank", BOTH),
}
"""What is shown as it is in windows 720 pixels high: its address, and their widths and colours."""
COMPARED = ("embedded", "street", "spotting")
"""Models that are evaluated on the demo images for Compare and the report."""


def take_window(browser: Browser, address: str, name: str) -> None:
    """Write the screenshots of a window: words-1280-light.png and so on."""
    path, windows = WINDOWS[name]
    for width, scheme in windows:
        context = browser.new_context(viewport={"width": width, "height": 720}, color_scheme=scheme)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.add_init_script("localStorage.setItem('odits-tour', 'seen')")
        page.goto(f"{address}/{path}")
        settle(page)
        if page.locator(".st-key-link-open button").count():
            page.locator(".st-key-link-open button").click()
            settle(page)
        evaluate(page)
        if name == "annotate":
            page.locator(".annotate .word").first.wait_for()
        if name == "compare":
            page.get_by_role("heading", name="Differences").scroll_into_view_if_needed()
            page.get_by_role("heading", name="Differences").evaluate("element => element.scrollIntoView()")
        page.mouse.move(2, 2)
        page.wait_for_timeout(1500)
        save(page, f"{name}-{width}-{scheme}")
        context.close()


def save(page: Page, name: str) -> None:
    """Write a screenshot with at most 256 colours: a quarter of the size, and nobody sees it."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small(picture, name)


def small(picture: Image.Image, name: str) -> None:
    """Write a picture with at most 256 colours."""
    colours = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=2)  # plain surfaces keep their exact colour
    colours.save(FOLDER / f"{name}.png", optimize=True)


def take_report(python: str) -> None:
    """Write pages of the demo's report, side by side: metrics, differences, and the last picture."""
    odits = [python, "-m", "odits"]
    demo = ["--data", str(REPOSITORY / "assets" / "demo"), "--split", "all"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.pdf"
        subprocess.run([*odits, "report", *COMPARED, *demo, "--out", str(file)], check=True, cwd=REPOSITORY)
        subprocess.run(["pdftoppm", "-r", "60", "-png", str(file), str(file.with_suffix(""))], check=True)
        sides = [Image.open(one).convert("RGB") for one in sorted(Path(folder).glob("report-*.png"))]
        sides = [*sides[1:3], sides[-1]]
        joined = Image.new("RGB", (sum(one.width + 12 for one in sides), max(one.height for one in sides)), "#888888")
        place = 6
        for one in sides:
            joined.paste(one, (place, 0))
            place += one.width + 12
        small(joined, "report")


def evaluate(page: Page) -> None:
    """Evaluate the demo images where the page asks for it."""
    button = page.get_by_role("button", name="Evaluate 6 images")
    if button.count():
        button.click()
        button.wait_for(state="detached")
        page.locator('[class*="st-key-stop-"]').wait_for(state="detached")
        settle(page)


def take(page: Page, address: str, name: str) -> None:
    """Write one screenshot, as high as the page is, up to a limit."""
    page.goto(address)
    settle(page)
    evaluate(page)
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
    save(page, name)
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
    names = [*VIEWS, *(f"{name}-windows" for name in WINDOWS), "report"]
    asked = sys.argv[1:] or names
    if unknown := sorted(set(asked) - set(names)):
        sys.stderr.write(f"There is no {', '.join(unknown)}; there is {', '.join(names)}.\n")
        return 2
    if {"compare-windows", "report"} & set(asked):
        demo = ["--data", "assets/demo", "--split", "all", "--json"]
        for model in COMPARED:
            command = [sys.executable, "-m", "odits", "evaluate", "--checkpoint", model, *demo]
            subprocess.run(command, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    if "report" in asked:
        take_report(sys.executable)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        wait_until_served(f"http://localhost:{port}", server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.set_default_timeout(WAIT)
            page.add_init_script("localStorage.setItem('odits-tour', 'seen')")
            for name, path in VIEWS.items():
                if name in asked:
                    take(page, f"http://localhost:{port}/{path.format(numbers=numbers, words=words)}", name)
            for name in WINDOWS:
                if f"{name}-windows" in asked:
                    take_window(browser, f"http://localhost:{port}", name)
            browser.close()
    finally:
        server.kill()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
