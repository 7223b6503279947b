"""Commands of `odits`, each in a forked process: what they import is imported once.

Started as a program, it reads a JSON line a command ("arguments", "environment", "out", "err": files) and answers with
its exit status.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: by a signal), what it printed, and what it said."""

    status: int
    out: str
    err: str


class Runner:
    """Runs commands one after the other."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, arguments: Sequence[str], **environment: str) -> Ended:
        """Run `odits ARGUMENTS` with these variables."""
        assert self._process.stdin is not None and self._process.stdout is not None
        out, err = self._folder / "out", self._folder / "err"
        task = {"arguments": list(arguments), "environment": environment, "out": str(out), "err": str(err)}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return Ended(status, out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace"))


@contextmanager
def runner(folder: Path, imports: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Iterator[Runner]:
    """Start a runner for a block.

    Args:
        folder: for what commands print.
        imports: modules that are imported before the first command.
        environment: variables of all commands, beside this process's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._reliability.runner", *imports],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | dict(environment or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Runner(process, folder)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait()


def serve(imports: Sequence[str]) -> None:
    """Run what standard input says, until it ends."""
    for name in imports:
        __import__(name)
    import odits.cli

    gc.freeze()
    for line in sys.stdin:
        task = json.loads(line)
        pid = os.fork()
        if not pid:
            for descriptor, file in ((1, task["out"]), (2, task["err"])):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.update(task["environment"])
            sys.argv = ["odits", *task["arguments"]]
            status = 1
            try:
                status = run_main(odits.cli.main)
            finally:
                os._exit(status)  # what the modules hold need not be taken down piece by piece
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run_main(main: Callable[[], None]) -> int:
    """Run the command line as Python would; return the exit status."""
    status: object = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else 0 if status is None else 1


if __name__ == "__main__":
    serve(sys.argv[1:])
