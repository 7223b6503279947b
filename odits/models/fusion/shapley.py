"""Shapley values of objects: what each one adds to a word, averaged over all orders in which objects could appear.

What a word loses without one object says nothing of two that tell the same: each can go, for the other stays. A Shapley
value shares what they bring together, and the values of all objects sum up to what all of them bring.

References:
    L. S. Shapley (1953), "A value for n-person games", Contributions to the Theory of Games II.
    J. Castro, D. Gómez, J. Tejada (2009), "Polynomial calculation of the Shapley value based on sampling".
    R. Mitchell et al. (2022), "Sampling permutations for Shapley value estimation", JMLR: an order and its reverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

EXACT_PLAYERS = 12
"""Up to so many objects all 2^P choices of them are computed."""
PERMUTATIONS = 32
"""Orders that are drawn where there are more objects, each followed by its reverse."""

Game = Callable[[np.ndarray], np.ndarray]
"""Takes choices of the P players, bool (r, P), and returns what each is worth, float (r,)."""


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """What each of P players adds.

    Attributes:
        values: float64 (P,).
        errors: standard errors float64 (P,); 0 where the values are exact.
        exact: whether they are.
        everything: what all players together are worth.
        nothing: what no player at all is worth; the values sum up to `everything` - `nothing`.
    """

    values: np.ndarray
    errors: np.ndarray
    exact: bool
    everything: float
    nothing: float


def shapley_values(
    game: Game, players: int, permutations: int = PERMUTATIONS, seed: int = 0, exact_players: int = EXACT_PLAYERS
) -> ShapleyValues:
    """Compute Shapley values, exactly for few players, else from orders drawn at random.

    Args:
        game: what a choice of players is worth.
        players: P.
        permutations: pairs of an order and its reverse, at least 2, where P is above `exact_players`; 2 P choices each.
        seed: of the orders.
        exact_players: up to so many players every choice is computed: 2^P of them.

    Example:
        >>> together = shapley_values(lambda present: present[:, :2].all(1).astype(float), 3)
        >>> together.values.tolist(), together.exact
        ([0.5, 0.5, 0.0], True)
    """
    if players <= exact_players:
        return _exact(game, players)
    return _sampled(game, players, permutations, np.random.default_rng(seed))


def _exact(game: Game, players: int) -> ShapleyValues:
    choices = np.arange(1 << players)[:, None] >> np.arange(players) & 1 == 1
    worth = game(choices).astype(np.float64)
    sizes = choices.sum(1)
    weights = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
    values = np.zeros(players)
    for player in range(players):
        without = np.flatnonzero(~choices[:, player])
        values[player] = weights[sizes[without]] @ (worth[without | 1 << player] - worth[without])
    return ShapleyValues(values, np.zeros(players), True, float(worth[-1]), float(worth[0]))


def _sampled(game: Game, players: int, permutations: int, rng: np.random.Generator) -> ShapleyValues:
    drawn = np.empty((permutations, players))
    ends = game(np.array([np.ones(players, bool), np.zeros(players, bool)])).astype(np.float64)
    for number in range(permutations):
        order = rng.permutation(players)
        drawn[number] = (_gains(game, order, ends) + _gains(game, order[::-1], ends)) / 2
    errors = drawn.std(0, ddof=1) / np.sqrt(permutations)
    return ShapleyValues(drawn.mean(0), errors, False, float(ends[0]), float(ends[1]))


def _gains(game: Game, order: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return what each player adds, float64 (P,), as they come in this order, int64 (P,)."""
    rank = np.argsort(order)
    present = rank < np.arange(1, len(order))[:, None]
    worth = np.concatenate([ends[1:], game(present).astype(np.float64), ends[:1]])
    return np.diff(worth)[rank]
