"""Weights of a pool: a rate that is none is refused, with the spectrum and the energy that gave it."""

from functools import partial

import numpy as np
import pytest

from engine.errors import BadInput
from engine.inference.pools import Pool

ENERGY_KEV = np.array([1.0, 2.0, 3.0, 4.0])


@pytest.fixture
def pool():
    """Two electron and two nuclear recoils, thrown uniformly over 10 keV."""
    kind, half = np.array([0, 0, 1, 1], np.int8), np.zeros(4, np.int8)
    return Pool(kind, ENERGY_KEV, np.full(4, 0.1), half, np.array([5, 8]), np.ones(4), np.ones(4), {})


def rate(energy_keV, above):
    return np.where(energy_keV > 2.5, above, 1.0)


def test_weights_are_rate_over_density_of_one_kind(pool):
    np.testing.assert_allclose(pool.weights("ER", partial(rate, above=7.0)), [2.0, 2.0, 0.0, 0.0])
    np.testing.assert_allclose(pool.weights("NR", partial(rate, above=0.0)), 0.0)


@pytest.mark.parametrize("above", [-1e-9, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(pool, above):
    with pytest.raises(BadInput, match=r"test_pools: rate\(3 keV\) = .*must be finite and 0 or more"):
        pool.weights("NR", partial(rate, above=above))
    assert pool.weights("ER", partial(rate, above=above)).sum() == 4.0


def test_groups_are_as_unequal_as_chance_and_follow_the_energy():
    """The same recoil in a pool that was selected otherwise is in the same group; a table's events take turns."""
    n, rng = 20_000, np.random.default_rng(1)
    kind, energy = np.where(np.arange(n) < 15_000, 0, 2).astype(np.int8), rng.uniform(1, 14, n)
    energy[kind == 2] = np.nan
    ones, zeros = np.ones(n), np.zeros(n, np.int8)
    pool = Pool(kind, energy, ones, zeros, np.array([n, 0, 5000]), ones, ones, {}, ("ER", "NR", "surface"))
    group, kept = pool.groups(10), rng.random(n) < 0.5
    recoils = np.bincount(group[kind == 0], minlength=10)
    assert recoils.sum() == 15_000 and 15 < recoils.std() < 90  # sqrt(1350)
    assert np.array_equal(pool.only(kept).groups(10)[: np.count_nonzero(kept[:15_000])], group[:15_000][kept[:15_000]])
    assert np.array_equal(np.bincount(group[kind == 2]), np.full(10, 500))
