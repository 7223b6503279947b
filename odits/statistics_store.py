"""Anderson-Darling statistics kept on disk: counts that were tested once need not wait for SciPy again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from odits.files import cache_home, write_atomically
from odits.statistics import DISTRIBUTIONS, AndersonDarling, all_tests, verdict


def stored_tests(counts: Sequence[int]) -> tuple[dict[str, AndersonDarling], str]:
    """As `odits.statistics.all_tests`, from the store or computed now and kept.

    Raises:
        StatisticsError: there are no counts, or one is negative or not a whole number.
    """
    file = _file(counts)
    with suppress(OSError, ValueError, KeyError, TypeError):  # absent or damaged: computed again
        kept = json.loads(file.read_bytes())
        return {name: verdict(name, float(kept[name]), len(counts)) for name in DISTRIBUTIONS}, ""
    tests, reason = all_tests(counts)
    if tests:
        with suppress(OSError):
            write_atomically(file, json.dumps({name: test.statistic for name, test in tests.items()}).encode())
    return tests, reason


def _file(counts: Sequence[int]) -> Path:
    digest = hashlib.sha256(json.dumps(sorted(counts)).encode()).hexdigest()[:24]
    return cache_home() / "statistics" / f"{digest}.json"
