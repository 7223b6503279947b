"""The programs behind `make house` and `make mutants`."""

from __future__ import annotations

from pathlib import Path

from tools.house import (
    BEGIN,
    END,
    House,
    Length,
    Room,
    arrows_up,
    circles,
    draw,
    floors,
    problems,
    redraw,
    reduce_arrows,
)
from tools.mutants import ROOT, find_mutants, own_tests, read_equivalent

CHAIN = {"cli": {"models", "core"}, "models": {"core"}, "core": set()}
RING = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}


def test_circles_are_found_whole() -> None:
    assert circles(CHAIN) == []
    assert circles(RING) == [["a", "b", "c"]]


def test_arrows_up_follow_the_order_or_the_fewest() -> None:
    assert arrows_up(CHAIN, ["cli", "models", "core"]) == []
    assert arrows_up(CHAIN, ["models", "cli", "core"]) == [("cli", "models")]
    assert len(arrows_up(RING, [])) == 1


def test_a_circle_is_one_floor() -> None:
    assert floors(CHAIN) == 3
    assert floors(RING) == 2


def test_arrows_that_others_imply_are_left_out() -> None:
    assert reduce_arrows(CHAIN) == {"cli": {"models"}, "models": {"core"}, "core": set()}


def house(**changed: object) -> House:
    rooms = {name: Room(f"{name}.", 1, 10, sorted(others)) for name, others in CHAIN.items()}
    parts = {
        "rooms": rooms,
        "modules": 3,
        "imports": 3,
        "arrows": 3,
        "floors": 3,
        "arrows_up": [],
        "room_circles": [],
        "module_circles": [],
        "files": [Length("odits/a.py", 500)],
        "functions": [Length("odits/a.py: f", 80)],
    }
    return House(**{**parts, **changed})  # type: ignore[arg-type]


def test_limits_are_kept_or_named() -> None:
    assert problems(house()) == []
    assert len(problems(house(files=[Length("odits/a.py", 501)], functions=[Length("odits/a.py: f", 81)]))) == 2
    assert problems(house(arrows_up=["core -> cli"])) == ["core -> cli runs upwards."]
    assert problems(house(module_circles=[["a", "b"]])) == ["a b import one another."]
    assert len(problems(house(rooms={str(number): Room() for number in range(14)}))) == 1


def test_the_drawing_replaces_the_last_one() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    drawing = draw(house(), ["cli", "models", "core"])
    assert "    cli --> models\n    models --> core\n```" in drawing
    assert redraw(text, drawing) == f"before\n{BEGIN}\n{drawing}\n{END}\nafter\n"


def changes(tmp_path: Path, code: str) -> list[str]:
    (tmp_path / "code.py").write_text(code)
    mutants = find_mutants(tmp_path, "code.py")
    data = code.encode()
    return [(data[: item.start] + item.new.encode() + data[item.end :]).decode().strip() for item in mutants]


def test_operators_comparisons_and_constants_are_changed(tmp_path: Path) -> None:
    assert changes(tmp_path, "x = (a) + b  # a - b") == ["x = (a) - b  # a - b"]
    assert changes(tmp_path, "x = a >= b") == ["x = a > b"]
    assert changes(tmp_path, "x = a is not b") == ["x = a is b"]
    assert changes(tmp_path, "x = not a or é") == ["x = a or é", "x = not a and é"]
    assert changes(tmp_path, "x += 5") == ["x -= 5", "x += 6"]
    assert changes(tmp_path, "x = True, 0.5, 0.0") == [
        "x = False, 0.5, 0.0",
        "x = True, 1.0, 0.0",
        "x = True, 0.5, 1.0",
    ]


def test_what_does_not_run_is_left(tmp_path: Path) -> None:
    assert changes(tmp_path, "def f(x: int | None) -> int | str: ...") == []
    assert changes(tmp_path, "@cache(maxsize=3)\ndef f(): ...") == []
    assert changes(tmp_path, "Source = Path | bytes") == []
    assert changes(tmp_path, "if TYPE_CHECKING:\n    x = 1") == []
    assert changes(tmp_path, "assert isinstance(x, int | str)") == []


def test_a_module_is_tested_by_the_tests_of_its_room_that_import_it(tmp_path: Path) -> None:
    room = tmp_path / "tests" / "data"
    room.mkdir(parents=True)
    (room / "test_records.py").write_text("from odits.data import records\n")
    (room / "test_all.py").write_text("from odits.data.records import ImageRecord\n")
    (room / "test_other.py").write_text("from odits.data.facts import recordsize\n")
    assert own_tests(tmp_path, "odits/data/records.py") == ["tests/data/test_records.py", "tests/data/test_all.py"]
    assert len(own_tests(tmp_path, "odits/data/svt.py")) == 3


def test_changes_that_count_as_equivalent_can_still_be_made() -> None:
    possible: dict[str, set[tuple[str, str]]] = {}
    for file, source, change in read_equivalent():
        made = possible.setdefault(file, {(item.source, item.change) for item in find_mutants(ROOT, file)})
        assert (source, change) in made, f"{file}: {source}"
