"""The conditional p-value against Gamma sums and toys, and the law of its logarithm."""

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact.conditional import Conditional


def exponential(b=60.0, n=1500, highest=60.0):
    x, w = np.polynomial.legendre.leggauss(n)
    x = highest / 2 * (x + 1)
    return x, (b * highest / 2 * w * np.exp(-x))[None]


@pytest.fixture(scope="module")
def prepared():
    return Conditional(*exponential(), [0.0], 9500)


@pytest.mark.parametrize("n", [30, 48, 49, 77, 300, 1001, 6500, 9499])
def test_gamma_sums(prepared, n):
    s = n + np.sqrt(n) * np.array([-5, -2, 0, 1, 2, 4, 7, 10])
    ln_p, expected = prepared.ln_p(np.full(8, n), s), stats.gamma.logsf(s, n)
    assert ln_p[:6] == pytest.approx(expected[:6], abs=1e-6)
    assert ln_p == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_events(prepared, n):
    s = np.array([0.5, 2, 6, 12]) * np.sqrt(n)
    assert prepared.ln_p(np.full(4, n), s) == pytest.approx(stats.gamma.logsf(s, n), abs=2e-2)


def test_no_event_says_nothing(prepared):
    assert prepared.ln_p(np.zeros(3, dtype=int), np.array([-1.0, 0.0, 9.0])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("n", [1, 3, 40, 5000])
def test_the_tail_falls_without_end(prepared, n):
    ln_p = prepared.ln_p(np.full(300, n), n + np.sqrt(n) * np.linspace(-20, 300, 300))
    assert np.all(np.isfinite(ln_p))
    assert np.all(np.diff(ln_p) <= 1e-12)
    assert ln_p[-1] < -100


def test_too_many_events_are_refused(prepared):
    with pytest.raises(ValueError, match="prepared for at most"):
        prepared.ln_p(np.array([99_999]), np.array([0.0]))


def test_under_the_null_p_is_uniform(prepared):
    statistic = Conditional(*exponential(), [0.0], 200)
    q = np.array([0.1, 1.0, 5.0, 20.0])
    assert statistic.distribution().sf(q) == pytest.approx(np.exp(-q), rel=1e-4)


def test_a_signal_against_toys():
    """The share of toys at or above q, with their own p-values, is what the law says; so is the median."""
    values, weights = exponential()
    statistic, rng, n = Conditional(values, weights, [0.0], 200), np.random.default_rng(6), 20_000
    signal = 12 * np.exp(-((values - 4) ** 2))
    signal *= 12 / signal.sum()
    n_background, n_signal = rng.poisson(60, n), rng.poisson(12, n)
    total = rng.gamma(n_background)
    drawn = rng.choice(values, n_signal.sum(), p=signal / signal.sum())
    total += np.bincount(np.repeat(np.arange(n), n_signal), drawn, minlength=n)
    q = -statistic.ln_p(n_background + n_signal, total)
    law = statistic.distribution(signal)
    for at in (1.0, 4.0, 12.0):
        p = law.sf(at)
        assert abs(np.mean(q >= at) - p) < 4 * np.sqrt(p * (1 - p) / n)
    assert abs(np.mean(q >= law.median()) - 0.5) < 2 / np.sqrt(n)
