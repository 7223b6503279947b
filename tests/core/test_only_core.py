"""Only `odits.core` computes digests, renames files, locks them, and looks for the home folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {"hashlib", "platformdirs", "fcntl", "filelock"}
CALLS = {"os.replace", "os.rename", "os.renames", "shutil.move"}


def found_in(source: str) -> list[str]:
    """What a module does that is core's: modules imported, functions that rename, the home folder's variable."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or ""] if (node.module or "").split(".")[0] in MODULES else []
            found += [call for name in node.names if (call := f"{node.module}.{name.name}") in CALLS]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in CALLS:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Constant) and node.value == "ODITS_HOME":
            found.append("ODITS_HOME")
        elif isinstance(node, ast.Call) and moves(node):
            found.append(ast.unparse(node))
    return found


def moves(call: ast.Call) -> bool:
    """Whether it may rename a file: a text's `replace` takes two arguments, a table's and a date's have names."""
    named = isinstance(call.func, ast.Attribute) and call.func.attr in ("replace", "rename")
    return named and len(call.args) == 1 and not call.keywords


@pytest.mark.parametrize(
    "source",
    [
        "import hashlib",
        "import os, hashlib as h",
        "from hashlib import sha256",
        "import platformdirs",
        "def f():\n    import fcntl",
        "os.replace(a, b)",
        "move = os.rename",
        "from os import replace",
        "from shutil import move",
        "part.replace(path)",
        "(folder / 'x.part').replace(folder / 'x')",
        "path.rename(other)",
        "os.environ['ODITS_HOME']",
        "os.environ.get('ODITS_HOME', '')",
    ],
)
def test_what_is_cores_is_noticed(source: str) -> None:
    assert len(found_in(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "text.replace('a', 'b')",
        "date.replace(tzinfo=UTC)",
        "table.rename(columns=names)",
        "replace(config, seed=1)",
        "help = 'Default: one in ODITS_HOME/checkpoints.'",
    ],
)
def test_other_things_are_not(source: str) -> None:
    assert found_in(source) == []


def test_only_core_does_it() -> None:
    files = [ROOT / "app.py", *(ROOT / "odits").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    outside = [file for file in files if not file.is_relative_to(ROOT / "odits" / "core")]
    assert len(outside) > 100 and len(files) - len(outside) > 5
    found = {str(file.relative_to(ROOT)): found_in(file.read_text(encoding="utf-8")) for file in outside}
    assert {name: what for name, what in found.items() if what} == {}
