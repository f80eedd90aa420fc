"""Uncertain rates: against plain integration, brute force, and their own neglects."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from engine.inference.exact import rates


def truncated(relative_sd):
    return stats.truncnorm(-1 / relative_sd, np.inf, loc=1, scale=relative_sd)


@pytest.mark.parametrize(("mean", "sd"), [(6500, 0.03), (7.5, 0.2), (0.5, 0.3), (100, 0.9), (2000, 0.5)])
def test_one_component_against_plain_integration(mean, sd):
    theta = np.linspace(0, 1 + 14 * sd, 400_001)
    density = truncated(sd).pdf(theta)
    for n in (2, 5, int(mean), int(mean * (1 + 6 * sd)) + 30):
        expected = integrate.simpson(stats.poisson.pmf(n, mean * theta) * density, x=theta)
        assert np.exp(rates.ln_pmf(n, mean, sd)) == pytest.approx(expected, rel=2e-7)


def test_several_components_against_their_convolution():
    """Narrow ones are added up as Gaussians, wide ones are not: neither is seen in the result."""
    means, sd = [20.0, 30.0, 7.5, 3.0], [0.1, 0.0, 0.3, 0.5]
    first, pmf = rates.count_pmf(means, sd)
    assert first == 0
    n, convolved = np.arange(120), np.ones(1)
    for mean, s in zip(means, sd, strict=True):
        convolved = np.convolve(convolved, np.exp(rates.ln_pmf(n, mean, s)))[:120]
    assert pmf[:120] == pytest.approx(convolved, rel=1e-12)
    assert pmf.sum() == pytest.approx(1, abs=1e-12)


def test_fixed_rates_are_poisson_down_to_1e_minus_280():
    first, pmf = rates.count_pmf([6000.0, 500.0], [0.0, 0.0])
    n = first + np.arange(len(pmf))
    assert pmf == pytest.approx(stats.poisson.pmf(n, 6500.0), rel=1e-10)
    assert pmf[-1] < 1e-280


def test_no_events_are_expected_and_none_come():
    first, pmf = rates.count_pmf([0.0, 0.0], [0.1, 0.5])
    assert (first, pmf.tolist()) == (0, [1.0])


def test_long_tables_by_their_smoothness_are_those_made_count_by_count(monkeypatch):
    """At 2.6e4 events, of which 2.9e3 are known to 20 %: 5 sigma from a rate of 0, where it is cut."""
    means, sd = [9000.0, 14000.0, 2900.0, 19.0], [0.1, 0.03, 0.2, 0.5]
    first, pmf = rates.count_pmf(means, sd)
    monkeypatch.setattr(rates, "MOST_PRODUCTS", np.inf)
    monkeypatch.setattr(rates, "CLOSE", np.inf)
    rates._count_pmf.cache_clear()
    assert rates.count_pmf(means, sd)[0] == first
    slow = rates.count_pmf(means, sd)[1]
    rates._count_pmf.cache_clear()
    tail, slow_tail = (np.cumsum(some[::-1])[::-1] for some in (pmf, slow))
    seen = slow_tail > 1e-280
    assert tail[seen] == pytest.approx(slow_tail[seen], rel=1e-9, abs=0)
    assert pmf[slow > 1e-20] == pytest.approx(slow[slow > 1e-20], rel=1e-6, abs=0)


def test_fixed_rates_are_one_node():
    found = rates.nodes(np.array([[1.0, 2.0], [3.0, 0.5]]), np.zeros(2), np.array([1.0, 0.0]))
    assert found.means.tolist() == [[5.0, 2.5]]
    assert (found.weights.tolist(), found.smallest_p, found.dropped) == ([1.0], 0.0, 0.0)


MEANS = np.array([[100.0, 50.0, 2.0, 0.1], [1.0, 2.0, 3.0, 1.5], [30.0, 10.0, 0.5, 0.2]])


@pytest.mark.parametrize("sd", [(0.05, 0.1, 0.02), (0.05, 0.4, 0.02), (0.05, 0.9, 0.0)])
def test_nodes_have_the_moments_of_the_rates(sd):
    """Mean and covariance of the bins, truncation included."""
    found = rates.nodes(MEANS, sd, z=6)
    mean = found.weights @ found.means
    covariance = (found.means - mean).T @ ((found.means - mean) * found.weights[:, None])
    theta = [truncated(s).stats() if s else (1.0, 0.0) for s in sd]
    expected = np.array([m for m, _ in theta]) @ MEANS
    assert mean == pytest.approx(expected, rel=3e-5)
    assert covariance == pytest.approx(MEANS.T @ (MEANS * np.array([[v] for _, v in theta])), rel=2e-3, abs=1e-2)


def test_tails_over_nodes_match_the_count():
    """P(N >= n) of all bins together over the nodes, against the exact convolution, to p = 1e-18."""
    sd = (0.05, 0.3, 0.02)
    found = rates.nodes(MEANS, sd, z=9)
    first, pmf = rates.count_pmf(MEANS.sum(axis=1), sd)
    n = np.array([150, 200, 260, 300, 350])
    exact = np.array([pmf[k - first :].sum() for k in n])
    assert exact[-1] < 1e-13
    over_nodes = found.weights @ special.gammainc(n, found.means.sum(axis=1)[:, None])
    assert over_nodes == pytest.approx(exact, rel=3e-3)


def test_brute_force():
    """The law of a bin's count over nodes against rates drawn one by one."""
    rng, sd, n = np.random.default_rng(2), (0.05, 0.4, 0.1), 200_000
    theta = np.stack([truncated(s).rvs(n, random_state=rng) for s in sd])
    counts = rng.poisson(theta.T @ MEANS)
    found = rates.nodes(MEANS, sd)
    for bin_, at in ((0, 150), (0, 110), (2, 8), (3, 4)):
        p = found.weights @ special.gammainc(at, found.means[:, bin_])
        assert np.mean(counts[:, bin_] >= at) == pytest.approx(p, abs=4 * np.sqrt(p / n))


def test_what_is_dropped_is_small_and_said():
    found = rates.nodes(MEANS, (0.05, 0.004, 0.0))
    assert 0 < found.dropped < rates.SMALLEST_INFLUENCE
    assert found.dropped == pytest.approx(0.004 * np.linalg.norm(MEANS[1] / np.sqrt(MEANS.sum(axis=0))), rel=0.2)
