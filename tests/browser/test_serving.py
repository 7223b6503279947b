"""Served mode with a real OIDC provider on loopback: sign-in, roles, whose marks, and who may connect."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks._reliability.kills import store_evaluation
from benchmarks._serving import free_port, wait_until_served
from benchmarks.reporting import home_at
from odits.data.annotation_files import annotators
from odits.data.annotations import read_marks
from tests.browser.conftest import REPOSITORY, WAIT, mistakes, settle, visit

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("authlib", "oidc_provider_mock")),
    reason="signing in needs Authlib and a provider (requirements-dev.txt)",
)

PEOPLE = {"ada@uni.example": "annotator", "bo@uni.example": "annotator", "eve@uni.example": "reviewer"}


class Server(NamedTuple):
    """A server in served mode: its address, its home, and the folder that it offers."""

    address: str
    home: Path
    root: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The explorer as `odits app --serve` starts it, and a provider that knows four people."""
    from oidc_provider_mock import User, run_server_in_thread

    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("streets")
    from odits.core.files import asset

    for file in asset("demo").iterdir():
        (root / file.name).write_bytes(file.read_bytes())
    port = free_port()
    with home_at(home):
        store_evaluation()
    address = f"http://localhost:{port}"
    users = [User(sub=name, claims={"email": name}) for name in (*PEOPLE, "stranger@else.example")]
    users.append(User(sub="unproved", claims={"email": "eve@uni.example", "email_verified": False}))
    with ExitStack() as stack:
        provider = stack.enter_context(run_server_in_thread(user_claims=users))
        (home / "serve.toml").write_text(
            f'address = "{address}"\nroots = ["{root}"]\nannotators = ["ada@uni.example", "bo@uni.example"]\n'
            'reviewers = ["eve@uni.example"]\nupload_megabytes = 1\n'
        )
        secrets = home / "secrets.toml"
        secrets.write_text(
            f'[auth]\nredirect_uri = "{address}/oauth2callback"\ncookie_secret = "{"s3cret" * 8}"\n'
            'client_id = "odits"\nclient_secret = "of-the-test"\n'
            f'server_metadata_url = "http://localhost:{provider.server_port}/.well-known/openid-configuration"\n'
        )
        secrets.chmod(0o600)
        environment = os.environ | {"ODITS_HOME": str(home)}
        command = [sys.executable, "-m", "odits", "app", "--serve", "--port", str(port)]
        log = home / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        stack.callback(process.wait, timeout=30)
        stack.callback(process.kill)
        wait_until_served(address, process, log)
        yield Server(address, home, root)


@pytest.fixture
def tab(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    yield context
    context.close()


def sign_in(context: BrowserContext, server: Server, who: str, path: str = "/") -> Page:
    """A tab in which somebody signed in at the provider."""
    page = context.new_page()
    visit(page, server.address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=who, exact=True).first.click()
    page.wait_for_url(f"{server.address}/**")
    settle(page)
    if path != "/":
        visit(page, server.address + path)
    return page


def test_nobody_sees_anything_before_signing_in(server: Server, tab: BrowserContext) -> None:
    page = tab.new_page()
    for path in ("/", "/browse", "/checkpoints?source=mlflow-at&place-mlflow-at=http://127.0.0.1:9", "/data"):
        visit(page, server.address + path)
        page.get_by_role("button", name="Sign in").wait_for()
        assert page.locator("img[alt]").count() == 0
        assert page.get_by_text("Data set:").count() == 0


def test_each_role_has_its_pages_and_no_free_paths(server: Server, tab: BrowserContext) -> None:
    page = sign_in(tab, server, "ada@uni.example", "/browse")
    page.get_by_text("ada@uni.example (annotator)").wait_for()
    assert page.get_by_label("Your name").count() == 0
    assert page.get_by_label("Folder of the data set").count() == 0
    assert page.get_by_role("radio", name="Agreement").count() == 0
    for path in ("/checkpoints", "/models", "/counts"):
        visit(page, server.address + path)
        assert page.get_by_text("is not for annotators").count() or page.get_by_text("Page not found").count()
        assert page.locator("img[alt^='The image']").count() == 0
    assert not mistakes(page)


def test_a_reviewer_sees_agreement_and_may_not_import(server: Server, tab: BrowserContext) -> None:
    page = sign_in(tab, server, "eve@uni.example", "/browse?part=agreement")
    page.get_by_text("Marks as files").wait_for()
    assert page.locator('input[type="file"]').count() == 0


def test_two_annotators_mark_under_their_own_names_and_a_reviewer_compares(server: Server, browser: Browser) -> None:
    link = "/browse?images=demo&vocabulary=demo&model=embedded&view=image&opened=cafe.jpg&annotator=Mallory"
    for who, verdict in (("ada@uni.example", "right"), ("bo@uni.example", "wrong")):
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        context.set_default_timeout(WAIT)
        page = sign_in(context, server, who, link)
        page.locator(f".st-key-{verdict}-0 button").click()
        page.get_by_text("1 of 60 words marked").wait_for()
        assert not mistakes(page)
        context.close()
    with home_at(server.home):
        assert annotators() == ["ada@uni.example", "bo@uni.example"]
        assert [mark.verdict for mark in read_marks("bo@uni.example").values()] == ["wrong"]
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    page = sign_in(context, server, "eve@uni.example", "/browse?part=agreement")
    page.get_by_text("Words on which they differ").wait_for()
    context.close()


def test_who_is_taken_off_the_lists_can_not_mark_in_a_tab_that_is_still_open(
    server: Server, tab: BrowserContext
) -> None:
    link = "/browse?images=demo&vocabulary=demo&model=embedded&view=image&opened=hotel.jpg"
    page = sign_in(tab, server, "bo@uni.example", link)
    button = page.locator(".st-key-right-0 button")
    button.click()
    page.locator(".st-key-right-0 button[kind='primary']").first.wait_for()
    settle(page)
    with home_at(server.home):
        before = read_marks("bo@uni.example")
    settings = server.home / "serve.toml"
    allowed = settings.read_text()
    try:
        settings.write_text(allowed.replace(', "bo@uni.example"', ""))
        page.locator(".st-key-wrong-1 button").click()
        page.get_by_text("have no part here yet").wait_for()
        settle(page)
        assert page.locator(".st-key-wrong-1").count() == 0
    finally:
        settings.write_text(allowed)
    with home_at(server.home):
        assert len(before) == len(read_marks("bo@uni.example")) > 0


@pytest.mark.parametrize("who", ["stranger@else.example", "unproved"])
def test_a_stranger_and_an_address_that_is_not_proved_have_no_part(
    server: Server, tab: BrowserContext, who: str
) -> None:
    page = sign_in(tab, server, who)
    page.get_by_text("have no part here yet").wait_for()
    assert page.get_by_text("Data set:").count() == 0


def test_a_foreign_origin_or_host_is_refused_at_the_websocket(server: Server) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync import client

    connect: Any = client.connect
    stream = server.address.replace("http", "ws") + "/_stcore/stream"
    for allowed in ({"origin": server.address}, {}):
        with connect(stream, subprotocols=["streamlit"], **allowed):
            pass
    connections = (
        {"uri": stream, "origin": "https://evil.example"},
        {"uri": stream.replace("localhost", "evil.example")},
    )
    for refused in connections:
        with (
            socket.create_connection(("localhost", urlsplit(stream).port), timeout=10) as sock,
            pytest.raises(InvalidStatus, match="403"),
            connect(sock=sock, subprotocols=["streamlit"], **refused),
        ):
            pass


def test_an_upload_without_the_xsrf_token_is_refused(server: Server) -> None:
    request = urllib.request.Request(
        f"{server.address}/_stcore/upload_file/session/file", data=b"x", method="PUT", headers={"Cookie": "a=b"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code in (400, 403)


def test_an_upload_beyond_the_limit_is_refused_by_the_page_and_by_the_server(
    server: Server, tab: BrowserContext, tmp_path: Path
) -> None:
    page = sign_in(tab, server, "ada@uni.example")
    chosen = page.locator("input[type=file]").first
    with page.expect_request(lambda request: request.method == "PUT") as sent:
        chosen.set_input_files(server.root / "hotel.jpg")
    page.get_by_text("1 image of yours").first.wait_for()
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG" + bytes(3 * 2**20))
    chosen.set_input_files(large)
    page.get_by_text("1.0MB or smaller").first.wait_for()
    token = sent.value.headers["x-xsrftoken"]
    for megabytes, status in ((0.1, 204), (3, 413)):
        got = page.request.put(
            sent.value.url,
            headers={"X-Xsrftoken": token},
            multipart={"a.png": {"name": "a.png", "mimeType": "image/png", "buffer": bytes(int(megabytes * 2**20))}},
        )
        assert got.status == status
