"""Asymptotic upper limits against what can be written down, and against toys."""

import numpy as np
import pytest
from likelihoods import counting, unbinned_of
from scipy import optimize, stats

from engine.errors import BadInput
from engine.inference import limits, toys

ONE_SIDED = stats.norm.ppf(0.9)


def upper_limit(where, counts):
    """The mu above which every strength is disfavoured at 90 %; 0 where even the weakest strength is."""
    high = 1 / where.expected[-1]
    while limits.z_mu(where, counts, high) < ONE_SIDED:
        high *= 2
    return optimize.brentq(lambda mu: limits.z_mu(where, counts, mu) - ONE_SIDED, 0.0, high, rtol=1e-4)


@pytest.fixture(scope="module")
def unbinned(bands, band_names):
    return unbinned_of(bands, *band_names)


@pytest.fixture(scope="module")
def binned(unbinned):
    return limits.binned(unbinned, mu=0.03)


def test_a_count_gives_the_limit_of_the_formula():
    """q_mu,A of a count on a known background: 2 (s - b ln(1 + s / b)) (Cowan et al. 2011, Eq. 97 with n = b)."""
    limit = limits.median_limit(counting(7.0, 171.0))
    for mu, z in ((limit.mu_90, ONE_SIDED), (limit.low, ONE_SIDED - 1), (limit.high, ONE_SIDED + 1)):
        s = optimize.brentq(lambda s, z=z: 2 * (s - 7 * np.log1p(s / 7)) - z**2, 1e-9, 100)
        assert mu * 171 == pytest.approx(s, rel=1e-3)
    assert limit.method == "asymptotic"


def test_an_uncertain_background_widens_the_limit_as_the_gaussian_formula_says():
    """Large numbers: the limit is 1.28 sqrt(b + (b sd)^2)."""
    for sd in (0.0, 0.02, 0.1):
        where = counting(1e4, 1.0, sd)
        assert limits.median_limit(where).mu_90 == pytest.approx(ONE_SIDED * np.hypot(100, 1e4 * sd), rel=0.02)


def test_the_power_constraint_is_what_strength_zero_would_exclude_this_often():
    """At the threshold the observed limit falls short of it with probability `power`, by toys of a large count."""
    where = counting(400.0, 1.0)
    for power in (0.16, 0.5):
        threshold = limits.median_limit(where, power=power).power_constrained
        counts = limits.draw(where, 0.0, 2000, toys.stream("power"))
        below = np.mean([limits.z_mu(where, n, threshold) > ONE_SIDED for n in counts])
        assert below == pytest.approx(power, abs=0.04)
    assert limits.median_limit(where, power=0.5).power_constrained == pytest.approx(limits.median_limit(where).mu_90)


def test_q_is_one_sided_and_rises_from_the_best_fit():
    where = counting(10.0, 1.0)
    excess = np.array([25.0])
    assert limits.q_mu(where, excess, 14.9) == 0
    q = [limits.q_mu(where, excess, mu) for mu in (15.1, 18.0, 25.0)]
    assert 0 < q[0] < q[1] < q[2]
    assert q[2] == pytest.approx(2 * (35 - 25 + 25 * np.log(25 / 35)), rel=1e-6)


def test_below_the_bound_the_significance_is_that_of_the_unbounded_statistic():
    """Fewer events than the background: (mu - mu_hat) / sigma, though q~ has mu_hat at zero (Eqs. 62 to 65)."""
    where = counting(1e4, 1.0)
    for observed in (9800.0, 9950.0):
        z = limits.z_mu(where, np.array([observed]), 150.0)
        assert z == pytest.approx((150 - (observed - 1e4)) / 100, rel=0.02)


def test_an_observed_limit_crosses_the_level():
    where = counting(10.0, 2.0)
    for n in (7.0, 10.0, 17.0):
        mu = upper_limit(where, np.array([n]))
        assert limits.z_mu(where, np.array([n]), mu) == pytest.approx(ONE_SIDED, abs=1e-3)
    assert upper_limit(where, np.array([4.0])) < 1e-3, "-1.9 sigma: every strength is disfavoured"
    assert upper_limit(where, np.array([10.0])) == pytest.approx(limits.median_limit(where).mu_90, rel=1e-3)


def test_strata_keep_the_information(unbinned, binned):
    """16 strata against six thousand rows: as many again gain less than 10 %, and the Asimov fit is exact."""
    assert len(binned.rows) == limits.N_STRATA
    assert binned.expected == pytest.approx(unbinned.expected, rel=1e-9)
    assert limits.q_mu(binned, binned.asimov, 0.0) == pytest.approx(0, abs=1e-6)
    coarse = [limits.median_limit(limits.binned(unbinned, 0.03, n)).mu_90 for n in (1, 4, 16, 32)]
    assert coarse[0] > 20 * coarse[2], "a count alone must be far worse"
    assert coarse[0] > coarse[1] > coarse[2] >= coarse[3]
    assert coarse[3] == pytest.approx(coarse[2], rel=0.1)


def test_the_limit_falls_with_exposure(bands, band_names):
    """Fourfold: never better than without background (4), and near background-limited (2), less for uncertain rates."""
    in_t = {t: limits.binned(unbinned_of(bands, *band_names, t), 0.03 / t) for t in (0.25, 1, 4)}
    found = [limits.median_limit(where).mu_90 for where in in_t.values()]
    assert all(1.5 < worse / better < 4 for worse, better in zip(found, found[1:], strict=False))


def test_uncertain_rates_never_improve_the_limit(binned):
    known = limits.Experiment(binned.rows, binned.content, np.where(np.isinf(binned.relative_sd), np.inf, 0.0))
    assert limits.median_limit(known).mu_90 < limits.median_limit(binned).mu_90


def test_toys_without_signal_give_the_asymptotic_median_and_band(binned):
    asymptotic = limits.median_limit(binned)
    by_toys = [upper_limit(binned, counts) for counts in limits.draw(binned, 0.0, 300, toys.stream("band"))]
    low, median, high = np.quantile(by_toys, [0.1587, 0.5, 0.8413])
    assert median == pytest.approx(asymptotic.mu_90, rel=0.15)
    assert high == pytest.approx(asymptotic.high, rel=0.15)
    assert low < median < high
    assert asymptotic.power_constrained == pytest.approx(asymptotic.low, rel=0.1)


def test_a_signal_outside_the_pool_is_refused():
    with pytest.raises(BadInput, match="no event"):
        limits.experiment(np.ones((2, 1)), np.ones(2), np.ones((1, 2)), np.zeros(2), np.array([0.1]))
