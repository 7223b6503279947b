"""WELL512a, a generator linear over bits: Panneton, L'Ecuyer and Matsumoto 2006, period 2^512 - 1.

The authors' program keeps 16 words in a ring; written as sequences, with s_n the word that a step leaves behind and
y_n its output (all words of 32 bits, + meaning exclusive or):

    a = y_{n-1} + y_{n-1}<<16 + s_{n-13} + s_{n-13}<<15
    b = s_{n-9} + s_{n-9}>>11
    s_n = a + b
    y_n = s_{n-15} + s_{n-15}<<2 + a + a<<18 + b<<28 + s_n + (s_n<<5 & da442d24)
"""

from __future__ import annotations

from typing import Self

import numpy as np

from odits.models.random_streams.base import RandomStream, seed_words

WORDS = 16
BITS = 32 * WORDS

MINIMAL_POLYNOMIAL = int(
    "10000000003c417e724aa25c94dd96181aca072f14e30252104a72cdaf7ab5f06"
    "a1381bcb38e3c2d213a524cbf3d462377d6b79a9cb30e185e0f4f3e2a7600001",
    16,
)
"""Bit k is the coefficient of x^k in the polynomial, of degree 512, that the step satisfies as a linear map."""


class WELL512a(RandomStream):
    """Numbers of 32 bits.

    Args:
        state: the 16 words (uint32) of the authors' `InitWELLRNG512a`, not all 0.
    """

    description = "well equidistributed long-period linear generator (Panneton, L'Ecuyer, Matsumoto 2006)"

    def __init__(self, state: np.ndarray) -> None:
        super().__init__()
        words = np.asarray(state, np.uint32)[:, None]
        self._left, self._output = words[:0:-1], words[0]  # (15, 1), oldest first, and (1,)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """The stream whose state is 16 seed words."""
        words = seed_words(seed, WORDS, np.uint32)
        return cls(words if words.any() else words + 1)

    def _produce(self, count: int) -> np.ndarray:
        doublings = min(11, (count // 1024).bit_length())
        steps = -(-count >> doublings)
        left, output = _lane_states(self._left, self._output, steps, doublings)
        left, outputs = _run(left, output, steps)
        self._left, self._output = left[-15:, -1:].copy(), outputs[-1, -1:].copy()
        return outputs[1:].T.reshape(-1) * 2.0**-32


def _run(left: np.ndarray, output: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """All s (15 + steps, lanes) and y (1 + steps, lanes); after k steps the state is s[k : k + 15] and y[k]."""
    s = np.concatenate([left, np.empty((steps, left.shape[1]), np.uint32)])
    y = np.concatenate([output[None], np.empty((steps, left.shape[1]), np.uint32)])
    for n in range(15, 15 + steps):
        last, oldest = y[n - 15], s[n - 15]
        a = last ^ (last << 16) ^ s[n - 13] ^ (s[n - 13] << 15)
        b = s[n - 9] ^ (s[n - 9] >> 11)
        fresh = np.bitwise_xor(a, b, out=s[n])
        y[n - 14] = oldest ^ (oldest << 2) ^ a ^ (a << 18) ^ (b << 28) ^ fresh ^ ((fresh << 5) & 0xDA442D24)
    return s, y


def _lane_states(left: np.ndarray, output: np.ndarray, steps: int, doublings: int) -> tuple[np.ndarray, np.ndarray]:
    """The states, (15, lanes) and (lanes,), of 2^doublings lanes that start `steps` steps apart.

    A jump of k steps is the polynomial x^k mod the minimal polynomial, applied to the step: the exclusive or of those
    among the next 512 states whose coefficient is 1. Each jump doubles the lanes, and the next is its square.
    """
    jump = _power_of_x(steps) if doublings else 0
    for _ in range(doublings):
        s, y = _run(left, output, BITS)
        taken = np.array([k for k in range(BITS) if jump >> k & 1])
        jumped = [np.bitwise_xor.reduce(s[taken + j]) for j in range(15)]
        left = np.concatenate([left, jumped], axis=1)
        output = np.concatenate([output, np.bitwise_xor.reduce(y[taken])])
        jump = _reduced(_squared(jump))
    return left, output


def _power_of_x(exponent: int) -> int:
    """x^exponent modulo the minimal polynomial, bit k being the coefficient of x^k."""
    result = 1
    for bit in f"{exponent:b}":
        result = _reduced(_squared(result) << int(bit))
    return result


def _squared(polynomial: int) -> int:
    """The square over GF(2): a zero between any two bits, which is what reading binary digits to base 4 does."""
    return int(f"{polynomial:b}", 4)


def _reduced(polynomial: int) -> int:
    """The remainder of the polynomial modulo the minimal polynomial."""
    while (excess := polynomial.bit_length() - 1 - BITS) >= 0:
        polynomial ^= MINIMAL_POLYNOMIAL << excess
    return polynomial
