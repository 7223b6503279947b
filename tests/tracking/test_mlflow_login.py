"""Servers that want a login: MLflow's own variables are used, and a refusal is one sentence without a secret."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from odits.core.errors import StoreError
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import TrackingError
from tests.loopback import serving

USER, PASSWORD, TOKEN = "ada", "hunter2-is-secret", "token-that-is-secret"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ADA = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
LOGIN = (*ADA, "MLFLOW_TRACKING_TOKEN")


class Server(BaseHTTPRequestHandler):
    """Answers as MLflow with `--app-name basic-auth` does; the user "guest" may read nothing."""

    asked: ClassVar[list[str]] = []

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        login = self.headers.get("Authorization", "")
        self.asked.append(login)
        guest = "Basic " + base64.b64encode(f"guest:{PASSWORD}".encode()).decode()
        if login == guest:
            status, kind, body = 403, "text/html", "Permission denied"
        elif login not in (BASIC, f"Bearer {TOKEN}"):
            status, kind, body = 401, "text/html", "You are not authenticated. Please see https://www.mlflow.org/docs"
        else:
            found = {"experiments": [], "runs": []}
            status, kind, body = 200, "application/json", json.dumps(found)
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="mlflow"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = _answer  # noqa: N815  (the names that http.server calls)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for name in (*LOGIN, "MLFLOW_TRACKING_URI", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Server, "asked", [])
    with serving(Server) as address:
        monkeypatch.setenv("ODITS_MLFLOW_LOGIN_FOR", address)
        yield address


@pytest.mark.parametrize(
    "login",
    [ADA, {"MLFLOW_TRACKING_TOKEN": TOKEN}],
)
def test_mlflows_own_variables_are_the_login(
    server: str, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    assert open_store(f"mlflow:{server}").list().runs == ()
    assert set(Server.asked) <= {BASIC, f"Bearer {TOKEN}"} and Server.asked


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (
            {},
            f"wants a login: set {LOGIN[0]} and {LOGIN[1]}, or {LOGIN[2]}",
        ),
        (
            {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": f"{PASSWORD}-old"},
            "refuses the login in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        ),
        ({"MLFLOW_TRACKING_TOKEN": f"{TOKEN}-old"}, "refuses the token in MLFLOW_TRACKING_TOKEN"),
        (
            {"MLFLOW_TRACKING_USERNAME": "guest", "MLFLOW_TRACKING_PASSWORD": PASSWORD},
            "does not allow that to the user who asks",
        ),
    ],
)
def test_a_refused_login_is_one_sentence(
    server: str, login: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow prints a traceback with the page that the server sent."""
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as caught:
        open_store(f"mlflow:{server}").list()
    with pytest.raises(TrackingError) as tracked:
        make_tracker(f"mlflow:{server}").start("a run", {}, {})
    for error in (caught.value, tracked.value):
        assert str(error).startswith(f"The MLflow server {server} {said}") and str(error).endswith(".")
        assert "\n" not in str(error) and PASSWORD not in str(error) and TOKEN not in str(error)
        assert error.__cause__ is None


def test_a_login_in_the_address_is_used_and_never_shown(server: str) -> None:
    address = server.replace("://", f"://{USER}:{PASSWORD}@")
    assert open_store(f"mlflow:{address}").list().runs == ()
    with pytest.raises(StoreError, match=r"wants a login|refuses the login") as caught:
        open_store(f"mlflow:{address.replace(PASSWORD, PASSWORD + 'x')}").list()
    assert PASSWORD not in str(caught.value)


def test_the_command_says_one_line(server: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "odits", "checkpoints", "list", "--json", "--source", f"mlflow:{server}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"odits: The MLflow server {server} wants a login")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("ml*"))


class Redirecting(BaseHTTPRequestHandler):
    """Sends whoever asks to another server, with what they ask."""

    target: ClassVar[str] = ""
    asked: ClassVar[list[str]] = []

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append(self.headers.get("Authorization", ""))
        self.send_response(307)
        self.send_header("Location", self.target + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _answer  # noqa: N815  (the names that http.server calls)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize("login", [ADA, {"MLFLOW_TRACKING_TOKEN": TOKEN}])
def test_the_login_goes_to_the_server_that_it_is_for_and_to_no_other(
    server: str, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ODITS_MLFLOW_LOGIN_FOR", "https://elsewhere.example,http://127.0.0.1:9")
    with pytest.raises(StoreError, match="the one here is for another server"):
        open_store(f"mlflow:{server}").list()
    assert set(Server.asked) == {""}


@pytest.mark.parametrize("login", [ADA, {"MLFLOW_TRACKING_TOKEN": TOKEN}])
def test_a_redirect_takes_no_login_along(server: str, login: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Redirecting, "target", server)
    monkeypatch.setattr(Redirecting, "asked", [])
    with serving(Redirecting) as first:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", first)
        monkeypatch.delenv("ODITS_MLFLOW_LOGIN_FOR")
        with pytest.raises(StoreError):
            open_store("mlflow").list()
    assert set(Redirecting.asked) <= {BASIC, f"Bearer {TOKEN}"} and Redirecting.asked
    assert set(Server.asked) <= {""}


def test_a_command_names_the_server_that_the_login_is_for_where_none_was_configured(
    server: str, tmp_path: Path
) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ODITS_HOME": str(tmp_path / "home"), **ADA}
    command = [sys.executable, "-m", "odits", "checkpoints", "list", "--source", f"mlflow:{server}", "--json"]
    folder = Path(__file__).parents[2]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    assert set(Server.asked) == {BASIC}
    Server.asked.clear()
    environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    done = subprocess.run(command, env=environment, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode != 0 and "is for another server" in done.stderr
    assert set(Server.asked) == {""}
