"""The app in a real browser: seconds to its first page and to hello's, and the server's memory over 100 image views."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._serving import free_port, wait_until_served  # noqa: E402
from benchmarks.reporting import parser, report  # noqa: E402

DEMO = sorted((ROOT / "assets" / "demo").glob("*.jpg"))


def main() -> None:
    """Open hello's first page, then start the app, open it, walk through the demo images, and report."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--views", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=1, help="times that each first page is opened")
    options = arguments.parse_args()
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    firsts: dict[str, list[float]] = {"hello": [], "app": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        for round_ in range(options.rounds):
            with first_page(page, ["hello"], "", "Welcome to Streamlit!") as (took, _, _):
                firsts["hello"].append(took)
            with first_page(page, ["run", "app.py"], "data", "Data") as (took, address, server):
                firsts["app"].append(took)
                memory = views(page, address, server, options.views if round_ == options.rounds - 1 else 0)
        browser.close()
    hello, first = (statistics.median(seconds) for seconds in firsts.values())
    figures = {
        "first_page_seconds": first,
        "hello_first_page_seconds": hello,
        "first_page_against_hello": first / hello,
        "views": options.views,
    }
    if memory:
        early = memory[min(19, len(memory) - 1)]
        figures |= {
            "memory_mb_after_20_views": early,
            "memory_mb_at_the_end": memory[-1],
            "growth_after_20_views": memory[-1] / early,
        }
    report(figures, options.json)


@contextmanager
def first_page(
    page: Page, app: list[str], path: str, heading: str
) -> Iterator[tuple[float, str, subprocess.Popen[bytes]]]:
    """Start an app and open a page of it; yield the seconds until its heading shows, its address and its server."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", *app, f"--server.port={port}", "--server.headless=true"]
    address = f"http://localhost:{port}"
    start = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until_served(address, server, pause_s=0.05)
        page.goto(f"{address}/{path}")
        page.get_by_role("heading", name=heading).first.wait_for()
        yield time.perf_counter() - start, address, server
    finally:
        server.terminate()
        server.wait()


def views(page: Page, address: str, server: subprocess.Popen[bytes], count: int) -> list[float]:
    """Look at demo images one after the other; return the server's megabytes after each."""
    process, memory = psutil.Process(server.pid), []
    for view in range(count):
        image = DEMO[view % len(DEMO)].name
        page.goto(f"{address}/?images=demo&image={image}")
        page.get_by_text("The numbers").first.wait_for(timeout=120_000)
        memory.append(process.memory_info().rss / 2**20)
    return memory


if __name__ == "__main__":
    main()
