"""SIGKILL at random moments of long commands: what the next start makes of it, and what is left on the disk.

Each round kills one command with all its processes in the middle, starts it again, and looks at three things: the
results are byte for byte those of a run that nobody killed; what was stored before the kill is not computed again; and
nothing temporary is left, after `odits cache --prune` (even rounds) or by the next start alone where the leftovers are
an hour old by then (odd rounds). Moments come from a seed, evenly over the time that the command takes.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import parser, report

REPOSITORY = Path(__file__).parents[1]
DEMO = REPOSITORY / "assets" / "demo"
RESULTS = {
    "precompute": ("cache/objects/*/*/*.json",),
    "evaluate": ("cache/evaluations/*/*/*/probabilities.npy",),
    "train": ("run/*.safetensors",),
    "finetune": ("run/*.safetensors",),
    "search": ("cache/indexes/*/*/*/*/*.npy",),
    "objects": ("run/*.png",),
    "render": ("run/*.xml", "run/img/*.jpg"),
}
"""What the bytes of a command's result are, by patterns of paths."""
ENTRIES = ("cache/*/v*/??/*.*",)
"""Results that are written whole, once."""
TEMPORARY = ("**/.*.tmp", "**/*.part", "**/*.lock")
AN_HOUR_S = 3700.0
ATTEMPTS = 4
"""How often a round starts a command that ends before it is killed, each time to be killed at half the moment."""


@dataclass
class Tally:
    """What came of the kills of one command.

    Attributes:
        seconds: what it takes undisturbed.
        rounds: how often it was started to be killed.
        killed: how often it was killed before it ended.
        failed: how often the next start failed.
        different: how often the results were others.
        repeated: how often something was computed again that was stored.
        left: how often something temporary was left.
        moments: of kills after which something was wrong, in seconds from the start.
    """

    seconds: float = 0.0
    rounds: int = 0
    killed: int = 0
    failed: int = 0
    different: int = 0
    repeated: int = 0
    left: int = 0
    moments: list[float] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many things were wrong."""
        return self.failed + self.different + self.repeated + self.left


def main() -> None:
    """Kill, start again, compare, and report; exit status 1 where anything was wrong."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=50, help="kills in all, the commands in turn")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--commands", nargs="+", choices=list(RESULTS), default=list(RESULTS))
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="odits-kills-") as folder:
        tallies = kill_all(Path(folder), options.commands, options.rounds, random.Random(options.seed))
    figures: dict[str, Any] = {"rounds": options.rounds, "seed": options.seed}
    for command, tally in tallies.items():
        figures |= {f"{command}_{name}": value for name, value in vars(tally).items()}
    figures["killed"] = sum(tally.killed for tally in tallies.values())
    figures["wrong"] = sum(tally.wrong for tally in tallies.values())
    report(figures, options.json)
    raise SystemExit(1 if figures["wrong"] else 0)


def kill_all(folder: Path, commands: Sequence[str], rounds: int, rng: random.Random) -> dict[str, Tally]:
    """Run every command undisturbed once, then kill one after the other."""
    data = make_data(folder / "data")
    tallies = {command: Tally() for command in commands}
    expected = {}
    for command, tally in tallies.items():
        began = time.monotonic()
        expected[command] = whole_run(folder / f"whole-{command}", data, command)
        tally.seconds = time.monotonic() - began
        say(f"{command}: {tally.seconds:.1f} s undisturbed")
    for number in range(rounds):
        command = commands[number % len(commands)]
        moment = rng.uniform(0, tallies[command].seconds)
        home = folder / f"round-{number}"
        one_round(home, data, command, moment, number % 2 == 0, expected[command], tallies[command])
        shutil.rmtree(home, ignore_errors=True)
        tally = tallies[command]
        say(f"round {number + 1} of {rounds}: {command}, {tally.killed} killed, {tally.wrong} wrong")
    return tallies


def make_data(folder: Path) -> Path:
    """Copy the demo images as a data set whose first four are for training."""
    folder.mkdir(parents=True)
    header, *lines = (DEMO / "lexicons.csv").read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        if place < 4:
            lines[place] = f"{line.removesuffix(',eval')},train"
        shutil.copy(DEMO / line.split(",")[0], folder)
    copy_fonts(folder / "fonts")
    (folder / "lexicons.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return folder


def copy_fonts(folder: Path) -> None:
    """Copy a few of the system's fonts: to look through all of them takes seconds."""
    from odits.training.rendering import FONT_FOLDERS

    folder.mkdir()
    for path in sorted(path for place in FONT_FOLDERS for path in Path(place).rglob("*.ttf"))[:4]:
        shutil.copy(path, folder)


def arguments_of(command: str, data: Path, home: Path) -> list[str]:
    """Return the arguments of a command: small, but through all its steps."""
    run = ["--out", str(home / "run"), "--track", "none"]
    rest = {
        "precompute": ["--workers", "2"],
        "evaluate": ["--checkpoint", "embedded", "--split", "all", "--track", "none"],
        "train": ["--epochs", "6", *run],
        "finetune": ["--epochs", "6", "--keep", "2", "--train", "head", *run],
        "search": ["hotel", "--workers", "1"],
        "objects": [],
        "render": [],
    }[command]
    if command == "render":
        return [
            command,
            "--out",
            str(home / "run"),
            "--scenes",
            "12",
            "--held-out",
            "3",
            "--fonts",
            str(data / "fonts"),
        ]
    if command == "objects":
        return [command, *map(str, sorted(data.glob("*.jpg"))), "--out", str(home / "run"), "--json"]
    return [command, "--data", str(data), *rest, "--json"]


def whole_run(home: Path, data: Path, command: str) -> dict[str, bytes]:
    """Return the results of a run that nobody kills."""
    done = start(home, arguments_of(command, data, home))
    _, said = done.communicate()
    if done.returncode:
        raise SystemExit(f"{command} failed undisturbed: {said}")
    return results(home, command)


def one_round(
    home: Path, data: Path, command: str, moment: float, prune: bool, expected: dict[str, bytes], tally: Tally
) -> None:
    """Kill a command at a moment at the latest, start it again, and count what was wrong."""
    arguments, before = arguments_of(command, data, home), tally.wrong
    tally.rounds += 1
    for attempt in range(ATTEMPTS):
        if kill_after(start(home, arguments), moment / 2**attempt):
            tally.killed += 1
            break
        shutil.rmtree(home)  # the machine was less busy than when the time was taken
    stored = stamps(home)
    if not prune:
        age(home)
    again = start(home, arguments)
    _, said = again.communicate()
    if again.returncode:
        tally.failed += 1
        say(f"the next start of {command} failed: {said}")
    tally.different += results(home, command) != expected
    now = stamps(home)
    tally.repeated += any(now.get(path) != stamp for path, stamp in stored.items())
    if prune:
        start(home, ["cache", "--prune", "--json"]).communicate()
    left = sorted({str(path.relative_to(home)) for path in matching(home, TEMPORARY)})
    if left:
        tally.left += 1
        say(f"left by {command}: {', '.join(left)}")
    if tally.wrong > before:
        tally.moments.append(round(moment, 3))


def start(home: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start `python -m odits ARGUMENTS` in a session of its own, with `home` as its ODITS_HOME."""
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "odits", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ODITS_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a process and its children after some seconds; whether it had not ended before."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def results(home: Path, command: str) -> dict[str, bytes]:
    """Return the bytes of a command's results, by their paths; the folder of an index has a random name."""
    found = {str(path.relative_to(home)): path.read_bytes() for path in matching(home, RESULTS[command])}
    return {re.sub("/[0-9a-f]{16}/", "/", path): data for path, data in found.items()}


def stamps(home: Path) -> dict[str, int]:
    """Return when each stored result was written."""
    return {str(path.relative_to(home)): path.stat().st_mtime_ns for path in matching(home, ENTRIES) if path.is_file()}


def age(home: Path) -> None:
    """Make everything temporary an hour old."""
    then = time.time() - AN_HOUR_S
    for path in matching(home, TEMPORARY):
        os.utime(path, (then, then))


def matching(home: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """Yield the paths that match one of the patterns."""
    for pattern in patterns:
        yield from home.glob(pattern)


def say(message: str) -> None:
    """Write a line on stderr."""
    sys.stderr.write(message + "\n")


if __name__ == "__main__":
    main()
