"""The app in a real browser: seconds from start to the first page, and the server's memory over 100 image views."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import parser, report  # noqa: E402

DEMO = sorted((ROOT / "assets" / "demo").glob("*.jpg"))


def main() -> None:
    """Start the app, open it, walk through the demo images, and report."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--views", type=int, default=100)
    options = arguments.parse_args()
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        start = time.perf_counter()
        server = subprocess.Popen([*command, "--server.headless", "true"], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.05)
            page.goto(f"http://localhost:{port}/data")
            page.get_by_role("heading", name="Data", exact=True).wait_for()
            first = time.perf_counter() - start
            process, memory = psutil.Process(server.pid), []
            for view in range(options.views):
                image = DEMO[view % len(DEMO)].name
                page.goto(f"http://localhost:{port}/?images=demo&image={image}")
                page.get_by_text("The numbers").first.wait_for(timeout=120_000)
                memory.append(process.memory_info().rss / 2**20)
        finally:
            server.terminate()
            browser.close()
    figures = {
        "first_page_seconds": first,
        "views": options.views,
        "memory_mb_after_20_views": memory[min(19, len(memory) - 1)],
        "memory_mb_at_the_end": memory[-1],
        "growth_after_20_views": memory[-1] / memory[min(19, len(memory) - 1)],
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()
