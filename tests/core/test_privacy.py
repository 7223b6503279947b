"""No telemetry: nothing of it is left in the home folder, and nobody is called."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from odits.core.privacy import REPORTER, TELEMETRY_OFF, disable_telemetry
from tests.loopback import serving

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "assets" / "demo"
LEAVING = """
import odits
import onnxruntime, mlflow, huggingface_hub.constants
from mlflow.telemetry.utils import is_telemetry_disabled
print(is_telemetry_disabled(), huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY)
"""


def run(arguments: list[str], user_home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a home folder that is empty at first, in an environment that says nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**kept, "HOME": str(user_home), **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_variable_that_asks_for_telemetry_is_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TELEMETRY_OFF:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    disable_telemetry()
    assert {name: os.environ[name] for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_openvino_imports_nothing_that_reports() -> None:
    with pytest.raises(ImportError):
        importlib.import_module(REPORTER)


def test_openvino_leaves_no_identifier(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed (requirements-fast.txt)")
    path = str(Path(openvino.__file__).parents[1])
    done = run(["-c", "import odits, openvino.tools.ovc; print('imported')"], tmp_path, PYTHONPATH=path)
    assert done.stdout.split() == ["imported"], done.stderr
    assert files_in(tmp_path) == set()


@pytest.mark.slow
def test_libraries_that_are_imported_after_odits_leave_no_identifier(tmp_path: Path) -> None:
    without, with_it = tmp_path / "without", tmp_path / "with"
    without.mkdir(), with_it.mkdir()
    run(["-c", "import onnxruntime"], without)
    done = run(["-c", LEAVING], with_it, MLFLOW_DISABLE_TELEMETRY="false")
    assert done.stdout.split() == ["True", "True"], done.stderr
    assert files_in(with_it) == set()
    if not files_in(without):
        pytest.skip("This onnxruntime leaves nothing anyway.")


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[str]]]:
    """A proxy on this machine that writes down whom it is asked for, and refuses."""
    asked: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_error(403)

        do_CONNECT = do_GET = do_POST = do_HEAD = do_PUT = refuse  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with serving(Recorder) as address:
        yield address, asked


@pytest.mark.slow
def test_the_main_commands_call_nobody_and_leave_only_their_own_folder(
    tmp_path: Path, recorder: tuple[str, list[str]]
) -> None:
    address, asked = recorder
    proxies = {name: address for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")}
    home, data = tmp_path / "home", str(DEMO)
    home.mkdir()
    for arguments in (
        ["words", str(DEMO / "cafe.jpg"), "--json"],
        ["evaluate", "--data", data, "--split", "all", "--checkpoint", "embedded", "--json"],
        ["checkpoints", "list", "--json"],
    ):
        done = run(["-m", "odits", *arguments], home, **proxies)
        assert done.returncode == 0, done.stderr
    assert asked == []
    assert {Path(name).parts[:2] for name in files_in(home)} == {(".cache", "odits")}


@pytest.mark.slow
def test_the_app_calls_nobody_and_leaves_nothing_when_it_starts(
    tmp_path: Path, recorder: tuple[str, list[str]]
) -> None:
    """Started by Streamlit's own command, from another folder, on a terminal that could answer questions."""
    address, asked = recorder
    home = tmp_path / "home"
    home.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "app.py"), f"--server.port={port}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "http_proxy": address, "https_proxy": address}
    process = subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=60) as answer:
            assert answer.read() == b"ok"
    finally:
        process.terminate()
        process.wait(30)
    assert asked == []
    assert files_in(home) == set()
