"""What a part of the reliability harness reports, and how parts are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from odits.core.files import write_atomically


@dataclass(frozen=True)
class Part:
    """What came of trying one kind of fault.

    Attributes:
        name: of the part.
        tried: how many faults were tried.
        lost: how many lost something that was acknowledged, or left something that can't be read.
        let_in: how many were let in that must not be: code run, a host contacted, a file written outside, a cost above
            its limit.
        crashed: how many ended a process that has to live, or showed a traceback in place of a sentence.
        worst_seconds: what the costliest one took; 0 where it is not measured.
        worst_bytes: memory that the costliest one took; 0 where it is not measured.
        notes: what else is to be known, a line each; of a violation, how to run it again.
    """

    name: str
    tried: int
    lost: int = 0
    let_in: int = 0
    crashed: int = 0
    worst_seconds: float = 0.0
    worst_bytes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether something was tried and nothing was violated."""
        return self.tried > 0 and not (self.lost or self.let_in or self.crashed)


PartProgress = Callable[[int, int], None]
"""Called with (faults tried, faults to try)."""
RunPart = Callable[[bool, int, PartProgress], Part]
"""A part's function `run`: takes whether few faults are enough, the seed that draws them, and the progress."""


@dataclass
class Tally:
    """What came of the tries of a part so far; the fields are those of a `Part`."""

    tried: int = 0
    lost: int = 0
    let_in: int = 0
    crashed: int = 0
    worst_seconds: float = 0.0
    worst_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, problems: Sequence[str], seconds: float) -> None:
        """Count a try, what was lost by it, and what it took."""
        self.tried += 1
        self.worst_seconds = max(self.worst_seconds, seconds)
        self.lost += bool(problems)
        self.notes += [f"{what}: {problem}" for problem in problems]

    def add(self, other: Tally) -> None:
        """Add what came of other tries."""
        self.tried += other.tried
        self.lost += other.lost
        self.let_in += other.let_in
        self.crashed += other.crashed
        self.worst_seconds = max(self.worst_seconds, other.worst_seconds)
        self.worst_bytes = max(self.worst_bytes, other.worst_bytes)
        self.notes += other.notes

    def to_part(self, name: str, *about: str) -> Part:
        """Return the part, with notes on what was tried before the others."""
        return Part(name, **vars(self) | {"notes": (*about, *self.notes)})


def joined(parts: Sequence[Part]) -> Part:
    """Return what came of all slices of a part; a note that several have is said once."""
    tally = Tally()
    for part in parts:
        tally.add(Tally(**{name: value for name, value in vars(part).items() if name != "name"}))
    return Part(parts[0].name, **vars(tally) | {"notes": tuple(dict.fromkeys(tally.notes))})


class Kept:
    """The parts of a run that was cut off, in a JSON file: what held is not run again.

    Args:
        path: of the file; None keeps nothing.
        quick: whether few faults are enough; the parts of another kind of run do not count.
        seed: that draws the faults; likewise.
    """

    def __init__(self, path: Path | None, quick: bool, seed: int) -> None:
        self._path, self._which = path, {"quick": quick, "seed": seed}
        held = json.loads(path.read_bytes()) if path is not None and path.is_file() else {}
        same = {name: held.get(name) for name in self._which} == self._which
        self._parts: dict[str, dict[str, Any]] = held["parts"] if same else {}

    def part(self, name: str) -> tuple[Part, float] | None:
        """Return the part of a module and the seconds it took, where it was run before and held."""
        fields = dict(self._parts.get(name, {}))
        seconds = fields.pop("seconds", 0.0)
        if not fields:
            return None
        part = Part(**fields | {"notes": tuple(fields["notes"])})
        return (part, seconds) if part.held else None

    def keep(self, name: str, part: Part, seconds: float) -> None:
        """Write a part down, beside the others."""
        self._parts[name] = asdict(part) | {"seconds": seconds}
        if self._path is not None:
            write_atomically(self._path, json.dumps(self._which | {"parts": self._parts}, indent=2).encode())


def document(parts: Sequence[Part], quick: bool, seed: int, seconds: dict[str, float]) -> dict[str, Any]:
    """Return the JSON document of a run; a part's `seconds` are what all of it took."""
    rows = [{**asdict(part), "held": part.held, "seconds": round(seconds[part.name], 1)} for part in parts]
    return {"quick": quick, "seed": seed, "held": bool(parts) and all(part.held for part in parts), "parts": rows}


def table(parts: Sequence[Part]) -> str:
    """Return the parts as a table for people, notes below it."""
    heading = ("part", "tried", "lost", "let in", "crashed", "worst s", "worst MB", "")
    rows = [
        (
            part.name,
            f"{part.tried:,}",
            f"{part.lost:,}",
            f"{part.let_in:,}",
            f"{part.crashed:,}",
            f"{part.worst_seconds:.1f}" if part.worst_seconds else "-",
            f"{part.worst_bytes / 1e6:,.0f}" if part.worst_bytes else "-",
            "held" if part.held else "VIOLATED",
        )
        for part in parts
    ]
    widths = [max(len(row[place]) for row in (heading, *rows)) for place in range(len(heading))]
    lines = [
        "  ".join(
            cell.ljust(width) if place in (0, len(heading) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heading, *rows)
    ]
    lines += [f"{part.name}: {note}" for part in parts for note in part.notes]
    return "\n".join(lines) + "\n"
