"""p-values from toys: never zero, ties count, and intervals and false alarms that keep their promise."""

import numpy as np
import pytest
from scipy import stats

from engine.inference.cells import Choice, background_block
from engine.inference.significance import CENTRAL, clopper_pearson, median_ranks, median_significance, n_at_or_above
from engine.inference.teststats import centred, count, extended_poisson, tail_count
from engine.options import configure

N_NULL = 19  # few null toys per p-value: k / n instead of (k + 1) / (n + 1) would be seen at once


def at(q, q_null):
    return median_significance(np.sort(q_null), np.array([float(q)]))


def test_p_is_k_plus_one_over_n_plus_one():
    q_null = np.arange(99.0)
    assert at(95.5, q_null).p == pytest.approx(4 / 100)
    assert at(95.5, q_null).tail == "counted"
    assert at(-1, q_null).p == 1


def test_beyond_all_toys_p_is_a_bound_and_not_zero():
    found = at(1e9, np.arange(99.0))
    assert (found.p, found.tail, found.p_low) == (1 / 100, "bound", 0.0)
    assert found.p_high > found.p
    assert found.z == pytest.approx(stats.norm.isf(0.01))


def test_ties_count():
    q_null = np.array([0.0, 1, 1, 1, 2])
    assert [n_at_or_above(q_null, q) for q in (0, 0.5, 1, 1.5, 2, 3)] == [5, 4, 4, 1, 1, 0]
    assert at(1, q_null).p == 5 / 6


def test_z_is_one_sided():
    assert at(500, np.arange(999.0)).z == pytest.approx(0, abs=0.01)
    assert at(0, np.arange(99.0)).z == -np.inf


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1000), (0, 10_000), (9_999, 10_000)])
@pytest.mark.parametrize("level", [CENTRAL, 0.95])
def test_clopper_pearson(k, n, level):
    expected = stats.binomtest(k, n).proportion_ci(confidence_level=level, method="exact")
    assert clopper_pearson(k, n, level) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 10, 99, 100, 1000, 10_001])
def test_median_ranks_cover_the_median_and_not_much_more(n):
    """The median lies between order statistics r and s (from 0) if r < K <= s of n values fall below it."""
    low, high = median_ranks(n)
    below = stats.binom(n, 0.5)
    covered = below.cdf(high) - below.cdf(low)
    if n > 3:
        assert covered >= CENTRAL
        assert below.cdf(high - 1) - below.cdf(low + 1) < CENTRAL
    assert (low, high) == (n - 1 - high, n - 1 - low)


@pytest.mark.parametrize(("n_null", "n_signal"), [(200_000, 60), (300, 100_000), (2000, 2000)])
def test_the_interval_covers_the_true_median_p(n_null, n_signal):
    """Whichever of the two samples is small; ranks of few signal toys are whole numbers, and enclose a little more."""
    few = min(n_null, n_signal) < 1000
    rng, truth, n = np.random.default_rng(6), stats.norm.sf(1), 250 if few else 1500
    q_null = np.sort(rng.normal(size=n_null))
    covered = 0
    for _ in range(n):
        if n_null < 1e5:
            q_null = np.sort(rng.normal(size=n_null))
        found = median_significance(q_null, rng.normal(1, 1, n_signal))
        covered += found.p_low <= truth <= found.p_high
    error = np.sqrt(CENTRAL * (1 - CENTRAL) / n)
    assert covered / n > CENTRAL - 3 * error
    assert covered / n < CENTRAL + (0.12 if few else 0.02 + 2 * error)


# The papers' kernel density


@pytest.mark.parametrize("level", [0.5, 0.84, 0.98])
def test_a_kernel_density_agrees_with_counting_in_the_bulk(level):
    """Within 4 counting errors, and what the kernel's width does to the tail: sd(q) grows by n^(-2/5) / 2, or 1 %."""
    n, q = 10_000, stats.norm.ppf(level)
    q_null = np.random.default_rng(9).normal(size=n)
    counted, smooth = (median_significance(np.sort(q_null), np.array([q]), kde) for kde in (False, True))
    assert (counted.tail, smooth.tail) == ("counted", "kde")
    error = np.sqrt(counted.p * (1 - counted.p) / n)
    assert smooth.p != counted.p
    assert smooth.p == pytest.approx(stats.norm.sf(q / np.sqrt(1 + n**-0.4)), abs=4 * error)
    assert smooth.p == pytest.approx(counted.p, abs=4 * error + 0.01 * counted.p)
    assert smooth.p_low <= smooth.p <= smooth.p_high
    assert (smooth.q_median, smooth.n_below) == (counted.q_median, counted.n_below)


def test_a_kernel_density_says_nothing_beyond_the_largest_toy():
    """At the largest toy there is still one; from there on the row is the bound that counting gives."""
    q_null = np.sort(np.random.default_rng(9).normal(size=1000))
    at_largest, *beyond = (median_significance(q_null, np.array([q]), kde=True) for q in (q_null[-1], 5.0, 1e9))
    assert at_largest.tail == "kde"
    assert at_largest.p == pytest.approx(stats.norm.sf(q_null[-1] / np.sqrt(1 + 1000**-0.4)), abs=2e-3)
    assert at_largest.p > 0.5 / 1000  # half the kernel of the largest toy itself
    for q, found in zip((5.0, 1e9), beyond, strict=True):
        assert found == at(q, q_null)
        assert (found.p, found.tail) == (1 / 1001, "bound")


def test_a_kernel_density_of_toys_that_are_all_alike_is_counted():
    assert median_significance(np.zeros(99), np.zeros(3), kde=True) == median_significance(np.zeros(99), np.zeros(3))


def test_signal_toys_at_or_below_the_median_are_counted():
    """Half of them for a continuous statistic; more where they are tied at the median."""
    q_null = np.arange(9.0)
    assert median_significance(q_null, np.array([3.0, 1.0, 2.0, 4.0])).n_below == 2
    assert median_significance(q_null, np.array([2.0, 2, 1, 2, 5, 6])).n_below == 4


# Coverage


@pytest.mark.parametrize("relative_uncertainty", [(0.0, 0.0), (0.2, 0.2)], ids=["idealised", "prior_predictive"])
def test_false_alarms_under_the_null(make_population, relative_uncertainty):
    """P(p <= a) <= a, each observed toy against null toys of its own; the density statistics reach a.

    Observed toy i stands beside null toys i ... i + 18: one stream for both would never give the smallest p.
    """
    population = make_population(relative_uncertainty=relative_uncertainty, key=("coverage",))
    modules = {extended_poisson: 1.0, tail_count: 1.0, centred: 1.0, count: None}
    choices = [Choice(R, module, configure(module, {})) for module, R in modules.items()]
    draws = {name: [background_block(population, 1.0, name, block, choices) for block in range(20)]
             for name in ("null", "background")}  # fmt: skip
    for column, choice in enumerate(choices):
        statistic = choice.prepare(population.null(choice.R, 1.0))
        q = {name: np.concatenate([statistic.q(n_events, found[column]) for n_events, found in blocks])
             for name, blocks in draws.items()}  # fmt: skip
        starts = range(0, len(q["null"]) - N_NULL, N_NULL)
        p = np.array([at(q["background"][i], q["null"][i : i + N_NULL]).p for i in starts])
        for a in (0.02, 0.0501, 0.101, 0.3, 0.5):
            attained = np.floor(a * (N_NULL + 1) + 1e-9) / (N_NULL + 1)
            error = np.sqrt(a * (1 - a) / len(p))
            assert np.mean(p <= a) <= attained + 4 * error
            if choice.module in (extended_poisson, centred):
                assert np.mean(p <= a) >= attained - 4 * error
