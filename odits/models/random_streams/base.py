"""What every generator offers: uniform numbers, asked for in pieces of any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np


def seed_words(seed: int, count: int, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """`count` well-mixed words (uint32 or uint64) for a generator's state: NumPy's SeedSequence, stable by contract."""
    return np.random.SeedSequence(seed).generate_state(count, dtype)


class RandomStream(ABC):
    """One sequence of uniform numbers; how it is cut into calls does not change it.

    Generators compute many numbers at once, in parallel lanes that start at places far apart in the one sequence. What
    a call leaves over is kept for the next.
    """

    description: ClassVar[str]

    def __init__(self) -> None:
        self._ahead = np.empty(0)

    @classmethod
    @abstractmethod
    def seeded(cls, seed: int) -> Self:
        """The stream whose state is made from `seed` by `seed_words`."""

    @abstractmethod
    def _produce(self, count: int) -> np.ndarray:
        """The next `count` or more numbers of the sequence, float64 in [0, 1)."""

    def uniform(self, count: int) -> np.ndarray:
        """The next `count` numbers of the sequence, float64 in [0, 1)."""
        ahead = self._ahead
        if count > len(ahead):
            fresh = self._produce(count - len(ahead))
            ahead = np.concatenate([ahead, fresh]) if len(ahead) else fresh
        self._ahead = ahead[count:].copy()  # a view would keep the whole array alive
        return ahead[:count]
