"""Seeded streams of uniform random numbers from four published generators (thesis 3.2), reproducible on any machine.

The thesis prints the recurrences of MT19937, MRG32k3a and MLFG_6331_64 wrongly or in part (SPEC, Errata); built here
are the published generators, each tested against outputs of its authors' code or of an independent one.
"""

from __future__ import annotations

from odits.errors import OditsError
from odits.models.random_streams.base import RandomStream
from odits.models.random_streams.mlfg import MLFG6331
from odits.models.random_streams.mrg32k3a import MRG32k3a
from odits.models.random_streams.mt19937 import MT19937
from odits.models.random_streams.well512a import WELL512a

_CLASSES: dict[str, type[RandomStream]] = {
    "mt19937": MT19937,
    "mrg32k3a": MRG32k3a,
    "mlfg6331_64": MLFG6331,
    "well512a": WELL512a,
}

GENERATORS: dict[str, str] = {name: found.description for name, found in _CLASSES.items()}
"""Names of the generators and, for people, what each is."""


def random_stream(generator: str, seed: int) -> RandomStream:
    """The stream of the named generator that starts at `seed`: the same numbers on every machine.

    Raises:
        OditsError: an unknown name, or a seed below zero.
    """
    if generator not in _CLASSES:
        raise OditsError(f"There is no generator “{generator}”; choose one of {', '.join(_CLASSES)}.")
    if seed < 0:
        raise OditsError(f"A seed is a whole number from 0 on, not {seed}.")
    return _CLASSES[generator].seeded(seed)


__all__ = ["GENERATORS", "MLFG6331", "MT19937", "MRG32k3a", "RandomStream", "WELL512a", "random_stream"]
