"""`odits app --serve` refuses in one sentence what would leave a server open; back-up and restore by command."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odits.cli import app as commands
from odits.core.errors import OditsError
from odits.data.annotations import set_mark
from odits.data.marks import ImageWord

SETTINGS = 'address = "https://x.example"\nowners = ["a@x.example"]\n'
SECRETS = {
    "redirect_uri": "https://x.example/oauth2callback",
    "cookie_secret": "x" * 40,
    "client_id": "a",
    "client_secret": "b",
    "server_metadata_url": "https://p.example/.well-known/openid-configuration",
}


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(commands, ["app", "--serve", *arguments])
    assert isinstance(result.exception, OditsError), result.output
    return str(result.exception)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path))
    return tmp_path


def write_secrets(home: Path, **changes: str) -> None:
    lines = [f'{name} = "{value}"' for name, value in (SECRETS | changes).items() if value]
    (home / "secrets.toml").write_text("[auth]\n" + "\n".join(lines))
    (home / "secrets.toml").chmod(0o600)


def test_without_settings_nothing_is_served(home: Path) -> None:
    assert "serve.toml can't be read" in refusal()


@pytest.mark.skipif(importlib.util.find_spec("authlib") is None, reason="signing in needs Authlib")
def test_without_a_safe_sign_in_nothing_is_served(home: Path) -> None:
    (home / "serve.toml").write_text(SETTINGS)
    assert "secrets.toml can't be read" in refusal()
    write_secrets(home, client_secret="")
    assert "needs client_secret" in refusal()
    write_secrets(home, cookie_secret="short")
    assert "at least 32 characters" in refusal()
    write_secrets(home, redirect_uri="https://evil.example/oauth2callback")
    assert "redirect_uri" in refusal()
    write_secrets(home)
    (home / "secrets.toml").chmod(0o644)
    assert "can be read by others" in refusal()


@pytest.mark.skipif(importlib.util.find_spec("authlib") is None, reason="signing in needs Authlib")
@pytest.mark.parametrize(
    "option", ["--server.enableXsrfProtection=false", "--server.enableCORS=false", "--server.allowedHosts=*"]
)
def test_protections_can_not_be_turned_off(home: Path, option: str) -> None:
    (home / "serve.toml").write_text(SETTINGS)
    write_secrets(home)
    assert "can't be changed" in refusal(option)


def test_back_up_and_restore_by_command(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_mark("Ada", ImageWord("SVT", "a.jpg", "one"), "right")
    done = CliRunner().invoke(commands, ["annotations", "backup", str(tmp_path / "marks.zip"), "--json"])
    assert json.loads(done.stdout) == [{"annotator": "Ada", "marks": 1}]
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    done = CliRunner().invoke(commands, ["annotations", "restore", str(tmp_path / "marks.zip"), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["files"] == [{"name": "Ada", "read": 1, "new": 1, "kept": None}]
