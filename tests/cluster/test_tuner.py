"""The search over one number: the grid is evaluated as it is, then a sampler goes on from it."""

import math

import numpy as np
import pytest

from engine.cluster.tuner import TOGETHER, maximise

GRID = [1.0, 1e2, 1e4, 1e6]


class Hill:
    """-(log10 x - 3)^2, which no point of the grid tops; remembers what it was asked."""

    def __init__(self):
        self.rounds = []

    def __call__(self, xs):
        self.rounds.append(list(xs))
        return [-((math.log10(x) - 3) ** 2) for x in xs]


def test_the_grid_comes_first_and_untouched_then_rounds_of_a_fixed_size():
    hill = Hill()
    values = maximise(hill, GRID, 2 * TOGETHER + 1, seed=1)
    assert hill.rounds[0] == GRID
    assert [len(some) for some in hill.rounds[1:]] == [TOGETHER, TOGETHER, 1]
    assert set(GRID) < set(values) and all(min(GRID) <= x <= max(GRID) for x in values)


@pytest.mark.parametrize("order", [GRID[::-1], [1e4, 1.0, 1e6, 1e2]])
def test_trials_of_the_grid_are_there_whatever_the_order(order):
    values, other = (maximise(Hill(), grid, 0, seed=1) for grid in (GRID, order))
    assert values == other and sorted(other) == GRID


def test_further_trials_come_nearer_to_the_top_than_the_grid():
    values = maximise(Hill(), GRID, 30, seed=1)
    assert max(values.values()) > -0.05 > -1 == max(values[x] for x in GRID)


def test_a_second_pass_asks_for_the_same_and_another_seed_for_others():
    first, again, other = Hill(), Hill(), Hill()
    for hill, seed in ((first, 1), (again, 1), (other, 2)):
        maximise(hill, GRID, 5, seed)
    assert first.rounds == again.rounds != other.rounds


def test_a_value_may_be_minus_infinity():
    values = maximise(lambda xs: [-np.inf if x < 10 else -x for x in xs], GRID, 5, seed=1)
    assert values[1.0] == -np.inf and max(values, key=values.get) >= 10
