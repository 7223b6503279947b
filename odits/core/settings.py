"""Settings stated once: a dataclass whose fields have bounds and help, read by checks, command line and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from odits.core.errors import OditsError


@dataclass(frozen=True)
class Option:
    """What is to be known of one setting.

    Attributes:
        help: a sentence for people.
        low: the least value.
        high: the greatest value.
        below: a value that it has to stay below.
        above: a value that it has to stay above.
        choices: names that it can have, with what each means.
        noun: what one of the choices is called, such as "kind of objects"; the field's name by default.
        flag: its name on the command line, where that is not the field's.
    """

    help: str = ""
    low: float | None = None
    high: float | None = None
    below: float | None = None
    above: float | None = None
    choices: Mapping[str, str] | None = None
    noun: str = ""
    flag: str = ""

    @property
    def text(self) -> str:
        """Help with the choices."""
        chosen = "; ".join(f"{name}: {meaning}" for name, meaning in (self.choices or {}).items())
        return f"{self.help} {chosen}.".strip() if chosen else self.help

    @property
    def range(self) -> str:
        """The bounds in words, e.g. "at least 0 and below 1"."""
        named = (("at least", self.low), ("at most", self.high), ("above", self.above), ("below", self.below))
        return " and ".join(f"{word} {bound:g}" for word, bound in named if bound is not None)

    def holds(self, value: float) -> bool:
        """Whether a number is within the bounds."""
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )


def setting(default: Any, help: str = "", **option: Any) -> Any:
    """Return a dataclass field with this default and the rest of an `Option`.

    Example:
        >>> @dataclass(frozen=True)
        ... class Cut:
        ...     share: float = setting(0.2, "Share that is cut off.", low=0, below=1)
        >>> check_settings(Cut(share=1.5))
        Traceback (most recent call last):
        odits.core.errors.OditsError: The setting share has to be at least 0 and below 1, not 1.5.
    """
    return field(default=default, metadata={"option": Option(help, **option)})


def option_of(settings: Any, name: str) -> Option:
    """Return the option of a field of a settings dataclass, or of an instance of it."""
    return next((one.metadata["option"] for one in fields(settings) if one.name == name), Option())


def check_settings(settings: Any) -> None:
    """Raise where a setting has a value that it can't have.

    Args:
        settings: an instance of a dataclass of `setting` fields.

    Raises:
        OditsError: with a sentence that says which values it can have.
    """
    for one in fields(settings):
        option: Option = one.metadata["option"]
        value = getattr(settings, one.name)
        values = value if isinstance(value, tuple) else (value,)
        for item in values:
            if option.choices is not None and item not in option.choices:
                noun = option.noun or one.name.replace("_", " ")
                raise OditsError(f"There is no {noun} '{item}': choose {', '.join(option.choices)}.")
            if isinstance(item, int | float) and not option.holds(item):
                name = one.name.replace("_", " ")
                raise OditsError(f"The setting {name} has to be {option.range}, not {item:g}.")
