"""Settings are stated once, with bounds that hold wherever they are set."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from odits.core.errors import OditsError
from odits.core.settings import Option, check_settings, option_of, setting


@dataclass(frozen=True)
class Kiln:
    """Settings of something that is not ours."""

    heat: float = setting(900.0, "Degrees.", low=0, high=1300)
    share: float = setting(0.5, above=0, below=1)
    glaze: str = setting(
        "clear", "What goes on.", choices={"clear": "nothing to see", "celadon": "green"}, noun="glaze"
    )
    shelves: tuple[int, ...] = setting((1, 2), low=1)

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heat": -1}, "The setting heat has to be at least 0 and at most 1300, not -1."),
        ({"heat": 1300.5}, "at most 1300, not 1300.5"),
        ({"share": 0}, "The setting share has to be above 0 and below 1, not 0."),
        ({"share": 1}, "below 1, not 1"),
        ({"glaze": "tenmoku"}, "There is no glaze 'tenmoku': choose clear, celadon."),
        ({"shelves": (1, 0)}, "The setting shelves has to be at least 1, not 0."),
    ],
)
def test_a_value_out_of_bounds_is_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(OditsError) as error:
        Kiln(**change)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize("change", [{"heat": 0}, {"heat": 1300}, {"share": 0.999}, {"shelves": ()}])
def test_the_bounds_themselves_are_allowed_or_not(change: dict[str, object]) -> None:
    Kiln(**change)  # type: ignore[arg-type]


def test_help_names_the_choices() -> None:
    assert option_of(Kiln, "glaze").text == "What goes on. clear: nothing to see; celadon: green."
    assert option_of(Kiln, "heat").text == "Degrees."
    assert option_of(Kiln, "nothing") == Option()
