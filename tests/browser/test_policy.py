"""The Content-Security-Policy of the examples in `deploy/`: every page works under it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import REPOSITORY, WAIT, mistakes, settle
from tests.browser.test_app import PAGES

WRITTEN_FOR = "1.67."
"""The version of Streamlit whose script the examples name by its hash."""


def policy() -> str:
    return re.findall('Content-Security-Policy "([^"]+)"', (REPOSITORY / "deploy" / "nginx.conf").read_text())[0]


def script_hash() -> str:
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def test_the_examples_name_the_script_of_streamlits_own_page() -> None:
    if not streamlit.__version__.startswith(WRITTEN_FOR):
        pytest.skip(f"the examples are for Streamlit {WRITTEN_FOR}x, this is {streamlit.__version__}")
    assert script_hash() in policy()


def test_every_page_works_under_the_policy(app: str, browser: Browser) -> None:
    allowed = re.sub(r"sha256-[^']+", script_hash(), policy())
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(WAIT)

    def answer(route: Route) -> None:
        if route.request.resource_type == "document":
            response = route.fetch()
            kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
            route.fulfill(
                response=response, headers=kept | {"content-type": "text/html", "content-security-policy": allowed}
            )
        else:
            route.continue_()

    context.route(lambda address: address.startswith(app), answer)
    refused = list[str]()
    page = context.new_page()
    page.on(
        "console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None
    )
    for path, title in PAGES.items():
        page.goto(f"{app}/{path}")
        settle(page)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        assert mistakes(page) == [], path
    assert refused == []
    page.goto("about:blank")
    page.goto(app)  # and what the policy forbids is refused
    settle(page)
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    page.wait_for_timeout(500)
    context.close()
    assert any("127.0.0.1:9" in text for text in refused)
