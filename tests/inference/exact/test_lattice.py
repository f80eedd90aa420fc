"""The excess in a few bins: against enumeration, a count, and toys with rates drawn."""

import itertools

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import bins, rates
from engine.inference.exact.lattice import CELL, LatticeLaw


def fixed(means):
    return rates.Nodes(np.atleast_2d(np.asarray(means, dtype=np.float64)), np.ones(1), 0.0, 0.0)


def test_bins_below_expectation_say_nothing():
    assert bins.excess([[0, 5]], np.array([3.0, 2.0])) == pytest.approx(bins.deviance([[3, 5]], np.array([3.0, 2.0])))
    assert bins.excess([[0, 1]], np.array([3.0, 2.0])).tolist() == [0.0]


def test_enumeration():
    expected, means = np.array([0.5, 1.1, 2.0]), np.array([0.7, 1.0, 2.5])
    outcomes = np.array(list(itertools.product(range(31), repeat=3)))
    weights, q = stats.poisson.pmf(outcomes, means).prod(axis=1), bins.excess(outcomes, expected)
    law = LatticeLaw(expected, fixed(means))
    levels = np.sort(q[q < 40])[::53]
    exact, below = (np.array([weights[q >= level - d].sum() for level in levels]) for d in (1e-9, 3.01 * CELL))
    p = law.sf(levels)
    assert np.all(p >= exact * (1 - 1e-9)) and np.all(p <= below * (1 + 1e-6)) and p.min() < 1e-7
    order = np.argsort(q)
    median = q[order][np.argmax(np.cumsum(weights[order]) >= 0.5)]
    assert law.median() == pytest.approx(median, abs=2 * CELL)


def test_one_bin_is_a_count_far_down_the_tail():
    law, n = LatticeLaw(np.array([3.0]), fixed([3.0])), np.array([4, 8, 20, 36])
    q = bins.excess(n[:, None], np.array([3.0]))
    assert law.sf(q) == pytest.approx(stats.poisson.sf(n - 1, 3.0), rel=1e-6)
    assert stats.poisson.sf(35, 3.0) < 1e-24


def test_rates_drawn_against_toys():
    rng, n = np.random.default_rng(5), 100_000
    means, sd = np.array([[6.0, 3.0, 1.0], [0.5, 2.0, 4.0]]), np.array([0.1, 0.5])
    theta = stats.truncnorm.ppf(rng.random((n, 2)), -1 / sd, np.inf, loc=1, scale=sd)
    q = bins.excess(rng.poisson(theta @ means), means.sum(axis=0))
    law = LatticeLaw(means.sum(axis=0), rates.nodes(means, sd))
    assert law.smallest_p < 1e-12
    for level in np.quantile(q, [0.4, 0.7, 0.95, 0.999], method="inverted_cdf"):
        p = float(law.sf(level))
        assert np.mean(q >= level - 3 * CELL) == pytest.approx(p, abs=4 * np.sqrt(p / n) + 2e-3 * p)
