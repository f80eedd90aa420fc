"""Laws of counts: exact tails, promised coverage, and a pool's finite size as toys carry it."""


import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import counts
from engine.inference.teststats import tail_count

MEANS, SD = np.array([4.0, 2.0]), np.array([0.1, 0.4])


def test_fixed_rates_against_scipy_far_into_the_tail():
    law = counts.law(np.array([6000.0, 500.0]), np.zeros(2))
    q = np.array([0, 6400, 6500, 7000, 7200, 8000])
    assert law.sf(q) == pytest.approx(stats.poisson.sf(q - 1, 6500), rel=1e-10)
    assert law.sf(8000) < 1e-60
    assert law.median() == stats.poisson.median(6500)


def test_p_is_never_zero_and_says_where_it_is_a_bound():
    law = counts.law(MEANS, SD)
    assert law.sf(1e9) == law.smallest_p > 0
    assert law.sf(-3) == law.sf(0) == 1


def test_between_integers_the_next_count_decides():
    law = counts.law(MEANS, SD)
    assert law.sf(np.array([[2.5], [3.0]])).tolist() == law.sf(np.array([[3], [3]])).tolist()


@pytest.mark.parametrize("n_signal", [0.0, 3.0, 11.5])
def test_median_is_the_lower_one(n_signal):
    law = counts.law(MEANS, SD).with_signal(n_signal)
    median = law.median()
    assert 1 - law.sf(median + 1) >= 0.5 > 1 - law.sf(median)


def test_coverage():
    """P(p <= a) <= a, and the next smaller threshold would break it."""
    law = counts.law(MEANS, SD)
    for a in (0.5, 0.1, 1.35e-3, 1e-9):
        threshold = law.threshold(a)
        assert law.sf(threshold) <= a < law.sf(threshold - 1)


def test_a_mixture_of_two_rates_lies_between_them():
    """Against brute force with the rates drawn, within four standard errors."""
    rng, n = np.random.default_rng(3), 200_000
    theta = np.stack([stats.truncnorm.rvs(-1 / s, np.inf, 1, s, size=n, random_state=rng) for s in SD])
    drawn = rng.poisson(MEANS @ theta) + rng.poisson(1.5, size=n)
    law = counts.law(MEANS, SD).with_signal(1.5)
    for q in range(2, 18, 3):
        p = float(law.sf(q))
        assert np.mean(drawn >= q) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))


def test_more_signal_less_p():
    null = counts.law(MEANS, SD)
    p = [float(null.sf(counts.law(MEANS, SD).with_signal(s).median())) for s in (0, 1, 2, 5, 10, 30)]
    assert p[0] == float(null.sf(null.median()))
    assert (np.diff(p) < 0).all()


POOLS = [
    ((0.0, 0.7), (30.0, 0.02)), ((5.0, 0.1), (2.0, 0.3), (300.0, 0.004)), ((3.0, 0.3), (1000.0, 0.001)),
    ((1.3, 0.5),), ((0.0, 0.5), (0.0, 0.1)),
]  # fmt: skip


@pytest.mark.parametrize("tail_pool", POOLS)
def test_the_widened_null_is_what_widen_does_to_toys(tail_pool):
    rng, n = np.random.default_rng(4), 400_000
    nominal = sum(k * w for k, w in tail_pool)
    means, sd = np.array([0.7 * nominal, 0.3 * nominal]), np.array([0.05, 0.4])
    theta = np.stack([stats.truncnorm.rvs(-1 / s, np.inf, 1, s, size=n, random_state=rng) for s in sd])
    drawn = tail_count.widen(rng.poisson(means @ theta).astype(float), means @ theta, tail_pool, rng)
    law = counts.widened_law(means, sd, tail_pool)
    assert law.pmf.sum() == pytest.approx(1, abs=1e-9)
    for q in (1, 2, 3, 5, 8):
        p = float(law.sf(q))
        assert np.mean(drawn >= q) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))


def test_a_pool_of_one_kind_makes_a_negative_binomial():
    """With b0 = the mean and fixed rates, N is Poisson with mean w Gamma(k + 1), thinned or added to."""
    k, w = 5.0, 0.4
    law = counts.widened_law(np.array([k * w]), np.zeros(1), ((k, w),))
    q = np.array([1, 3, 8, 20, 60])
    assert law.sf(q) == pytest.approx(stats.nbinom.sf(q - 1, k + 1, 1 / (1 + w)), rel=1e-6)
    assert law.sf(60) < 1e-20


def test_two_kinds_make_two_negative_binomials():
    """k + 1 and w per kind, convolved: with rates fixed at b0 nothing else is left."""
    pool = ((2.0, 0.5), (400.0, 0.005))
    law = counts.widened_law(np.array([3.0]), np.zeros(1), pool)
    n = np.arange(200)
    pmf = np.convolve(*(stats.nbinom.pmf(n, k + 1, 1 / (1 + w)) for k, w in pool))[:200]
    for q in (1, 3, 8, 20, 60):
        assert law.sf(q) == pytest.approx(pmf[q:].sum(), rel=1e-5)


def test_a_large_pool_widens_nothing():
    plain, widened = counts.law(MEANS, SD), counts.widened_law(MEANS, SD, ((1e10, 6e-10),))
    assert widened.sf(np.arange(20)) == pytest.approx(plain.sf(np.arange(20)), rel=1e-4)
