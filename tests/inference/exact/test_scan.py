"""The scan over thresholds: its statistic against a plain loop, its law against enumeration and toys."""

import itertools
import time

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import rates, scan


def fixed(means):
    return rates.Nodes(np.atleast_2d(np.asarray(means, dtype=np.float64)), np.ones(1), 0.0, 0.0)


def make_law(steps, nodes=None):
    return scan.ScanLaw(scan.table(np.cumsum(steps)), fixed(steps) if nodes is None else nodes)


STEPS = np.array([0.3, 0.5, 0.8, 1.4])


def test_thresholds_are_log_spaced_between_floor_and_cap():
    b = scan.thresholds(0.1, 6500)
    assert (len(b), b[0], b[-1]) == (64, pytest.approx(0.1), pytest.approx(300))
    assert np.ptp(np.diff(np.log(b))) < 1e-12
    assert scan.thresholds(0.1, 50)[-1] == pytest.approx(50)


def test_local_significances_against_scipy():
    table, n = scan.table(np.array([0.1, 3.0, 300.0])), np.arange(600)
    for row, b in zip(table.minus_ln_p, (0.1, 3, 300), strict=True):
        count = n[: 40 if b < 10 else 600]
        assert np.exp(-row[count]) == pytest.approx(stats.poisson.sf(count - 1, b), rel=1e-9)


def test_the_statistic_against_a_plain_loop():
    b = np.cumsum(STEPS)
    counts = np.random.default_rng(1).poisson(2 * STEPS, size=(200, 4))
    expected = [max(-stats.poisson.logsf(n - 1, m) for n, m in zip(np.cumsum(row), b, strict=True)) for row in counts]
    assert scan.statistic(counts, scan.table(b).minus_ln_p) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_enumeration():
    """All outcomes of three bins with up to 24 events each."""
    steps, means = STEPS[:3], np.array([0.5, 0.5, 1.0])
    outcomes = np.array(list(itertools.product(range(25), repeat=3)))
    weights = stats.poisson.pmf(outcomes, means).prod(axis=1)
    law = make_law(steps, fixed(means))
    q = scan.statistic(outcomes, law.table.minus_ln_p)
    levels = np.unique(q)
    levels = levels[levels < 25]
    assert len(levels) > 30
    assert law.sf(levels) == pytest.approx([weights[q >= level].sum() for level in levels], rel=1e-9)
    cdf = np.array([weights[q <= level].sum() for level in levels])
    assert law.median() == levels[np.argmax(cdf >= 0.5)]


def test_one_threshold_is_a_count_far_into_the_tail():
    law = make_law(np.array([5.0]))
    n = np.array([1, 5, 20, 60, 140])
    q = law.table.minus_ln_p[0, n]
    assert law.sf(q) == pytest.approx(stats.poisson.sf(n - 1, 5.0), rel=1e-9)
    assert law.sf(q)[-1] < 1e-130
    assert law.sf(law.table.minus_ln_p[0, 20] + 1e-9) == pytest.approx(stats.poisson.sf(20, 5.0), rel=1e-9)


def test_coverage_is_that_of_a_discrete_test():
    """P(p(Q) <= a) <= a: the p-value of a level is the probability to reach it."""
    law = make_law(STEPS)
    levels = law.table.levels[:200]
    p = law.sf(levels)
    assert law.sf(0.0) == pytest.approx(1)
    assert (np.diff(p) <= 1e-15).all()
    rejected = np.array([p[np.argmax(p <= a)] for a in (0.5, 0.1, 1.35e-3)])
    assert (rejected <= (0.5, 0.1, 1.35e-3)).all()
    drawn = scan.statistic(np.random.default_rng(5).poisson(STEPS, size=(200_000, 4)), law.table.minus_ln_p)
    for a in (0.5, 0.1, 1.35e-3):
        q_a, p_a = levels[np.argmax(p <= a)], p[np.argmax(p <= a)]
        assert np.mean(drawn >= q_a) == pytest.approx(p_a, abs=4 * np.sqrt(p_a / len(drawn)))


def test_brute_force_with_uncertain_rates_and_signal():
    rng, n = np.random.default_rng(6), 200_000
    b = scan.thresholds(0.2, 100, n=20)
    steps = np.diff(b, prepend=0)
    share = np.linspace(0.9, 0.1, 20)
    means, sd, signal = np.array([share * steps, (1 - share) * steps]), np.array([0.3, 0.05]), 3 * share / share.sum()
    theta = np.stack([stats.truncnorm.rvs(-1 / s, np.inf, 1, s, size=n, random_state=rng) for s in sd])
    table = scan.table(b)
    for extra in (0 * signal, signal):
        q = np.sort(scan.statistic(rng.poisson(theta.T @ means + extra), table.minus_ln_p))
        law = scan.ScanLaw(table, rates.nodes(means, sd, extra))
        for level in q[[n // 10, n // 2, n * 9 // 10, n * 999 // 1000]]:
            p = float(law.sf(level))
            assert np.mean(q >= level) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))
        low, high = q[int(n / 2 - 2 * np.sqrt(n))], q[int(n / 2 + 2 * np.sqrt(n))]
        assert low <= law.median() <= high


def test_two_nodes_are_two_laws_mixed():
    mixture = make_law(STEPS, rates.Nodes(np.stack([STEPS, 2 * STEPS]), np.array([0.25, 0.75]), 0.0, 0.0))
    q = np.array([0.5, 2.0, 6.0, 30.0])
    parts = [make_law(STEPS, fixed(k * STEPS)).sf(q) for k in (1, 2)]
    assert mixture.sf(q) == pytest.approx(0.25 * parts[0] + 0.75 * parts[1], rel=1e-12)


@pytest.mark.parametrize("shape", [None, np.array([50.0, 80.0, 200.0, 400.0])])
def test_of_a_threshold_that_no_event_passes_the_bound_is_nought_and_nodes_are_left_out(shape):
    boundary, means = np.array([0, 1, 3, 4]), np.array([[0.0, 0.5, 0.8, 1.4], [0.0, 1e-6, 1e-6, 1e-6]])
    most = scan._at_most(boundary, means, np.full(4, np.inf) if shape is None else shape)
    assert most[0] == 1.0 and most[1] == 1.0, "a threshold of no event is always passed"
    most = scan._at_most(boundary + 1, means, np.full(4, np.inf) if shape is None else shape)
    assert 0.01 < most[0] < 1 and 0 < most[1] < 1e-5
    law = scan.ScanLaw(scan.table(np.cumsum(STEPS)), fixed([0.0, 0.5, 0.8, 1.4]), shape)
    plain = scan.ScanLaw(scan.table(np.cumsum(STEPS)[1:]), fixed([0.5, 0.8, 1.4]), None if shape is None else shape[1:])
    assert law.sf(np.array([4.0])) == pytest.approx(plain.sf(np.array([4.0])), rel=1e-12)


def test_more_signal_less_p_and_no_signal_is_the_null():
    null = make_law(STEPS)
    p = [float(null.sf(make_law(STEPS, fixed(STEPS + s * STEPS[::-1])).median())) for s in (0, 0.5, 1, 3, 10, 1000)]
    assert p[0] == float(null.sf(null.median())) >= 0.5
    assert (np.diff(p) < 0).all()
    assert p[-1] > 0


def test_it_is_fast():
    """At B = 6500: 1e4 toys, a null value, and a median with signal (bounds are ten times what was measured)."""
    b = scan.thresholds(0.1, 6500)
    steps = np.diff(b, prepend=0)
    law = make_law(steps)
    counts = np.random.default_rng(0).poisson(steps, size=(10_000, 64))
    for do, seconds in (
        (lambda: scan.statistic(counts, law.table.minus_ln_p), 0.02),
        (lambda: law.sf(40.0), 0.02),
        (lambda: make_law(steps, fixed(steps + 0.2)).median(), 0.2),
    ):
        do()  # compiled once
        start = time.process_time()
        do()
        assert time.process_time() - start < seconds


def test_gamma_factors_by_enumeration():
    """Steps whose means have a Gamma factor are negative binomial (Greenwood & Yule 1920)."""
    steps, shape = STEPS[:3], np.array([2.0, np.inf, 5.0])
    outcomes = np.array(list(itertools.product(range(60), range(25), range(45))))
    pmf = [stats.nbinom(2.0, 2 / 2.3).pmf, stats.poisson(0.5).pmf, stats.nbinom(5.0, 5 / 5.8).pmf]
    weights = np.prod([p(column) for p, column in zip(pmf, outcomes.T, strict=True)], axis=0)
    law = scan.ScanLaw(scan.table(np.cumsum(steps)), fixed(steps), shape)
    q = scan.statistic(outcomes, law.table.minus_ln_p)
    levels = np.unique(q[q < 20])[::7]
    assert law.sf(levels) == pytest.approx([weights[q >= level].sum() for level in levels], rel=1e-8)
    wide = scan.ScanLaw(law.table, law.nodes, np.full(3, 1e12))
    assert wide.sf(levels) == pytest.approx(make_law(steps).sf(levels), rel=1e-12)
