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
