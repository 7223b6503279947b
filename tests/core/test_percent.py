"""One way to write a share: differences show, and what is neither nothing nor all is never written as such."""

import pytest

from odits.core.percent import percent, percents


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.6142, "61.4 %"),
        (0.1, "10.0 %"),
        (0.0999, "9.99 %"),
        (0.000312345, "0.03 %"),
        (0.00012, "0.01 %"),
        (0.00009, "< 0.01 %"),
        (1e-30, "< 0.01 %"),
        (0.9899, "99.0 %"),
        (0.99972, "99.97 %"),
        (0.99995, "> 99.99 %"),
        (1 - 1e-12, "> 99.99 %"),
        (0, "0 %"),
        (1, "100 %"),
    ],
)
def test_one_share(share: float, written: str) -> None:
    assert percent(share) == written


def test_nothing_that_is_neither_is_written_as_nothing_or_all() -> None:
    for step in range(1, 20_000):
        for share in (step / 20_000, step / 2e9, 1 - step / 2e9):
            assert percent(share).strip("<> ") not in ("0 %", "0.0 %", "0.00 %", "100 %", "100.0 %", "100.00 %")


def test_shares_that_stand_together_have_the_same_decimals() -> None:
    assert percents([0.6142, 0.05, 0.012]) == ["61.4 %", "5.0 %", "1.2 %"]
    assert percents([0.99972, 0.0031, 0.000003]) == ["99.97 %", "0.31 %", "< 0.01 %"]
    assert percents([0.00031, 0.00029, 0]) == ["0.0310 %", "0.0290 %", "0 %"]
    assert percents([1.0, 0.25]) == ["> 99.99 %", "25.00 %"] and percents([1.0, 0.0]) == ["100 %", "0 %"]
    assert percents([]) == [] and percents([0.0]) == ["0 %"]
    assert percents([1e-12]) == ["< 0.0001 %"]
