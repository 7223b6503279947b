"""Change the code in one place at a time and see whether the tests of the changed module notice.

A change swaps an operator or a comparison, or alters a number or a truth value. The sample is drawn with a seed, so
that a run can be repeated; each change is made in a copy of the tree. Survivors that change nothing that anybody could
see are listed with a reason in tools/mutants_equivalent.toml and do not count.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
EQUIVALENT = ROOT / "tools" / "mutants_equivalent.toml"
LEAST_NOTICED = 0.9
MODULES = (
    "odits/metrics/*.py",
    "odits/counting/*.py",
    "odits/objects/*.py",
    "odits/models/reading/ctc.py",
    "odits/models/reading/spotter.py",
    "odits/models/reading/result_files.py",
    "odits/search/*.py",
    "odits/core/files.py",
    "odits/core/store.py",
    "odits/core/tables.py",
    "odits/data/annotation_files.py",
    "odits/data/annotation_tables.py",
    "odits/data/annotations.py",
    "odits/data/folder.py",
    "odits/data/images.py",
    "odits/data/svt.py",
    "odits/data/vocabulary.py",
)
COPIED = ("odits", "pages", "tests", "app.py", "assets", "tools", ".streamlit", "pyproject.toml", "README.md")
COPIED_TOO = ("CHANGELOG.md", "LICENSE", "benchmarks", *(path.name for path in ROOT.glob("requirements*.txt")))

SWAPS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}

Outcome = Literal["noticed", "survived", "equivalent"]


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        file: relative to the root.
        line: number of the line, from 1.
        source: the line as it was, without its indentation.
        change: "OLD -> NEW".
        start, end: of the replaced bytes in the file.
        new: what they become.
    """

    file: str
    line: int
    source: str
    change: str
    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Result:
    """What became of a change.

    Attributes:
        mutant: the change.
        outcome: "noticed" where a test failed or took far too long, "survived" where all passed.
        seconds: that the tests took.
        detail: the test that noticed it, or why it counts as equivalent.
    """

    mutant: Mutant
    outcome: Outcome
    seconds: float
    detail: str


class _Source:
    """The bytes of a file, and the changes that can be made in them."""

    def __init__(self, root: Path, file: str) -> None:
        self.file, self.data = file, (root / file).read_bytes()
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def changes(self, node: ast.AST) -> Iterator[Mutant]:
        """Yield the changes of one node of the syntax tree, those of its children apart."""
        if isinstance(node, ast.BinOp):
            yield from self._swapped(node.op, node.left, node.right)
        elif isinstance(node, ast.Compare):
            for operator, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
                yield from self._swapped(operator, left, right)
        elif isinstance(node, ast.BoolOp):
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._swapped(node.op, left, right)
        elif isinstance(node, ast.AugAssign):
            yield from self._swapped(node.op, node.target, node.value)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield self._replaced(self._start(node), self._start(node.operand), "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield self._replaced(self._start(node), self._end(node), _other_constant(node.value))

    def _start(self, node: ast.expr) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr) -> int:
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def _swapped(self, operator: ast.AST, left: ast.expr, right: ast.expr) -> Iterator[Mutant]:
        if type(operator) not in SWAPS:
            return
        old, new = SWAPS[type(operator)]
        begin = self._end(left)
        pattern = r"\b" + old.replace(" ", r"\s+") + r"\b" if old[0].isalpha() else re.escape(old)
        # between the operands there are brackets, space and comments besides the operator
        text = re.sub(rb"#[^\n]*", lambda match: b" " * len(match[0]), self.data[begin : self._start(right)])
        found = re.search(pattern.encode(), text)
        if found:
            yield self._replaced(begin + found.start(), begin + found.end(), new)

    def _replaced(self, start: int, end: int, new: str) -> Mutant:
        line = self.data.count(b"\n", 0, start) + 1
        source = self.data[self._starts[line - 1] : self._starts[line]].decode().strip()
        return Mutant(self.file, line, source, f"{self.data[start:end].decode()} -> {new}", start, end, new)


def find_mutants(root: Path, file: str) -> list[Mutant]:
    """List every change that can be made in a file, in the order of its bytes."""
    source = _Source(root, file)
    found = [mutant for node in _walk(ast.parse(source.data)) for mutant in source.changes(node)]
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.new))


def _other_constant(value: float) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1 if isinstance(value, int) or value == 0 else value * 2)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the code that runs: no annotations, no decorators, nothing for the type checker alone, no type aliases."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_for_types(child):
                yield from _walk(child)


def _is_for_types(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Call):  # isinstance(x, int | str), cast(A | B, x)
        return isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "cast", "TypeVar")
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp | ast.Subscript):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return all(re.fullmatch(r"_?[A-Z][a-z]\w*", name) for name in names) and bool(names)
    return False


def own_tests(root: Path, file: str) -> list[str]:
    """List the test files that import a module, those of its room and its namesake first; else its room's tests."""
    path = Path(file)
    room = root.joinpath("tests", *path.parts[1:-1])
    module = ".".join(path.with_suffix("").parts)
    parent, _, name = module.rpartition(".")
    uses = re.compile(rf"\b{re.escape(module)}\b|from {re.escape(parent)} import [^\n]*\b{re.escape(name)}\b")
    files = [test for test in sorted(root.glob("tests/**/test_*.py")) if test.parts[len(root.parts) + 1] != "browser"]
    importing = [test for test in files if uses.search(test.read_text(encoding="utf-8"))]
    of_room = [test for test in importing if room in test.parents]
    found = of_room or importing or [test for test in files if room in test.parents]
    found.sort(key=lambda test: (name not in test.stem, test.stem))
    return [test.relative_to(root).as_posix() for test in found]


def read_equivalent() -> dict[tuple[str, str, str], str]:
    """Read which changes are known to change nothing: (file, line, change) and the reason."""
    if not EQUIVALENT.is_file():
        return {}
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("equivalent", [])
    return {(entry["file"], entry["source"], entry["change"]): entry["reason"] for entry in entries}


class Tree:
    """A copy of the tree, in which one change at a time is made and tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (*COPIED, *COPIED_TOO):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy2(source, folder / name)

    def run_tests(self, tests: list[str], limit_s: float) -> tuple[bool, str, float]:
        """Run test files until one fails.

        Returns:
            Whether all passed, the test that failed or "too slow", and the seconds it took.
        """
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow and not browser",
        ]
        # without stored bytecode a change is never missed, however fast one follows another
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", **threads}
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, f"--basetemp={self.folder / 'basetemp'}", *tests],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what the tests started ends with them
            process.communicate()
            return False, "too slow", time.perf_counter() - start
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
        detail = failed[1] if failed else output.strip().splitlines()[-1] if output.strip() else ""
        if process.returncode == 5:
            raise SystemExit(f"No test was run: {' '.join(tests)}")
        return process.returncode == 0, detail, time.perf_counter() - start

    def try_mutant(self, mutant: Mutant, tests: list[str], limit_s: float) -> Result:
        """Make a change, run the tests, and take it back."""
        path = self.folder / mutant.file
        data = path.read_bytes()
        try:
            path.write_bytes(data[: mutant.start] + mutant.new.encode() + data[mutant.end :])
            passed, detail, seconds = self.run_tests(tests, limit_s)
        finally:
            path.write_bytes(data)
        return Result(mutant, "survived" if passed else "noticed", seconds, "" if passed else detail)


class _Trials:
    """Changes that are tried in several copies of the tree at once."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.results: list[Result] = []
        self.failure: BaseException | None = None
        self._equivalent = read_equivalent()
        self._todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for mutant in mutants:
            self._todo.put(mutant)
        self._limits: dict[str, float] = {}

    def work(self, folder: Path) -> None:
        """Try changes in a copy of the tree until none is left."""
        try:
            tree = Tree(folder)
            while self.failure is None:
                try:
                    mutant = self._todo.get_nowait()
                except queue.Empty:
                    return
                self._report(self._judge(tree, mutant))
        except BaseException as error:
            self.failure = error

    def _judge(self, tree: Tree, mutant: Mutant) -> Result:
        tests = own_tests(tree.folder, mutant.file)
        result = tree.try_mutant(mutant, tests, self._limit(tree, mutant.file, tests))
        reason = self._equivalent.get((mutant.file, mutant.source, mutant.change))
        if result.outcome == "survived" and reason is not None:
            return Result(mutant, "equivalent", result.seconds, reason)
        return result

    def _limit(self, tree: Tree, file: str, tests: list[str]) -> float:
        """Measure once how long the tests of a file take when nothing is changed; they must pass then."""
        if file not in self._limits:
            passed, detail, seconds = tree.run_tests(tests, 600)
            if not passed:
                raise SystemExit(f"The tests of {file} fail without any change: {detail}")
            self._limits[file] = 30 + 4 * seconds
        return self._limits[file]

    def _report(self, result: Result) -> None:
        self.results.append(result)
        mutant = result.mutant
        line = f"{result.outcome:<10} {result.seconds:5.1f} s  {mutant.file}:{mutant.line}  {mutant.change}"
        sys.stderr.write(f"{line}  | {mutant.source}\n")


def run_mutants(mutants: list[Mutant], processes: int) -> list[Result]:
    """Try changes, in as many copies of the tree as there are processes; a line on stderr for each."""
    trials = _Trials(mutants)
    with tempfile.TemporaryDirectory(prefix="odits-mutants-") as place:
        threads = [
            threading.Thread(target=trials.work, args=(Path(place) / str(number),)) for number in range(processes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if trials.failure is not None:
        raise trials.failure
    return sorted(trials.results, key=lambda result: (result.mutant.file, result.mutant.start))


def main() -> None:
    """Draw a sample of changes, try them, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=120, help="how many changes")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", default="", help="modules whose path holds this text")
    parser.add_argument("--processes", type=int, default=2, help="changes that are tried side by side")
    parser.add_argument("--list", action="store_true", help="print the sample and its tests, and try nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    files = sorted({path.relative_to(ROOT).as_posix() for pattern in MODULES for path in ROOT.glob(pattern)})
    candidates = [mutant for file in files if options.only in file for mutant in find_mutants(ROOT, file)]
    chosen = random.Random(options.seed).sample(candidates, min(options.count, len(candidates)))
    chosen.sort(key=lambda mutant: (mutant.file, mutant.start))
    if options.list:
        for mutant in chosen:
            print(f"{mutant.file}:{mutant.line}  {mutant.change}  | {mutant.source}  | {own_tests(ROOT, mutant.file)}")
        return
    results = run_mutants(chosen, max(1, options.processes))
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in ("noticed", "survived")}
    judged = sum(counts.values())
    share = counts["noticed"] / judged if judged else 1.0
    document = {
        "candidates": len(candidates),
        "tried": len(results),
        **counts,
        "equivalent": len(results) - judged,
        "share_noticed": share,
        "seed": options.seed,
        "results": [asdict(result) for result in results],
    }
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for result in results:
            if result.outcome == "survived":
                mutant = result.mutant
                print(f"survived: {mutant.file}:{mutant.line}  {mutant.change}  | {mutant.source}")
        print(f"{counts['noticed']} of {judged} changes noticed ({share:.0%}), {len(results) - judged} equivalent")
    sys.exit(share < LEAST_NOTICED)


if __name__ == "__main__":
    main()
