"""Shapley values: exact against the definition, drawn ones within their errors."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odits.models.fusion.shapley import EXACT_PLAYERS, Game, shapley_values


def game_of(players: int, seed: int) -> Game:
    """A game whose worth is drawn for each choice of players."""
    worth = np.random.default_rng(seed).normal(size=1 << players)
    powers = 1 << np.arange(players)
    return lambda present: worth[present @ powers]


def by_definition(game: Game, players: int) -> np.ndarray:
    """The mean of what each player adds, over all orders."""
    gained = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        present = np.zeros((players + 1, players), bool)
        for place, player in enumerate(order):
            present[place + 1 :, player] = True
        gained[list(order)] += np.diff(game(present))
    return gained / len(orders)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 10_000))
def test_exact_values_are_the_mean_over_all_orders(players: int, seed: int) -> None:
    game = game_of(players, seed)
    found = shapley_values(game, players)
    np.testing.assert_allclose(found.values, by_definition(game, players), atol=1e-9)
    assert found.exact
    assert not found.errors.any()
    assert found.values.sum() == pytest.approx(found.everything - found.nothing)


def test_drawn_values_lie_within_their_errors_and_share_everything() -> None:
    players = 9
    game = game_of(players, 3)
    exact = shapley_values(game, players)
    off = []
    for seed in range(20):
        drawn = shapley_values(game, players, permutations=40, seed=seed, exact_players=0)
        assert not drawn.exact
        assert drawn.values.sum() == pytest.approx(exact.everything - exact.nothing)
        off.append((drawn.values - exact.values) / drawn.errors)
    # Student's t with 39 degrees of freedom: standard deviation 1.03, and 5 % of them beyond 2.02.
    assert 0.8 < np.std(off) < 1.25
    assert 0.01 < np.mean(np.abs(off) > 2.02) < 0.12


def test_more_orders_make_smaller_errors() -> None:
    game = game_of(9, 4)
    few, many = (shapley_values(game, 9, count, exact_players=0).errors.mean() for count in (10, 250))
    assert many < few / 3


def test_an_idle_player_gets_nothing_and_equal_ones_the_same() -> None:
    players = EXACT_PLAYERS + 2

    def game(present: np.ndarray) -> np.ndarray:
        return present[:, :4].any(1) * 3.0 + present[:, 5]

    found = shapley_values(game, players, permutations=400, seed=1)
    assert found.values[5] == pytest.approx(1)
    np.testing.assert_allclose(found.values[6:], 0)
    np.testing.assert_allclose(found.values[:4], 0.75, atol=4 * found.errors[:4].max())


def test_no_players_share_nothing() -> None:
    found = shapley_values(lambda present: np.full(len(present), 2.5), 0)
    assert (found.values.shape, found.everything, found.nothing) == ((0,), 2.5, 2.5)
