"""MLFG_6331_64, a multiplicative lagged Fibonacci generator: Mascagni and Srinivasan 2004, period 2^61 (2^63 - 1).

    x_n = x_{n-63} x_{n-31} mod 2^64

over odd words; u_n is the upper 52 bits of x_n, as in the authors' library SPRNG (the lowest bits have short periods).
The thesis prints a recurrence that is incomplete: without odd words, products run into zero.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from odits.models.random_streams.base import RandomStream, seed_words

LONG, SHORT = 63, 31


class MLFG6331(RandomStream):
    """Numbers of 52 bits.

    Args:
        state: 63 odd words (uint64), oldest first; for the full period at least one must be 3 or 5 modulo 8.
    """

    description = "multiplicative lagged Fibonacci generator, lags 63 and 31 (Mascagni and Srinivasan 2004)"

    def __init__(self, state: np.ndarray) -> None:
        super().__init__()
        self._state = np.asarray(state, np.uint64)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """The stream whose state is 63 seed words with their lowest bit set, the first made 3 or 5 modulo 8."""
        state = seed_words(seed, LONG, np.uint64) | np.uint64(1)
        if state[0] % 8 in (1, 7):
            state[0] ^= np.uint64(2)  # 1 becomes 3, 7 becomes 5: of full order, hence the full period
        return cls(state)

    def _produce(self, count: int) -> np.ndarray:
        size = -(-count // SHORT) * SHORT
        words = np.concatenate([self._state, np.empty(size, np.uint64)])
        # 31 words at a time depend on older ones only. The three views overlap, one row feeding those after it.
        older = words[:size].reshape(-1, SHORT)
        recent = words[LONG - SHORT : LONG - SHORT + size].reshape(-1, SHORT)
        fresh = words[LONG:].reshape(-1, SHORT)
        for a, b, out in zip(older, recent, fresh, strict=True):
            np.multiply(a, b, out)
        self._state = words[-LONG:].copy()
        return (words[LONG:] >> np.uint64(12)) * 2.0**-52
