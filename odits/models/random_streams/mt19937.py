"""MT19937, the Mersenne Twister: Matsumoto and Nishimura 1998, period 2^19937 - 1; NumPy's implementation."""

from __future__ import annotations

from typing import Self

import numpy as np

from odits.models.random_streams.base import RandomStream


class MT19937(RandomStream):
    """Numbers of 53 bits, made of two 32-bit outputs as the authors' `genrand_res53` does."""

    description = "Mersenne Twister (Matsumoto and Nishimura 1998), period 2^19937 - 1"

    def __init__(self, bits: np.random.MT19937) -> None:
        super().__init__()
        self._generator = np.random.Generator(bits)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """The stream of NumPy's MT19937 seeded with `SeedSequence(seed)`."""
        return cls(np.random.MT19937(np.random.SeedSequence(seed)))

    def _produce(self, count: int) -> np.ndarray:
        return self._generator.random(count)
