"""Seeded streams of uniform random numbers from four published generators (thesis 3.2), equal on every machine.

    MT19937        the Mersenne Twister, period 2^19937 - 1: Matsumoto and Nishimura 1998; NumPy's implementation
    MRG32k3a       a combined multiple recursive generator, period about 2^191: L'Ecuyer 1999
    WELL512a       linear over bits, period 2^512 - 1: Panneton, L'Ecuyer and Matsumoto 2006
    MLFG_6331_64   a multiplicative lagged Fibonacci generator, period 2^61 (2^63 - 1): Mascagni and Srinivasan 2004

The thesis prints the recurrences of MT19937, MRG32k3a and MLFG_6331_64 wrongly or in part: these are the published
generators, each tested against outputs of its authors' code or of an independent one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from odits.core.errors import OditsError
from odits.models.fusion.settings import GENERATORS


def seed_words(seed: int, count: int, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """Return `count` well-mixed words (uint32 or uint64) for a state, by NumPy's SeedSequence: stable by contract."""
    return np.random.SeedSequence(seed).generate_state(count, dtype)


class RandomStream(ABC):
    """One sequence of uniform numbers; how it is cut into calls does not change it.

    Generators compute many numbers at once, in parallel lanes that start far apart in the one sequence. What a call
    leaves over is buffered for the next.

    Example:
        >>> stream = MRG32k3a()
        >>> stream.uniform(1), stream.uniform(2)
        (array([0.12701112]), array([0.31852757, 0.30918602]))
    """

    def __init__(self) -> None:
        self._buffer = np.empty(0)

    @classmethod
    @abstractmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream whose state is made from `seed` by `seed_words`."""

    @abstractmethod
    def _produce(self, count: int) -> np.ndarray:
        """Return the next `count` or more numbers of the sequence, float64 in [0, 1)."""

    def uniform(self, count: int) -> np.ndarray:
        """Return the next `count` numbers of the sequence, float64 in [0, 1)."""
        numbers = self._buffer
        if count > len(numbers):
            fresh = self._produce(count - len(numbers))
            numbers = np.concatenate([numbers, fresh]) if len(numbers) else fresh
        self._buffer = numbers[count:].copy()  # a view would keep the whole array alive
        return numbers[:count]


class MT19937(RandomStream):
    """The Mersenne Twister: numbers of 53 bits, made of two 32-bit outputs as the authors' `genrand_res53` does."""

    def __init__(self, bits: np.random.MT19937) -> None:
        super().__init__()
        self._generator = np.random.Generator(bits)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream of NumPy's MT19937 seeded with `SeedSequence(seed)`."""
        return cls(np.random.MT19937(np.random.SeedSequence(seed)))

    def _produce(self, count: int) -> np.ndarray:
        return self._generator.random(count)


M1, M2 = 4294967087, 4294944443
_A1 = ((0, 1, 0), (0, 0, 1), (-810728, 1403580, 0))
_A2 = ((0, 1, 0), (0, 0, 1), (-1370589, 0, 527612))
_NORM = 2.328306549295727688e-10  # L'Ecuyer's constant; dividing by 2^32 - 208 differs in the last bit

_Matrix = Sequence[Sequence[int]]


class MRG32k3a(RandomStream):
    """Numbers of 32 bits, never exactly 0:

        x_n = (1403580 x_{n-2} - 810728 x_{n-3}) mod (2^32 - 209)
        y_n = (527612 y_{n-1} - 1370589 y_{n-3}) mod (2^32 - 22853)
        u_n = ((x_n - y_n) mod (2^32 - 209)) / (2^32 - 208), where a remainder of 0 counts as 2^32 - 209

    The thesis prints one recurrence only. As in L'Ecuyer's own program, the arithmetic is that of float64: no product
    reaches 2^53, so every step is exact.

    Args:
        state: x_{-3}, x_{-2}, x_{-1} in [0, M1), not all 0, then y_{-3}, y_{-2}, y_{-1} in [0, M2), not all 0.
    """

    def __init__(self, state: Sequence[int] = (12345,) * 6) -> None:
        super().__init__()
        self._x, self._y = [int(word) for word in state[:3]], [int(word) for word in state[3:]]

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream whose state is six seed words, reduced by each component's modulus."""
        words = [int(word) for word in seed_words(seed, 6, np.uint64)]
        x, y = [word % M1 for word in words[:3]], [word % M2 for word in words[3:]]
        return cls([*(x if any(x) else [12345] * 3), *(y if any(y) else [12345] * 3)])

    def _produce(self, count: int) -> np.ndarray:
        lanes = min(4096, 1 + count // 64)
        steps = -(-count // lanes)
        x = _mrg_lane_states(_A1, M1, self._x, steps, lanes)
        y = _mrg_lane_states(_A2, M2, self._y, steps, lanes)
        out = np.empty((steps, lanes))
        for row in out:
            x = [x[1], x[2], _modulo(1403580.0 * x[1] - 810728.0 * x[0], M1)]
            y = [y[1], y[2], _modulo(527612.0 * y[2] - 1370589.0 * y[0], M2)]
            difference = x[2] - y[2]
            np.multiply(difference + M1 * (difference <= 0), _NORM, out=row)
        self._x, self._y = [int(word[-1]) for word in x], [int(word[-1]) for word in y]
        return out.T.reshape(-1)


def _modulo(value: np.ndarray, modulus: int) -> np.ndarray:
    """Return `value` mod `modulus`, exact for whole float64 numbers below 2^53: the quotient has at most 21 bits."""
    return value - np.floor(value / modulus) * modulus


def _mrg_lane_states(matrix: _Matrix, modulus: int, state: list[int], steps: int, lanes: int) -> list[np.ndarray]:
    """Return three float64 arrays (lanes,): the component's state after 0, `steps`, 2 `steps`, ... steps."""
    jump = _power(matrix, steps, modulus)
    states = [state]
    for _ in range(lanes - 1):
        states.append([sum(a * b for a, b in zip(row, states[-1], strict=True)) % modulus for row in jump])
    return list(np.array(states, np.float64).T.copy())


def _power(matrix: _Matrix, exponent: int, modulus: int) -> _Matrix:
    """Raise the matrix to the given power, modulo `modulus`."""
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

    The authors' program keeps 16 words in a ring; written as sequences, with s_n the word that a step leaves behind and
    y_n its output (all words of 32 bits, + meaning exclusive or):

        a = y_{n-1} + y_{n-1}<<16 + s_{n-13} + s_{n-13}<<15
        b = s_{n-9} + s_{n-9}>>11
        s_n = a + b
        y_n = s_{n-15} + s_{n-15}<<2 + a + a<<18 + b<<28 + s_n + (s_n<<5 & da442d24)

    Args:
        state: the 16 words (uint32) of the authors' `InitWELLRNG512a`, not all 0.
    """

    def __init__(self, state: np.ndarray) -> None:
        super().__init__()
        words = np.asarray(state, np.uint32)[:, None]
        self._left, self._output = words[:0:-1], words[0]  # (15, 1), oldest first, and (1,)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream whose state is 16 seed words."""
        words = seed_words(seed, WORDS, np.uint32)
        return cls(words if words.any() else words + 1)

    def _produce(self, count: int) -> np.ndarray:
        doublings = min(11, (count // 1024).bit_length())
        steps = -(-count >> doublings)
        left, output = _well_lane_states(self._left, self._output, steps, doublings)
        left, outputs = _run(left, output, steps)
        self._left, self._output = left[-15:, -1:].copy(), outputs[-1, -1:].copy()
        return outputs[1:].T.reshape(-1) * 2.0**-32


def _run(left: np.ndarray, output: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all s (15 + steps, lanes) and y (1 + steps, lanes); after k steps the state is s[k : k + 15] and y[k]."""
    s = np.concatenate([left, np.empty((steps, left.shape[1]), np.uint32)])
    y = np.concatenate([output[None], np.empty((steps, left.shape[1]), np.uint32)])
    for n in range(15, 15 + steps):
        last, oldest = y[n - 15], s[n - 15]
        a = last ^ (last << 16) ^ s[n - 13] ^ (s[n - 13] << 15)
        b = s[n - 9] ^ (s[n - 9] >> 11)
        fresh = np.bitwise_xor(a, b, out=s[n])
        y[n - 14] = oldest ^ (oldest << 2) ^ a ^ (a << 18) ^ (b << 28) ^ fresh ^ ((fresh << 5) & 0xDA442D24)
    return s, y


def _well_lane_states(
    left: np.ndarray, output: np.ndarray, steps: int, doublings: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the states, (15, lanes) and (lanes,), of 2^doublings lanes that start `steps` steps apart.

    A jump of k steps is the polynomial x^k mod the minimal polynomial, applied to the step: the exclusive or of those
    among the next 512 states whose coefficient is 1. Each jump doubles the lanes, and the next is its square.
    """
    jump = _power_of_x(steps) if doublings else 0
    for _ in range(doublings):
        s, y = _run(left, output, BITS)
        terms = np.array([k for k in range(BITS) if jump >> k & 1])
        jumped = [np.bitwise_xor.reduce(s[terms + j]) for j in range(15)]
        left = np.concatenate([left, jumped], axis=1)
        output = np.concatenate([output, np.bitwise_xor.reduce(y[terms])])
        jump = _reduced(_squared(jump))
    return left, output


def _power_of_x(exponent: int) -> int:
    """Return x^exponent modulo the minimal polynomial, bit k being the coefficient of x^k."""
    result = 1
    for bit in f"{exponent:b}":
        result = _reduced(_squared(result) << int(bit))
    return result


def _squared(polynomial: int) -> int:
    """Square over GF(2): put a zero between any two bits, which is what reading binary digits to base 4 does."""
    return int(f"{polynomial:b}", 4)


def _reduced(polynomial: int) -> int:
    """Return the remainder of the polynomial modulo the minimal polynomial."""
    while (excess := polynomial.bit_length() - 1 - BITS) >= 0:
        polynomial ^= MINIMAL_POLYNOMIAL << excess
    return polynomial


LONG, SHORT = 63, 31


class MLFG6331(RandomStream):
    """Numbers of 52 bits: x_n = x_{n-63} x_{n-31} mod 2^64 over odd words.

    u_n is the upper 52 bits of x_n, as in the authors' library SPRNG (the lowest bits have short periods). The thesis
    prints a recurrence that is incomplete: without odd words, products run into zero.

    Args:
        state: 63 odd words (uint64), oldest first; for the full period at least one must be 3 or 5 modulo 8.
    """

    def __init__(self, state: np.ndarray) -> None:
        super().__init__()
        self._state = np.asarray(state, np.uint64)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the stream whose state is 63 seed words with their lowest bit set, the first made 3 or 5 modulo 8."""
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


_CLASSES: dict[str, type[RandomStream]] = {
    "mt19937": MT19937,
    "mrg32k3a": MRG32k3a,
    "mlfg6331_64": MLFG6331,
    "well512a": WELL512a,
}


def random_stream(generator: str, seed: int) -> RandomStream:
    """Return the stream of a generator that starts at a seed: the same numbers on every machine.

    Args:
        generator: a name of `GENERATORS`.
        seed: 0 or more.

    Raises:
        OditsError: an unknown name, or a seed below zero.

    Example:
        >>> random_stream("well512a", 7).uniform(2)
        array([0.31672435, 0.62921174])
    """
    if generator not in _CLASSES:
        raise OditsError(f"There is no generator “{generator}”; choose one of {', '.join(GENERATORS)}.")
    if seed < 0:
        raise OditsError(f"A seed is a whole number from 0 on, not {seed}.")
    return _CLASSES[generator].seeded(seed)
