"""MRG32k3a, a combined multiple recursive generator: L'Ecuyer 1999, period about 2^191.

    x_n = (1403580 x_{n-2} - 810728 x_{n-3}) mod (2^32 - 209)
    y_n = (527612 y_{n-1} - 1370589 y_{n-3}) mod (2^32 - 22853)
    u_n = ((x_n - y_n) mod (2^32 - 209)) / (2^32 - 208), where a remainder of 0 counts as 2^32 - 209

The thesis prints one recurrence only. As in L'Ecuyer's own program, the arithmetic is that of float64: no product
reaches 2^53, so every step is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from odits.models.random_streams.base import RandomStream, seed_words

M1, M2 = 4294967087, 4294944443
_A1 = ((0, 1, 0), (0, 0, 1), (-810728, 1403580, 0))
_A2 = ((0, 1, 0), (0, 0, 1), (-1370589, 0, 527612))
_NORM = 2.328306549295727688e-10  # L'Ecuyer's constant; dividing by 2^32 - 208 differs in the last bit

_Matrix = Sequence[Sequence[int]]


class MRG32k3a(RandomStream):
    """Numbers of 32 bits, never exactly 0.

    Args:
        state: x_{-3}, x_{-2}, x_{-1} in [0, M1), not all 0, then y_{-3}, y_{-2}, y_{-1} in [0, M2), not all 0.
    """

    description = "combined multiple recursive generator (L'Ecuyer 1999), period about 2^191"

    def __init__(self, state: Sequence[int] = (12345,) * 6) -> None:
        super().__init__()
        self._x, self._y = [int(word) for word in state[:3]], [int(word) for word in state[3:]]

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """The stream whose state is six seed words, reduced by each component's modulus."""
        words = [int(word) for word in seed_words(seed, 6, np.uint64)]
        x, y = [word % M1 for word in words[:3]], [word % M2 for word in words[3:]]
        return cls([*(x if any(x) else [12345] * 3), *(y if any(y) else [12345] * 3)])

    def _produce(self, count: int) -> np.ndarray:
        lanes = min(4096, 1 + count // 64)
        steps = -(-count // lanes)
        x = _lane_states(_A1, M1, self._x, steps, lanes)
        y = _lane_states(_A2, M2, self._y, steps, lanes)
        out = np.empty((steps, lanes))
        for row in out:
            x = [x[1], x[2], _modulo(1403580.0 * x[1] - 810728.0 * x[0], M1)]
            y = [y[1], y[2], _modulo(527612.0 * y[2] - 1370589.0 * y[0], M2)]
            difference = x[2] - y[2]
            np.multiply(difference + M1 * (difference <= 0), _NORM, out=row)
        self._x, self._y = [int(word[-1]) for word in x], [int(word[-1]) for word in y]
        return out.T.reshape(-1)


def _modulo(value: np.ndarray, modulus: int) -> np.ndarray:
    """`value` mod `modulus`, exact for whole float64 numbers below 2^53: the quotient has at most 21 bits."""
    return value - np.floor(value / modulus) * modulus


def _lane_states(matrix: _Matrix, modulus: int, state: list[int], steps: int, lanes: int) -> list[np.ndarray]:
    """Three float64 arrays (lanes,): the component's state after 0, `steps`, 2 `steps`, ... steps."""
    jump = _power(matrix, steps, modulus)
    states = [state]
    for _ in range(lanes - 1):
        states.append([sum(a * b for a, b in zip(row, states[-1], strict=True)) % modulus for row in jump])
    return list(np.array(states, np.float64).T.copy())


def _power(matrix: _Matrix, exponent: int, modulus: int) -> _Matrix:
    """The matrix to the given power, modulo `modulus`."""
    result: _Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    while exponent:
        if exponent & 1:
            result = _product(result, matrix, modulus)
        matrix = _product(matrix, matrix, modulus)
        exponent >>= 1
    return result


def _product(a: _Matrix, b: _Matrix, modulus: int) -> _Matrix:
    columns = list(zip(*b, strict=True))
    return [[sum(p * q for p, q in zip(row, column, strict=True)) % modulus for column in columns] for row in a]
