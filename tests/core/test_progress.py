"""Progress is a plain line now and then where nobody watches, and a bar on a terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from odits.core.progress import LineReporter, Phase, duration, open_reporter, track

WORK = """
import time
from odits.core.progress import open_reporter
with open_reporter(interval=0.05) as report:
    objects = report.phase("objects", 40)
    for done in range(1, 41):
        time.sleep(0.01)
        objects(done, 40)
    training = report.phase("training", 3)
    training.describe("epoch 1")
    time.sleep(0.2)
    training(3, 3)
"""


def test_elsewhere_every_phase_writes_plain_lines_with_what_is_left(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stream:
        subprocess.run([sys.executable, "-c", WORK], stderr=stream, check=True, timeout=60)
    lines = log.read_text().splitlines()
    objects = [line for line in lines if line.startswith("objects: ")]
    assert len(objects) >= 3 and all(" of 40" in line for line in objects)
    assert any(line.endswith(" left") for line in objects)
    assert objects[-1].startswith("objects: 40 of 40, done in ")
    silent = [line for line in lines if line.startswith("training")]
    assert silent[0] == "training: 0 of 3 (epoch 1)"  # nothing was reported, and still it is seen to be going on
    assert silent[-1].startswith("training: 3 of 3 (epoch 1), done in ")
    assert "\x1b" not in log.read_text() and "\r" not in log.read_text()


def test_on_a_terminal_it_is_a_bar() -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", WORK], stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(leader)
    text = shown.decode()
    assert "━" in text and "\x1b[" in text
    assert "objects" in text and "40/40" in text and "training  epoch 1" in text


def test_short_work_writes_nothing() -> None:
    stream = io.StringIO()
    with open_reporter(stream, interval=30) as report:
        assert list(track(report, "abc", "letters")) == ["a", "b", "c"]
    assert stream.getvalue() == ""


def test_a_quiet_reporter_starts_no_thread() -> None:
    before = threading.active_count()
    with open_reporter(io.StringIO(), quiet=True) as report:
        report.phase("training", 3)(1, 3)
        assert threading.active_count() == before


def test_the_interval_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_PROGRESS_SECONDS", "0.5")
    found = open_reporter(io.StringIO())
    assert isinstance(found, LineReporter) and found._interval == 0.5
    monkeypatch.setenv("ODITS_PROGRESS_SECONDS", "soon")
    assert open_reporter(io.StringIO())._interval == 10  # type: ignore[attr-defined]


def test_work_done_before_does_not_count_for_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("odits.core.progress.time.monotonic", lambda: now[0])
    phase = Phase("training")
    assert phase.seconds_left() is None and phase.line() == "training …"
    phase(50, 100)  # resumed half-way
    assert phase.seconds_left() is None
    now[0] = 110.0
    phase(60, 100)
    assert phase.seconds_left() == pytest.approx(40)
    assert phase.line() == "training: 60 of 100, 40 s left"
    phase(100, 100)
    assert phase.finished and phase.line() == "training: 100 of 100"


def test_bytes_are_said_in_mebibytes() -> None:
    phase = Phase("weights", unit="bytes")
    phase(3 << 20, 12 << 20)
    assert phase.line() == "weights: 3.0 MiB of 12.0 MiB"
    phase.advance(9 << 20)
    assert phase.finished


def test_a_closed_log_does_not_end_the_work() -> None:
    stream = io.StringIO()
    with open_reporter(stream, interval=0.01) as report:
        phase = report.phase("training", 2)
        stream.close()
        threading.Event().wait(0.1)
        phase(2, 2)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (3720, "1 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
