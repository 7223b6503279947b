"""The examples for servers: each is looked at by the program that it is for, where that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str) -> str:
    found = shutil.which(
        name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"))
    )
    if found is None:
        pytest.skip(f"{name} isn't installed")
    return found


def told(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_dockerfile_has_nothing_that_a_linter_names() -> None:
    assert told(tool("hadolint"), DEPLOY / "Dockerfile") == ""


def test_the_linter_names_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python\nRUN pip install odits\n")
    assert "DL3006" in subprocess.run([tool("hadolint"), wrong], capture_output=True, text=True, timeout=60).stdout


def test_the_dockerfile_copies_what_the_package_is_built_from() -> None:
    ignored = (DEPLOY.parent / ".dockerignore").read_text() if (DEPLOY.parent / ".dockerignore").exists() else ""
    assert not {"odits", "pages", "app.py", "assets", "pyproject.toml"} & set(ignored.split())


def test_the_unit_is_one_for_systemd(tmp_path: Path) -> None:
    unit = (DEPLOY / "odits.service").read_text()
    here = tmp_path / "odits.service"  # neither the user nor the program exists here
    here.write_text(
        re.sub(r"^User=.*|^Group=.*", "", unit, flags=re.MULTILINE).replace("/opt/odits/bin/odits", "/bin/true")
    )
    assert told(tool("systemd-analyze"), "verify", here) == ""


def test_nginx_takes_its_example(tmp_path: Path) -> None:
    nginx, key, certificate = tool("nginx"), tmp_path / "key.pem", tmp_path / "certificate.pem"
    about = ("-nodes", "-days", "2", "-subj", "/CN=marks.uni.example", "-keyout", str(key), "-out", str(certificate))
    told(tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", *about)
    text = (DEPLOY / "nginx.conf").read_text()
    for place, file in ((r"/etc/ssl/\S+\.pem", certificate), (r"/etc/ssl/private/\S+\.key", key)):
        text, count = re.subn(place, str(file), text)
        assert count == 1
    (tmp_path / "odits.conf").write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ include {tmp_path}/odits.conf; }}\n")
    assert "test is successful" in told(nginx, "-t", "-p", tmp_path, "-c", main)


def test_caddy_takes_its_example() -> None:
    assert "Valid configuration" in told(
        tool("caddy"), "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"
    )


def test_both_examples_have_the_same_policy() -> None:
    policies = {
        re.findall('Content-Security-Policy "([^"]+)"', (DEPLOY / name).read_text())[0]
        for name in ("nginx.conf", "Caddyfile")
    }
    assert len(policies) == 1
