"""The project's files beside the code: they agree with one another and with what is there."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import odits
from odits.cli import app as commands
from tests.installing import REPOSITORY
from tests.packaging.test_wheel import requirements

PAPERS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
# installed by others of the list in every case, or only where an extra asks for it
BROUGHT_ALONG = {"ray", "python-doctr", "alembic"}  # MLflow brings the last, and its schema is read with it


def top_level_imports(folder: str) -> set[str]:
    """The packages that the code of a folder imports, wherever in it."""
    found: set[str] = set()
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"odits", "pages"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("folder", ["odits", "pages"])
def test_every_import_is_in_the_requirements(folder: str) -> None:
    providers = packages_distributions()
    listed = {normalised(name) for name in requirements("requirements.txt")} | BROUGHT_ALONG
    missing = [
        name
        for name in sorted(top_level_imports(folder))
        if name in providers and not {normalised(provider) for provider in providers[name]} & listed
    ]
    assert missing == []


def test_the_version_is_the_same_everywhere() -> None:
    citation = (REPOSITORY / "CITATION.cff").read_text()
    assert f"\nversion: {odits.__version__}\n" in citation
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert newest is not None and newest[1] == odits.__version__


def test_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) < 120


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_lead_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", paper.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (paper.parent / link).exists()] == []


def test_the_table_of_commands_is_complete() -> None:
    table = (REPOSITORY / "docs" / "cli.md").read_text()
    named = set(re.findall(r"^\| `([\w-]+)", table, re.MULTILINE))
    there = {command.name for command in commands.registered_commands}
    there |= {group.name for group in commands.registered_groups}
    assert there <= named


def test_every_benchmark_is_in_the_table() -> None:
    table = (REPOSITORY / "docs" / "results.md").read_text()
    files = {path.name for path in (REPOSITORY / "benchmarks").glob("[a-z]*.py")}
    assert {name for name in files if f"`{name}`" not in table} == set()


def test_files_named_in_the_guide_are_there() -> None:
    guide = (REPOSITORY / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:odits|pages|tools|tests)/[\w/.]+\.(?:py|toml))`", guide)
    assert len(named) > 8
    templates = {"odits/tracking/NAME_store.py", "pages/NAME.py"}
    assert [name for name in set(named) - templates if not (REPOSITORY / name).is_file()] == []
