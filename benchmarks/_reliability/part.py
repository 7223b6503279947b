"""What a part of the reliability harness reports, and how parts are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


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
    crashed: int = 0
    worst_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, problems: Sequence[str], seconds: float) -> None:
        """Count a try, what was lost by it, and what it took."""
        self.tried += 1
        self.worst_s = max(self.worst_s, seconds)
        self.lost += bool(problems)
        self.notes += [f"{what}: {problem}" for problem in problems]

    def to_part(self, name: str, about: str) -> Part:
        """Return the part, with a note on what was tried."""
        return Part(name, self.tried, self.lost, 0, self.crashed, self.worst_s, 0, (about, *self.notes))


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
