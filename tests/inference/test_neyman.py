"""Intervals by toys against constructions that can be written down, and their coverage."""

import numpy as np
import pytest
from likelihoods import counting, unbinned_of
from scipy import stats

from engine.inference import discovery, experiments, limits, neyman, toys
from engine.inference.limits import Experiment

SIGNAL = 171.0  # expected events at mu = 1
BACKGROUNDS = (0.1, 3.0, 6.2)
N_TOYS = 4000
MEDIANS = {0.1: 2.20, 3.0: 3.68, 6.2: 4.33}  # events; asymptotically 1.07, 2.80 and 3.76


@pytest.fixture(scope="module")
def counts():
    """Constructions of a count on a known background, by kind and background."""
    return {(interval, b): neyman.construction(counting(b, SIGNAL), N_TOYS, ("count", b), interval)
            for interval in neyman.INTERVALS for b in BACKGROUNDS}  # fmt: skip


@pytest.fixture(scope="module")
def strata(bands, band_names):
    """Experiments in strata with rates that are known to some per cent, by exposure."""
    return {t: experiments.settled(unbinned_of(bands, *band_names, t)) for t in (0.01, 0.1, 1.0)}


def ends_of(made, n):
    """Ends, in events, of the intervals of counts n."""
    lower, upper = neyman.ends(made.p_values(np.asarray(n)[:, None]), made.mu)
    return lower * SIGNAL, upper * SIGNAL


def exact_upper(n, b):
    """s at which P(N <= n | s + b) = 0.1; nothing is left of the interval where that is below zero."""
    return max(stats.gamma.isf(0.1, n + 1) - b, 0.0)


def exact_unified(n, b):
    """The interval of Feldman & Cousins 1998, section IV: all s among whose likeliest nine tenths by ratio n is."""
    seen, s = np.arange(80), np.arange(0.0, 25.0, 0.01)[:, None]
    ratio = stats.poisson.logpmf(seen, s + b) - stats.poisson.logpmf(seen, np.maximum(seen, b))
    p = np.sum(stats.poisson.pmf(seen, s + b), axis=1, where=ratio <= ratio[:, [n]] + 1e-12)
    kept = s[p > 0.1, 0]
    return kept[0], kept[-1]


def spread_of(n, b, s, alpha=0.1):
    """The error of a limit at s from that of p among the toys."""
    return np.sqrt(alpha * (1 - alpha) / N_TOYS) / stats.poisson.pmf(n, s + b)


@pytest.mark.parametrize("b", BACKGROUNDS)
def test_an_upper_limit_on_a_count_is_the_exact_one(counts, b):
    made = counts["upper", b]
    rung, top = made.mu[[1, -1]] * SIGNAL
    for n in range(12):
        exact, found = exact_upper(n, b), ends_of(made, [n])[1][0]
        if exact > 1.05 * top:
            assert found == np.inf
        elif exact < 0.9 * top:
            assert found == pytest.approx(exact, abs=3.5 * spread_of(n, b, exact) + (0 if exact > rung else rung)), n


@pytest.mark.parametrize("b", BACKGROUNDS)
def test_the_median_limit_on_a_count_is_the_exact_one_with_its_error(b):
    limit = neyman.limit(counting(b, SIGNAL), N_TOYS, ("median", b))
    n = stats.poisson.ppf([0.5, 0.158655, 0.841345, limits.POWER], b)
    exact = [exact_upper(one, b) for one in n]
    assert exact[0] == pytest.approx(MEDIANS[b], abs=0.005)
    assert limit.mu_90 * SIGNAL == pytest.approx(exact[0], abs=3.5 * limit.error * SIGNAL)
    assert limit.error * SIGNAL == pytest.approx(spread_of(n[0], b, exact[0]), rel=0.3)
    found = np.array([limit.low, limit.high, limit.power_constrained]) * SIGNAL
    np.testing.assert_allclose(found, exact[1:], atol=0.35)
    assert limit.method == "neyman" and limit.lower_end is None


def test_the_exact_unified_interval_is_the_published_one():
    """Feldman & Cousins 1998, Table IV (90 % CL), away from what they make monotone in b by hand."""
    table = {(0, 0.0): (0.0, 2.44), (1, 0.0): (0.11, 4.36), (3, 0.0): (1.10, 7.42), (3, 3.0): (0.0, 4.42)}
    for (n, b), published in table.items():
        assert exact_unified(n, b + 1e-9) == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize("b", BACKGROUNDS)
def test_a_unified_interval_of_a_count_is_the_exact_one(counts, b):
    made = counts["unified", b]
    step = made.mu[1] * SIGNAL  # p jumps where the order of counts changes, and is known at the rungs
    for n in (0, 2, 5, 8):
        lower, upper = (end[0] for end in ends_of(made, [n]))
        exact = exact_unified(n, b)
        assert lower == pytest.approx(exact[0], abs=step), n
        assert upper == (np.inf if exact[1] > made.mu[-1] * SIGNAL else pytest.approx(exact[1], abs=step)), n


@pytest.mark.parametrize("interval", neyman.INTERVALS)
@pytest.mark.parametrize("b", BACKGROUNDS)
def test_intervals_of_a_count_cover_in_the_middle_of_every_tooth(counts, interval, b):
    """Coverage jumps where a count's interval ends; halfway between two ends it is that of a sum of probabilities."""
    n = np.arange(60)
    lower, upper = ends_of(counts[interval, b], n)
    edges = np.unique(np.round([0.0, *lower, *upper], 6))
    edges = edges[edges < 0.7 * counts[interval, b].mu[-1] * SIGNAL]
    middles = (edges[1:] + edges[:-1])[np.diff(edges) > 0.3] / 2  # narrower teeth are within the toys' error
    assert len(middles) >= 1
    for s in middles:
        covered = stats.poisson.pmf(n, s + b) @ ((lower <= s) & (s <= upper))
        assert 0.89 < covered, s


@pytest.mark.parametrize("interval", neyman.INTERVALS)
def test_intervals_cover_with_uncertain_rates(strata, interval):
    """Strengths of a fraction of an event to some twice the limit, each in 1000 experiments whose rates are drawn."""
    for t, where in strata.items():
        made = neyman.construction(where, 1000, ("covers", t), interval)
        for share in (0.1, 0.37, 0.63):
            true = share * made.mu[-1]
            seen = limits.draw(where, true, 1000, toys.stream("truth", t, share))
            lower, upper = neyman.ends(made.p_values(seen), made.mu)
            covered = np.mean((lower <= true) & (true <= upper))
            assert covered > 0.9 - 3.5 * 0.0134, (t, share)  # two errors of 0.3 / sqrt(1000)
            if t == 1.0:
                assert covered < 0.9 + 3.5 * 0.0134, share


def test_no_limit_is_below_the_count_that_coverage_needs(strata):
    """An experiment with signal s is one without with probability exp(-s), so that P(limit < s) exp(-s) <= 0.1.

    Where the signal stands alone and what else is seen only puts experiments without it in an order, both are equal.
    """
    for t, where in strata.items():
        made = neyman.construction(where, 1000, ("needs", t))
        _, upper = neyman.ends(made.p_values(neyman.without_signal(where, 1000, ("needs", t))), made.mu)
        s = np.sort(upper) * where.expected[-1]
        assert s[500] > np.log(5) - 0.15  # two errors
        share = np.arange(1000) / 1000
        assert np.all(share * np.exp(-s) < 0.1 + 3.5 * 0.0134)
    asymptotic = limits.median_limit(strata[0.01]).mu_90 * strata[0.01].expected[-1]
    assert asymptotic < np.log(5), "what a limit that does not cover says"


def test_where_nothing_is_seen_the_limit_is_at_least_ln_10():
    """exp(-s) of all experiments see nothing: to exclude s then is right to do from s = ln 10 on, less what background
    adds."""
    content = np.array([[5e-4, 1e-5, 90.0], [1e-4, 4e-4, 81.0]])
    where = Experiment(content, content, np.array([0.1, 0.5, np.inf]))
    for interval, least in (("upper", np.log(10)), ("unified", np.log(10))):
        made = neyman.construction(where, 10_000, ("nothing",), interval)
        _, upper = neyman.ends(made.p_values(np.zeros((1, 2))), made.mu)
        assert upper[0] * SIGNAL > least - 0.06  # 2 errors
    assert upper[0] * SIGNAL < 2.6


def test_large_counts_give_the_asymptotic_limit():
    where = counting(1e4, 1.0, 0.02)
    found, asymptotic = neyman.limit(where, N_TOYS, ("large",)), limits.median_limit(where)
    assert found.error < 0.035 * found.mu_90
    assert found.mu_90 == pytest.approx(asymptotic.mu_90, rel=0.07)
    assert found.high == pytest.approx(asymptotic.high, rel=0.05)
    assert found.low == pytest.approx(asymptotic.low, abs=0.15 * asymptotic.mu_90)
    unified = neyman.limit(where, N_TOYS, ("large",), "unified")
    assert unified.lower_end == 0
    sigma = asymptotic.mu_90 / stats.norm.ppf(0.9)
    assert unified.mu_90 == pytest.approx(stats.norm.ppf(0.95) * sigma, rel=0.05)


def test_an_excess_has_a_lower_end_and_what_no_background_has_excludes_zero(counts):
    lower, upper = ends_of(counts["unified", 3.0], [3, 12])
    assert lower[0] == 0 and 2 < lower[1] < 9 and upper[1] == np.inf
    alone = Experiment(np.array([[0.0, 5.0], [1.0, 1.0]]), np.array([[0.0, 5.0], [1.0, 1.0]]), np.array([0.0, np.inf]))
    assert neyman.q_ladder(alone, np.array([[1, 0]]), np.zeros(1), "unified")[0, 0] == np.inf


def test_a_toy_of_the_ladder_is_a_fit_as_any(strata):
    where = strata[1.0]
    seen, mu = limits.draw(where, 0.01, 20, toys.stream("one by one")), np.array([0.005, 0.03])
    one_by_one = [[limits.q_mu(where, n, one) for one in mu] for n in seen]
    np.testing.assert_allclose(neyman.q_ladder(where, seen, mu, "upper"), one_by_one, atol=2e-6)


def test_the_ladder_reaches_as_far_as_limits_do(monkeypatch):
    """Where the asymptotic limit is far too low, it is made longer."""
    low = limits.Limit(1e-4, 5e-5, 2e-4, 5e-5, "asymptotic")
    monkeypatch.setattr(limits, "median_limit", lambda where: low)
    made = neyman.construction(counting(100.0, SIGNAL), 500, ("long",))
    assert made.mu[-1] * SIGNAL > 20


def test_discovery_of_a_count_is_that_of_its_poisson_tail():
    """P(N >= median | b); beyond the toys a bound, beside the formula of Cowan et al. 2011, Eq. 97."""
    b, s = 6.2, 6.0
    found = discovery.median(counting(b, SIGNAL), s / SIGNAL, 20_000, ("discovery",))
    exact = stats.norm.isf(stats.poisson.sf(stats.poisson.ppf(0.5, b + s) - 1, b))
    assert found.tail == "counted" and found.z == pytest.approx(exact, abs=0.06)
    assert found.z_asymptotic == pytest.approx(np.sqrt(2 * ((s + b) * np.log1p(s / b) - s)), rel=1e-3)
    strong = discovery.median(counting(b, SIGNAL), 60 / SIGNAL, 1000, ("discovery",))
    assert strong.tail == "bound" and strong.z == pytest.approx(stats.norm.isf(1 / 1001)) and strong.z_asymptotic > 10
    assert discovery.median(counting(b, SIGNAL), s / SIGNAL, None, ()).z is None
    assert discovery.median(counting(b, SIGNAL), 1e-3 / SIGNAL, 1000, ("weak",)).z == 0


@pytest.mark.parametrize("n", [0, 3, 7, 30])
def test_an_observed_upper_limit_on_a_count_is_the_exact_one_even_beyond_the_ladder(n):
    b = 3.0
    where, key = counting(b, SIGNAL), ("median", b)
    seen, exact = neyman.observed(where, np.array([n]), N_TOYS, key), exact_upper(n, b)
    rung = neyman.construction(where, N_TOYS, key).mu[1] * SIGNAL
    allowed = 3.5 * spread_of(n, b, exact)
    assert seen.upper * SIGNAL == pytest.approx(exact, abs=allowed + (0 if exact > rung else rung))
    if n:
        assert seen.error * SIGNAL == pytest.approx(spread_of(n, b, exact), rel=0.5)
    assert seen.lower is None and seen.constrained == max(seen.upper, seen.power_constrained)


@pytest.mark.parametrize("interval", neyman.INTERVALS)
def test_the_band_beside_an_observed_limit_is_that_of_the_median_limit(strata, interval):
    where, key = strata[0.1], ("band", interval)
    limit = neyman.limit(where, 1000, key, interval)
    seen = neyman.observed(where, np.rint(where.asimov).astype(int), 1000, key, interval)
    assert seen.sensitivity[1:4] == (limit.low, limit.mu_90, limit.high)
    assert (seen.power_constrained, seen.median_error) == (limit.power_constrained, limit.error)
    assert np.isfinite(seen.sensitivity).all() and list(seen.sensitivity) == sorted(seen.sensitivity)


def test_an_observed_signal_has_an_interval_with_two_ends():
    n, b, n_toys = 9, 3.0, 20_000
    seen = neyman.observed(counting(b, SIGNAL), np.array([n]), N_TOYS, ("two ends",), "unified")
    np.testing.assert_allclose(np.array([seen.lower, seen.upper]) * SIGNAL, exact_unified(n, b), atol=0.6)
    z, p = discovery.observed(counting(b, SIGNAL), np.array([n]), n_toys, ("q_0",))
    exact = stats.poisson.sf(n - 1, b)
    assert p == pytest.approx(exact, abs=3.5 * np.sqrt(exact / n_toys))
    assert discovery.observed(counting(b, SIGNAL), np.array([40]), 100, ("q_0",))[1] == 1 / 101
    assert z == pytest.approx(np.sqrt(2 * (n * np.log(n / b) - n + b)), rel=1e-4)  # Eq. 97 of Cowan et al.


def test_two_counts_at_once_are_one_count_with_the_sum():
    b, n = 3.0, np.array([2, 5])
    where = limits.together([counting(b, SIGNAL), counting(b, SIGNAL)])
    assert where.rows.shape == (2, 3) and where.expected.tolist() == [b, b, 2 * SIGNAL]
    seen, exact = neyman.observed(where, n, N_TOYS, ("two",)), exact_upper(n.sum(), 2 * b)
    assert 2 * SIGNAL * seen.upper == pytest.approx(exact, abs=3.5 * spread_of(n.sum(), 2 * b, exact))
    alone = limits.observed(counting(2 * b, 2 * SIGNAL), n[[0]] + n[1]).upper
    assert limits.observed(where, n).upper == pytest.approx(alone, rel=1e-3)


def test_an_asymptotic_limit_on_many_events_is_that_of_a_gaussian():
    b, n = 1e4, np.array([10_080])
    seen = limits.observed(counting(b, SIGNAL), n)
    assert seen.upper * SIGNAL == pytest.approx(n[0] - b + stats.norm.ppf(0.9) * 100, rel=0.01)
    assert seen.sensitivity[0] is None and seen.sensitivity[2] == limits.median_limit(counting(b, SIGNAL)).mu_90
    assert seen.error is None and seen.lower is None
