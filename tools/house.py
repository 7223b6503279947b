"""Count how the code is built: rooms, modules, import arrows, circles, and what is too long.

A room is a folder of odits/, or a file at its root (`__main__.py`, the way in, apart). `make house` prints the counts
and draws the rooms into CONTRIBUTING.md; `make check` fails where a limit is passed or the drawing is not today's.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
MAX_ROOMS, MAX_FILE_LINES, MAX_FUNCTION_LINES = 13, 500, 80
BEGIN, END = "<!-- house: made by `make house` -->", "<!-- house: end -->"

Arrows = dict[str, set[str]]
"""What each node imports."""


class Length(NamedTuple):
    """A file or a function, and how many lines it has."""

    name: str
    lines: int


@dataclass
class Room:
    """A folder of odits/, or a file at its root.

    Attributes:
        title: first line of its docstring.
        modules: how many files of code it has.
        lines: of all of them.
        imports: the rooms it imports.
    """

    title: str = ""
    modules: int = 0
    lines: int = 0
    imports: list[str] = field(default_factory=list)


@dataclass
class House:
    """What is counted.

    Attributes:
        rooms: of odits/, by name.
        modules: of odits/.
        imports: from module to module of odits/.
        arrows: from room to room.
        floors: rooms on the longest way down, a circle counted as one.
        arrows_up: as "from -> to": against the order of rooms in pyproject.toml, or, where that names none, the fewest
            found whose removal leaves no circle.
        room_circles, module_circles: groups that import one another, of rooms and of modules (odits/ and pages/).
        files, functions: the longest first.
    """

    rooms: dict[str, Room]
    modules: int
    imports: int
    arrows: int
    floors: int
    arrows_up: list[str]
    room_circles: list[list[str]]
    module_circles: list[list[str]]
    files: list[Length]
    functions: list[Length]


def circles(arrows: Mapping[str, Collection[str]]) -> list[list[str]]:
    """List the groups of nodes that reach one another (strongly connected components of two nodes or more)."""
    reach = {node: _reachable(node, arrows) for node in arrows}
    groups = {
        tuple(sorted(other for other in reach[node] if node in reach.get(other, ()))): None
        for node in arrows
        if node in reach[node]
    }
    return [list(group) for group in groups if len(group) > 1]


def _reachable(node: str, arrows: Mapping[str, Collection[str]]) -> set[str]:
    found: set[str] = set()
    stack = list(arrows.get(node, ()))
    while stack:
        current = stack.pop()
        if current not in found:
            found.add(current)
            stack.extend(arrows.get(current, ()))
    return found


def arrows_up(arrows: Arrows, order: list[str]) -> list[tuple[str, str]]:
    """List the arrows that run against an order of rooms, from top to bottom; those of no circle never do by default.

    Args:
        arrows: from room to room.
        order: rooms from the top down. Where a room is missing, an order with few arrows up is looked for instead
            (Eades, Lin and Smyth 1993).
    """
    if not set(arrows) <= set(order):
        order = _order_with_few_arrows_up(arrows)
    place = {room: index for index, room in enumerate(order)}
    return [(room, other) for room in arrows for other in sorted(arrows[room]) if place[other] < place[room]]


def _order_with_few_arrows_up(arrows: Arrows) -> list[str]:
    top: list[str] = []
    bottom: list[str] = []
    left = set(arrows)
    while left:
        inside = {node: {other for other in arrows[node] if other in left and other != node} for node in left}
        importers = {node: sum(node in others for others in inside.values()) for node in left}
        sinks = sorted(node for node in left if not inside[node])
        sources = sorted(node for node in left if not importers[node])
        if sinks:
            bottom.insert(0, sinks[0])
            left.remove(sinks[0])
            continue
        node = sources[0] if sources else max(sorted(left), key=lambda node: len(inside[node]) - importers[node])
        top.append(node)
        left.remove(node)
    return top + bottom


def floors(arrows: Arrows) -> int:
    """Count the rooms on the longest way down; a circle of rooms counts as one."""
    groups = circles(arrows)
    name = {node: node for node in arrows} | {node: group[0] for group in groups for node in group}
    merged: Arrows = {name[node]: set() for node in arrows}
    for node, others in arrows.items():
        merged[name[node]] |= {name[other] for other in others} - {name[node]}
    depth: dict[str, int] = {}

    def measure(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((measure(other) for other in merged[node]), default=0)
        return depth[node]

    return max((measure(node) for node in merged), default=0)


def reduce_arrows(arrows: Arrows) -> Arrows:
    """Leave out the arrows that others imply (transitive reduction; the rooms must have no circle)."""
    return {
        node: {
            other
            for other in others
            if not any(other in _reachable(middle, arrows) for middle in others if middle != other)
        }
        for node, others in arrows.items()
    }


def read_house(root: Path) -> House:
    """Count the tree in `root`, which holds odits/ and may hold pages/."""
    sys.path.insert(0, str(root))
    packages = ["odits", *(["pages"] if (root / "pages" / "__init__.py").is_file() else [])]
    graph = grimp.build_graph(*packages, cache_dir=None)
    modules = {name: set(graph.find_modules_directly_imported_by(name)) for name in sorted(graph.modules)}
    ours = {name: others for name, others in modules.items() if name.startswith("odits.") and name != "odits.__main__"}
    rooms: dict[str, Room] = {}
    arrows: Arrows = {}
    for name, others in ours.items():
        room = name.split(".")[1]
        arrows.setdefault(room, set()).update(other.split(".")[1] for other in others if other.startswith("odits."))
        path = _file_of(root, name)
        text = path.read_text(encoding="utf-8")
        entry = rooms.setdefault(room, Room())
        entry.modules += bool(text.strip())
        entry.lines += text.count("\n")
        if name == f"odits.{room}":
            entry.title = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ")
    arrows = {room: others - {room} for room, others in arrows.items()}
    for room, others in arrows.items():
        rooms[room].imports = sorted(others)
    files, functions = measure_lengths(root)
    return House(
        rooms=rooms,
        modules=sum(room.modules for room in rooms.values()),
        imports=sum(len([other for other in others if other in ours]) for others in ours.values()),
        arrows=sum(map(len, arrows.values())),
        floors=floors(arrows),
        arrows_up=[f"{room} -> {other}" for room, other in arrows_up(arrows, order_of_rooms(root))],
        room_circles=circles(arrows),
        module_circles=circles(modules),
        files=files,
        functions=functions,
    )


def _file_of(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def order_of_rooms(root: Path) -> list[str]:
    """List the rooms from the top down, as the layers of pyproject.toml have them; empty where there are none."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = document.get("tool", {}).get("importlinter", {}).get("contracts", [])
    return next((contract["layers"] for contract in contracts if contract.get("containers") == ["odits"]), [])


def measure_lengths(root: Path) -> tuple[list[Length], list[Length]]:
    """Measure the files and functions of odits/, pages/ and app.py, the longest first."""
    files: list[Length] = []
    functions: list[Length] = []
    paths = [*root.glob("odits/**/*.py"), *root.glob("pages/**/*.py"), *root.glob("app.py")]
    for path in sorted(paths):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root).as_posix()
        files.append(Length(name, text.count("\n")))
        functions += [
            Length(f"{name}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    def longest_first(items: Iterable[Length]) -> list[Length]:
        return sorted(items, key=lambda item: (-item.lines, item.name))

    return longest_first(files), longest_first(functions)


def draw(house: House, order: list[str]) -> str:
    """Draw the rooms as Markdown: a Mermaid flowchart of the arrows that no others imply, and a table of all."""
    arrows = reduce_arrows({name: set(room.imports) for name, room in house.rooms.items()})
    names = sorted(house.rooms, key=lambda name: (order.index(name) if name in order else len(order), name))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {name} --> {other}" for name in names for other in sorted(arrows[name])]
    lines += ["```", "", "| room | what it is | files | imports |", "|---|---|---|---|"]
    for name in names:
        room = house.rooms[name]
        lines.append(f"| `{name}` | {room.title} | {room.modules} | {', '.join(room.imports) or 'nothing'} |")
    return "\n".join(lines)


def print_counts(house: House) -> None:
    """Print the counts as a table for people."""
    rows = [
        ("rooms in odits/", len(house.rooms), " ".join(sorted(house.rooms))),
        ("modules in odits/", house.modules, ""),
        ("imports between modules", house.imports, ""),
        ("arrows between rooms", house.arrows, ""),
        ("floors", house.floors, ""),
        ("arrows upwards", len(house.arrows_up), "; ".join(house.arrows_up)),
        ("circles of rooms", len(house.room_circles), "; ".join(" ".join(group) for group in house.room_circles)),
        ("circles of modules", len(house.module_circles), "; ".join(" ".join(group) for group in house.module_circles)),
        ("longest file, lines", house.files[0].lines, house.files[0].name),
        ("longest function, lines", house.functions[0].lines, house.functions[0].name),
    ]
    width = max(len(name) for name, _, _ in rows)
    for name, count, which in rows:
        print(f"{name:<{width}}  {count:>5}  {which}".rstrip())


def problems(house: House) -> list[str]:
    """List what passes a limit, a sentence each."""
    found = []
    if len(house.rooms) > MAX_ROOMS:
        found.append(f"odits/ has {len(house.rooms)} rooms; at most {MAX_ROOMS} are wanted.")
    found += [f"{arrow} runs upwards." for arrow in house.arrows_up]
    found += [f"{' '.join(group)} import one another." for group in house.module_circles]
    found += [
        f"{item.name} has {item.lines} lines; at most {limit} are wanted."
        for items, limit in ((house.files, MAX_FILE_LINES), (house.functions, MAX_FUNCTION_LINES))
        for item in items
        if item.lines > limit
    ]
    return found


def redraw(text: str, drawing: str) -> str:
    """Put a drawing between the markers of a Markdown text."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing}\n{END}{after}"


def main() -> None:
    """Count, then print, draw or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to count; default: this one")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw the rooms between the markers of this file")
    parser.add_argument("--check", action="store_true", help="print only what passes a limit, and fail where any does")
    options = parser.parse_args()
    root = options.root.resolve()
    house = read_house(root)
    drawing = draw(house, order_of_rooms(root)) if not house.room_circles else ""
    guide = ROOT / "CONTRIBUTING.md"
    if options.check:
        found = problems(house)
        if guide.is_file() and redraw(guide.read_text(encoding="utf-8"), drawing) != guide.read_text(encoding="utf-8"):
            found.append("The drawing in CONTRIBUTING.md is not today's: run make house.")
        print("\n".join(found) or "The house is in order.")
        sys.exit(bool(found))
    if options.json:
        document = asdict(house)
        document |= {"files": house.files[:10], "functions": house.functions[:10]}
        print(json.dumps(document, indent=2))
    else:
        print_counts(house)
    if options.draw:
        options.draw.write_text(redraw(options.draw.read_text(encoding="utf-8"), drawing), encoding="utf-8")


if __name__ == "__main__":
    main()
