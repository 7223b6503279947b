"""The table of speed for people: as text, and as the section of a Markdown file between two markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
from odits.core.files import write_atomically

Document = Mapping[str, Any]
VERDICTS = {True: "yes", False: "no", None: "—"}


def text_table(document: Document) -> str:
    """Write the rows in columns, and below them the machine."""
    rows = [("work", "measured", "goal", "met", "command")]
    for row in document["rows"]:
        measured = row.get("problem") or _amount(row["measured"], row["unit"])
        rows.append((row["name"], measured, row["goal"], VERDICTS[row["met"]], row["command"]))
    widths = [min(60, max(len(row[column]) for row in rows)) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", machine_sentence(document), ""])


def machine_sentence(document: Document) -> str:
    """Name the machine, what it can do at best, and the versions."""
    machine, peaks = document["machine"], document["machine"].get("peaks", {})
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    best = (
        f" At best {peaks['gemm_gflops']:.0f} GFLOP/s (float32 products of matrices) and {peaks['copy_gb_per_s']:.1f} "
        "GB/s (copies in memory)."
        if peaks
        else ""
    )
    load = f", load {machine['load']:g} when it began" if machine.get("load") is not None else ""
    return (
        f"{document['date']} UTC, {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['memory_gb']:g} GB{load}; {versions}.{best} All took {document['seconds'] / 60:.1f} min together."
    )


def busy_note(machine: Mapping[str, Any]) -> list[str]:
    """Say that other work kept the machine busy; nothing where it did not."""
    load = machine.get("load") or 0.0
    if load <= machine["cores"]:
        return []
    return [
        "",
        f"**Other work kept the machine busy** ({load:g} processes wanted its {machine['cores']} cores): seconds "
        "are several times too long, ratios uncertain by tens of percent, and the peaks too low.",
    ]


def markdown(document: Document) -> str:
    """Write the section: the machine, the table, and what bounds each row that misses its goal."""
    size = (
        "`--quick`: small sizes; figures of smaller sizes than their goals' are not judged (—)."
        if document["quick"]
        else ""
    )
    lines = [
        "Made by `python benchmarks/report.py --write docs/results.md`, every row on one machine. " + size,
        "",
        machine_sentence(document),
        *busy_note(document["machine"]),
        "",
        "| work | measured | against | goal | met | command |",
        "|---|---:|---|---|---|---|",
    ]
    for row in document["rows"]:
        measured = "—" if row.get("problem") else _amount(row["measured"], row["unit"])
        measured += "" if row["full_size"] or row.get("problem") else ", smaller"
        cells = (row["name"], measured, row["against"], row["goal"], VERDICTS[row["met"]], f"`{row['command']}`")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    bounds = _by_run(row for row in document["rows"] if row["met"] is False and row.get("bound"))
    problems = [row for row in document["rows"] if row.get("problem")]
    if bounds:
        lines += ["", "What bounds the rows that miss their goal:", ""]
        lines += [f"- {', '.join(names)}: {says}" for says, names in bounds.items()]
    if problems:
        lines += ["", "Not measured:", ""]
        lines += [f"- {row['name']}: {row['problem']}" for row in problems]
    return "\n".join(lines)


def _by_run(rows: Any) -> dict[str, list[str]]:
    """Return the names of rows by what bounds them, each sentence once."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["bound"]["says"], []).append(row["name"])
    return found


def markers(name: str) -> tuple[str, str]:
    """Return the lines that stand around a section that is made."""
    return f"<!-- {name}: made by a benchmark's --write -->", f"<!-- {name}: end -->"


def write_section(path: Path, name: str, text: str) -> None:
    """Replace what stands between a section's two markers in a file.

    Raises:
        OditsError: they are not there, once each and in this order.
    """
    begin, end = markers(name)
    whole = path.read_text("utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise OditsError(f"{path.name} has no section between “{begin}” and “{end}”.")
    before, rest = whole.split(begin)
    after = rest.split(end)[1]
    write_atomically(path, f"{before}{begin}\n{text.strip()}\n{end}{after}".encode())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose first column is text and whose others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _amount(measured: float, unit: str) -> str:
    """Write a figure in three digits with its unit.

    Example:
        >>> _amount(12345.6, "ms")
        '12,346 ms'
    """
    return f"{measured:,.0f} {unit}" if abs(measured) >= 1000 else f"{measured:.3g} {unit}"
