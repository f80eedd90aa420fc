"""Toys are sums over drawn events: the compiled loops against plain ones on the same random stream."""

import numpy as np
import pytest
from scipy import stats

from engine import sampling
from engine.inference import toys

N_POOL = 300
MEANS = np.geomspace(0.05, 40, 7)


@pytest.fixture
def drawn():
    """cdf and guide (2 components), and values (events, 3) with cancelling signs and unlike sizes."""
    rng = np.random.default_rng(8)
    weights = rng.random((2, N_POOL)) * (rng.random((2, N_POOL)) < 0.7)
    cdf, guide = (np.stack(parts) for parts in zip(*map(sampling.table, weights), strict=True))
    return cdf, guide, rng.normal(0, 10.0 ** np.arange(3), (N_POOL, 3))


def nested(name, means, values, cdf, guide, n_toys=60):
    rng = toys.stream(name)
    counts = toys.nested_counts(rng, means, n_toys)
    return counts, toys.signal_sums(rng, counts, cdf[0], guide[0], values)


def test_background_sums_are_a_plain_loop(drawn):
    cdf, guide, values = drawn
    counts = np.random.default_rng(1).poisson([30.0, 2.0], (40, 2))
    counts[3], counts[7, 0] = 0, 0
    rng = toys.stream("twin")
    expected = np.zeros((40, 3))
    for toy, row in enumerate(counts):
        for component, n in enumerate(row):
            for _ in range(n):
                expected[toy] += values[np.searchsorted(cdf[component], rng.random(), side="right")]
    assert np.array_equal(toys.background_sums(toys.stream("twin"), counts, cdf, guide, values), expected)


def test_signal_sums_are_a_plain_loop(drawn):
    cdf, guide, values = drawn
    counts, sums = nested("twin", MEANS, values, cdf, guide)
    rng = toys.stream("twin")
    toys.nested_counts(rng, MEANS, 60)
    events = np.searchsorted(cdf[0], rng.random((counts.max() + 1, 60)), side="right")
    for toy, row in enumerate(counts):
        for step, n in enumerate(row):
            expected = values[events[:n, toy]].sum(axis=0)
            assert sums[toy, step] == pytest.approx(expected, rel=1e-12, abs=1e-11)


@pytest.mark.parametrize("kept", [[0], [6], [2, 5], [0, 3, 6]])
def test_a_cross_section_does_not_see_the_others(drawn, kept):
    """A subset of the steps gives the same bits: so a refined scan repeats nothing and contradicts nothing."""
    cdf, guide, values = drawn
    counts, sums = nested("subset", MEANS, values, cdf, guide)
    fewer, their_sums = nested("subset", MEANS[kept], values, cdf, guide)
    assert np.array_equal(fewer, counts[:, kept])
    assert np.array_equal(their_sums, sums[:, kept])


def test_larger_cross_sections_contain_the_events_of_smaller_ones(drawn):
    cdf, guide, _ = drawn
    counts, sums = nested("nested", MEANS, np.eye(N_POOL), cdf, guide)
    assert np.array_equal(sums.sum(axis=2), counts)
    assert np.all(np.diff(counts, axis=1) >= 0)
    assert np.all(np.diff(sums, axis=1) >= 0)


def test_signal_events_follow_their_weights(drawn):
    cdf, guide, _ = drawn
    _, sums = nested("weights", np.array([200.0]), np.eye(N_POOL), cdf, guide, n_toys=500)
    share = np.diff(cdf[0], prepend=0)
    events = sums[:, 0].sum(axis=0)
    used = share > 0
    assert events[~used].sum() == 0
    assert stats.chisquare(events[used], share[used] / share.sum() * events.sum()).pvalue > 1e-4


def test_nested_counts_are_poisson_at_every_mean():
    n = 20_000
    means = np.concatenate([[0.0], MEANS])
    counts = toys.nested_counts(toys.stream("poisson"), means, n)
    assert np.all(np.diff(counts, axis=1) >= 0)
    assert not counts[:, 0].any()
    for mean, column in zip(means[1:], counts.T[1:], strict=True):
        assert abs(column.mean() - mean) < 4.5 * np.sqrt(mean / n)
        assert abs(column.var() - mean) < 4.5 * np.sqrt((mean + 2 * mean**2) / n)


@pytest.mark.parametrize("relative_sd", [(0.0, 0.0), (0.1, 0.0), (0.05, 0.3)])
def test_background_counts_have_the_prior_predictive_mean_and_variance(relative_sd):
    """N has mean B and variance B + sum (sd_c B_c)^2; components fluctuate independently."""
    n, mean, sd = 40_000, np.array([400.0, 50.0]), np.array(relative_sd)
    counts = toys.background_counts(toys.stream("prior"), mean, sd, n)
    total, variance = counts.sum(axis=1), mean.sum() + np.square(sd * mean).sum()
    assert abs(total.mean() - mean.sum()) < 4.5 * np.sqrt(variance / n)
    assert abs(total.var() / variance - 1) < 4.5 * np.sqrt(2.2 / n)
    assert abs(np.corrcoef(counts.T)[0, 1]) < 4.5 / np.sqrt(n)


def test_rates_are_truncated_at_zero_not_clipped():
    n, mean, normal = 20_000, 1000.0, stats.norm
    counts = toys.background_counts(toys.stream("truncated"), np.array([mean]), [1.0], n)
    expected = mean * (1 + normal.pdf(1) / normal.cdf(1))  # of a Gaussian (1, 1) cut at 0: 1.29; clipped: 1.08
    assert abs(counts.mean() / expected - 1) < 0.02
    assert np.mean(counts == 0) < 0.01


def test_streams_are_named_by_their_keys():
    first, again, other = (toys.stream(1, "pool", 5.0, "null", block).random(8) for block in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.intersect1d(first, other).size
