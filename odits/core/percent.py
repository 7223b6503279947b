"""How the house writes a share in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence

_MOST = 4  # decimals


def percent(share: float) -> str:
    """Write a share in 0..1 in percent: three digits, and at most two decimals.

    What is neither nothing nor all is never written as 0 % or 100 %.

    Example:
        >>> [percent(share) for share in (0.6142, 0.0312, 0.99972, 0.999999, 1.0)]
        ['61.4 %', '3.12 %', '99.97 %', '> 99.99 %', '100 %']
        >>> percent(0.000003), percent(0)
        ('< 0.01 %', '0 %')
    """
    return _written(share, 1 if 0.1 <= share < 0.99 else 2)


def percents(shares: Sequence[float]) -> list[str]:
    """Write shares in 0..1 that stand together in percent, with as many decimals each as differences need.

    The largest gets three digits; small ones beside it are "< 0.01 %".

    Example:
        >>> percents([0.99972, 0.0031, 0.000003])
        ['99.97 %', '0.31 %', '< 0.01 %']
        >>> percents([0.6142, 0.05, 0.012]), percents([0.00031, 0.00029])
        (['61.4 %', '5.0 %', '1.2 %'], ['0.0310 %', '0.0290 %'])
    """
    if sum(share > 0 for share in shares) > 1:  # beside others nothing is all: a 1 among them is a rounded one
        shares = [min(share, 1 - 1e-12) for share in shares]
    largest = max(shares, default=0.0)
    decimals = 2 - math.floor(math.log10(100 * largest)) if largest > 0 else 1
    if any(0 < share < 0.001 or 0.99 <= share < 1 for share in shares):
        decimals = max(decimals, 2)
    return [_written(share, min(max(decimals, 1), _MOST)) for share in shares]


def _written(share: float, decimals: int) -> str:
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    least = 10.0**-decimals
    value = 100 * share
    if value < least:
        return f"< {least:.{decimals}f} %"
    if value > 100 - least:
        return f"> {100 - least:.{decimals}f} %"
    return f"{value:.{decimals}f} %"
