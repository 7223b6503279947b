"""Limits on files from outside: the table in the docs is the one in the code, and each parser keeps its own."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from odits.core import documents
from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.limits import LIMITS
from odits.data import csv_tables, matlab, svt
from odits.data.csv_tables import read_table
from odits.data.matlab import read_matlab
from odits.data.svt import read_svt
from tests.data import layouts

ROOT = Path(__file__).parents[2]


def test_the_docs_have_every_limit() -> None:
    text = (ROOT / "docs/limits.md").read_text(encoding="utf-8")
    rows = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|")) for line in text.splitlines() if "| `" in line
    ]
    assert rows == LIMITS.rows()


def test_every_limit_is_asked() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "odits").rglob("*.py"))
    assert [one.name for one in fields(LIMITS) if f"LIMITS.{one.name}" not in sources] == []


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[1", "9" * 10_000])
def test_json_is_parsed_or_a_value_error(content: str) -> None:
    for one in (content, content.encode()):
        with pytest.raises(ValueError):
            parse_json(one)


def test_json_of_many_values_is_refused_before_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LIMITS", smaller(json_values=100))
    assert parse_json(json.dumps([0] * 100)) == [0] * 100
    for content in ("[" + "[]," * 101 + "0]", b"[" + b"{}," * 101 + b"0]"):
        with pytest.raises(ValueError, match="too many values"):
            parse_json(content)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<a>" * 40 + "</a>" * 40, "its elements lie more than 32 deep"),
        (f"<a b='{'c' * 1_100_000}'/>", "an element has too many attributes, or too long ones"),
        ("<a " + " ".join(f"b{number}='c'" for number in range(100)) + "/>", "an element has too many attributes"),
        (f"<a>{'c' * 1_100_000}</a>", "an element has a text of more than 1,048,576 letters"),
        ("<a/>" * 2000, "it has more than 1,000 elements"),
    ],
)
def test_xml_is_refused_in_one_sentence(body: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svt, "LIMITS", smaller(xml_elements=1000))
    layouts.text(tmp_path / "train.xml", f"<tagset>{body}</tagset>")
    with pytest.raises(OditsError, match=rf"^train\.xml is refused: {why}"):
        read_svt(tmp_path)


def test_a_table_may_have_so_many_rows_and_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "LIMITS", smaller(csv_rows=10, csv_fields=5))
    assert len(list(read_table("a,b\n" * 10, "it.csv"))) == 10
    for text in ("a,b\n" * 11, "a,b\n1,2,3,4,5,6\n"):
        with pytest.raises(OditsError, match=r"^it\.csv, line \d+: a table may have 10 rows of 5 cells\.$"):
            list(read_table(text, "it.csv"))
    with pytest.raises(OditsError, match=r"^it\.csv, line 1: field larger than field limit \(131072\)\.$"):
        list(read_table(f"{'a' * (LIMITS.csv_field + 1)},b\n", "it.csv"))


def test_numbers_of_a_matlab_file_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte of it becomes a number of thirty."""
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"gt": [[1.0] * 1000]}, do_compression=True)
    assert len(read_matlab(tmp_path / "a.mat", "gt").numbers) == 1000
    monkeypatch.setattr(matlab, "LIMITS", smaller(matlab_values=999))
    with pytest.raises(OditsError, match=r"^a\.mat is damaged"):
        read_matlab(tmp_path / "a.mat", "gt")


def smaller(**values: int) -> object:
    return replace(LIMITS, **values)
