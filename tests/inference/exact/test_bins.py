"""The deviance of bins: against enumeration, toys and the chi-square it tends to."""

import itertools

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import bins, rates


def fixed(means):
    return rates.Nodes(np.atleast_2d(np.asarray(means, dtype=np.float64)), np.ones(1), 0.0, 0.0)


def test_the_statistic():
    """By hand, and twice the log-likelihood ratio of scipy's Poisson."""
    assert bins.deviance([[0, 2]], np.array([1.5, 2.0])) == pytest.approx([3.0])
    counts, expected = np.array([[3, 0, 7], [1, 2, 3]]), np.array([2.0, 0.5, 9.0])
    ratio = stats.poisson.logpmf(counts, counts) - stats.poisson.logpmf(counts, expected)
    assert bins.deviance(counts, expected) == pytest.approx(2 * ratio.sum(axis=1))


def test_enumeration_where_q_is_discrete():
    """Three bins, all outcomes up to 30 events: at every atom that stands alone."""
    expected, means = np.array([0.5, 1.1, 2.0]), np.array([0.7, 1.0, 2.5])
    outcomes = np.array(list(itertools.product(range(31), repeat=3)))
    weights = stats.poisson.pmf(outcomes, means).prod(axis=1)
    q = bins.deviance(outcomes, expected)
    law = bins.DevianceLaw(expected, fixed(means))
    levels = np.sort(q[q < 25])
    alone = levels[(np.diff(levels, prepend=-1) > 0.1) & (levels > 0.2)]
    assert len(alone) > 5
    # within 1 % of a standard deviation below a value the law may count more, and errs upwards
    exact = np.array([weights[q >= level].sum() for level in alone])
    assert law.sf(alone + 1e-9) == pytest.approx(exact, rel=1e-4)
    everywhere = levels[::97]
    exact = np.array([weights[q >= level].sum() for level in everywhere])
    assert (law.sf(everywhere) >= exact * (1 - 1e-4)).all()
    order = np.argsort(q)
    median = q[order][np.argmax(np.cumsum(weights[order]) >= 0.5)]
    assert law.median() == pytest.approx(median, abs=0.02)


@pytest.mark.parametrize(("n_bins", "mean"), [(1000, 6.5), (1000, 0.03), (64, 2.0), (10, 50.0)])
def test_brute_force(n_bins, mean):
    expected, n = np.full(n_bins, mean), 100_000 if n_bins < 500 else 20_000
    law = bins.DevianceLaw(expected, fixed(expected))
    q = bins.deviance(np.random.default_rng(7).poisson(expected, size=(n, n_bins)), expected)
    for level in np.quantile(q, [0.05, 0.3, 0.5, 0.9, 0.998], method="inverted_cdf"):
        p = float(law.sf(level))
        assert np.mean(q >= level - 1e-9) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n) + 2e-3 * p)


def test_the_tail_against_a_sum_over_outcomes():
    """Two bins of equal mean, to 1e-13: the tilted integral is relative where 1 - P is not."""
    expected, n = np.array([10.0, 10.0]), np.arange(150)
    weights = np.exp(np.add.outer(*2 * [stats.poisson.logpmf(n, 10.0)]))
    q = np.add.outer(*2 * [bins.deviance(n[:, None], expected[:1])])
    law = bins.DevianceLaw(expected, fixed(expected))
    for level in (25.0, 60.0):
        low, high = weights[q >= level + 0.001].sum(), weights[q >= level - 0.05].sum()
        assert low * (1 - 1e-4) < law.sf(level) < high * (1 + 1e-4)
    assert law.sf(60.0) < 1e-12


def test_many_events_make_a_chi_square():
    expected = np.full(50, 1e4)
    law = bins.DevianceLaw(expected, fixed(expected))
    q = np.array([20.0, 50, 90, 150, 250])
    assert law.sf(q) == pytest.approx(stats.chi2.sf(q, 50), rel=3e-3)
    assert law.smallest_p < 1e-200


def test_two_nodes_are_two_laws_mixed():
    expected = np.full(300, 4.0)
    mixture = bins.DevianceLaw(expected, rates.Nodes(np.stack([expected, 1.1 * expected]), np.array([0.3, 0.7]), 0, 0))
    q = np.array([250.0, 320, 400, 500, 700])
    parts = [bins.DevianceLaw(expected, fixed(k * expected)).sf(q) for k in (1.0, 1.1)]
    assert mixture.sf(q) == pytest.approx(0.3 * parts[0] + 0.7 * parts[1], rel=1e-5)
    assert mixture.sf(mixture.median()) == pytest.approx(0.5, abs=1e-3)


def test_uncertain_rates_and_signal_against_brute_force():
    rng, n, n_bins = np.random.default_rng(8), 30_000, 100
    nr = np.exp(np.linspace(-8, 0, n_bins))
    means, sd = np.array([np.full(n_bins, 6.0), 8 * nr / nr.sum()]), np.array([0.05, 0.4])
    expected, signal = means.sum(axis=0), 40 * nr / nr.sum()
    theta = np.stack([stats.truncnorm.rvs(-1 / s, np.inf, 1, s, size=n, random_state=rng) for s in sd])
    medians = []
    for extra in (0 * signal, signal):
        law = bins.DevianceLaw(expected, rates.nodes(means, sd, extra))
        q = bins.deviance(rng.poisson(theta.T @ means + extra), expected)
        for level in np.quantile(q, [0.1, 0.5, 0.9, 0.995]):
            p = float(law.sf(level))
            assert np.mean(q >= level) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n) + 1e-3 * p)
        medians.append(law.median())
    assert medians[1] > medians[0] + 3


def test_more_signal_less_p_and_no_signal_is_the_null():
    expected, shape = np.full(40, 5.0), np.linspace(0, 4, 40)
    null = bins.DevianceLaw(expected, fixed(expected))
    p = [float(null.sf(bins.DevianceLaw(expected, fixed(expected + s * shape)).median())) for s in (0, 0.5, 1, 2, 5)]
    assert p[0] == pytest.approx(0.5, abs=1e-3)
    assert (np.diff(p) < 0).all()
    assert p[-1] < 1e-15


def test_bins_that_are_alike_may_share_their_averages(monkeypatch):
    """Means that scatter by 3 %, as those of a finite pool do, against every bin by itself."""
    rng = np.random.default_rng(9)
    expected = 6.5 * (1 + 0.03 * rng.standard_normal(100))
    means = 6.5 * (1 + 0.03 * rng.standard_normal(100))
    grouped = bins.DevianceLaw(expected, fixed(means))
    monkeypatch.setattr(bins, "ALIKE", 1e-12)
    exact = bins.DevianceLaw(expected, fixed(means))
    q = np.array([90.0, 150, 250])
    assert grouped.sf(q) == pytest.approx(exact.sf(q), rel=1e-4)


def drawn(n_bins, b, **reach):
    """Two components that move apart and one that nobody knows, in bins of equal expectation."""
    x, sd = (np.arange(n_bins) + 0.5) / n_bins, np.array([0.05, 0.1, 0.5])
    shapes = np.array([1.5 - x, x, 0.1 * x**20])
    means = b * shapes / (shapes.sum(axis=0) * n_bins)
    return means, sd, rates.nodes(means, sd, **reach)


@pytest.mark.slow
@pytest.mark.parametrize(("n_bins", "b"), [(8, 100.0)])
def test_all_rates_together_are_each_by_itself(monkeypatch, n_bins, b):
    """To far less than 1e-2 of p, at 3 sigma and beyond 4."""
    means, _, nodes = drawn(n_bins, b, z=0, step=2.5)
    found = []
    for few in (0, 10**9):
        monkeypatch.setattr(bins, "FEW_NODES", few)
        found.append(bins.DevianceLaw(means.sum(axis=0), nodes))
    q = np.array([0.7, 1.0, 3.0, 5.0]) * found[0].median()
    together, apart = (law.sf(q) for law in found)
    assert together[1] == pytest.approx(0.5, abs=1e-2) and together[2] < 1e-2 and together[3] < 1e-4
    assert together == pytest.approx(apart, rel=1e-4)


def test_rates_drawn_against_toys():
    means, sd, nodes = drawn(40, 4000.0, z=4)
    rng, n, expected = np.random.default_rng(3), 40_000, means.sum(axis=0)
    theta = stats.truncnorm.ppf(rng.random((n, 3)), -1 / sd, np.inf, loc=1, scale=sd)
    q, law = bins.deviance(rng.poisson(theta @ means), expected), bins.DevianceLaw(expected, nodes)
    for level in np.quantile(q, [0.1, 0.5, 0.9, 0.99, 0.9985]):
        p = float(law.sf(level))
        assert np.mean(q >= level) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))


def test_rates_that_move_bins_by_many_deviations_against_toys():
    """900 events in each of 16 bins that move by some 5 %: q has many times the width of its chi-square, and its tail
    falls as slowly as that of the rates."""
    x, sd = (np.arange(16) + 0.5) / 16, np.array([0.05, 0.1])
    means = 900 * np.array([1.5 - x, x]) / (1.5 - x + x)
    expected, nodes = means.sum(axis=0), rates.nodes(means, sd)
    law = bins.DevianceLaw(expected * (1 + 1e-3 * np.sin(np.arange(16))), nodes)
    assert isinstance(law._nodes, bins._FarApart)
    rng, n = np.random.default_rng(4), 40_000
    theta = stats.truncnorm.ppf(rng.random((n, 2)), -1 / sd, np.inf, loc=1, scale=sd)
    q = bins.deviance(rng.poisson(theta @ means), expected)
    for level in [*np.quantile(q, [0.02, 0.3, 0.8, 0.9985]), law.median()]:
        p = float(law.sf(level))
        assert np.mean(q >= level) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n) + 1e-3 * p)
    p = law.sf(law.median() * np.array([0.1, 1.0, 5.0, 20.0]))
    assert (np.diff(p) < 0).all() and p[0] > 0.98 and 0 < p[-1] < 1e-4


@pytest.mark.slow
def test_nodes_far_apart_are_each_by_itself(monkeypatch):
    """A table in the means, and nodes that stand for others, against every node alone: to 2e-3 of p from 1 to 1e-4."""
    x = (np.arange(16) + 0.5) / 16
    means = 300 * np.array([1.5 - x, x]) / 1.5
    nodes = rates.nodes(means, np.array([0.08, 0.1]), z=3, step=2.5)
    assert len(nodes.weights) > bins.FEW_NODES
    far = bins.DevianceLaw(means.sum(axis=0), nodes)
    assert isinstance(far._nodes, bins._FarApart)
    monkeypatch.setattr(bins, "FEW_NODES", 10**9)
    apart = bins.DevianceLaw(means.sum(axis=0), nodes)
    q = far.median() * np.array([0.3, 1.0, 3.0, 12.0])
    assert far.sf(q) == pytest.approx(apart.sf(q), rel=2e-3) and far.median() == pytest.approx(apart.median(), rel=1e-3)
    assert far.sf(q)[-1] < 1e-4
