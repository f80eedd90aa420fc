"""The conditional p-value against Gamma sums and toys, and the law of its logarithm."""

import numpy as np
import pytest
from scipy import stats

from engine.inference.exact import conditional, counts, sums
from engine.inference.exact.conditional import Conditional
from engine.inference.exact.event_sum import cells
from engine.inference.exact.joint import JointLaw


def exponential(b=60.0, n=1500, highest=60.0):
    x, w = np.polynomial.legendre.leggauss(n)
    x = highest / 2 * (x + 1)
    return x, (b * highest / 2 * w * np.exp(-x))[None]


@pytest.fixture(scope="module")
def prepared():
    values, weights = exponential()
    return Conditional(values, weights[0], 9500)


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


@pytest.fixture(scope="module")
def fewer():
    values, weights = exponential()
    return Conditional(values, weights[0], 1500)


@pytest.mark.parametrize("b", [5.0, 60.0, 700.0])
def test_under_the_null_p_is_uniform(fewer, b):
    """Down to 5 sigma; without an event q is 0, and one or two events take it from the values of the pool."""
    values, weights = exponential(b)
    law = conditional.law(fewer, values, weights, [0.0])
    q = np.array([0.1, 1.0, 5.0, 15.0])
    without = np.exp(-b)
    assert law.sf(q) == pytest.approx((1 - without) * np.exp(-q), rel=3e-4 if b > 50 else 3e-3)
    assert law.sf([0.0, -1.0]).tolist() == [1, 1]
    assert law.median() == pytest.approx(-np.log(0.5 / (1 - without)), rel=3e-3)


def test_every_few_n_stand_for_all(fewer):
    values, weights = exponential(700.0)
    n = 700 + 26 * np.array([-2.0, 0.0, 2.0])
    few, every = (JointLaw(values - fewer.mean, weights, [0.0], smooth=smooth) for smooth in (True, False))
    assert len(few.counts) < 0.1 * len(every.counts)
    for q in (1.0, 7.0, 20.0):

        def critical(n):
            return fewer.critical(q, n) - n * fewer.mean  # noqa: B023

        assert few.tail(critical) == pytest.approx(every.tail(critical), rel=1e-6)
    assert np.all(np.isfinite(fewer.critical(7.0, n)))


def by_sums(statistic, values, weights, relative_sd, q):
    """The slow twin: the tail of a sum with a penalty on N, made anew for every q."""

    def penalty(n):
        return -np.nan_to_num(statistic.critical(q, np.asarray(n)), posinf=1e4)

    return float(sums.Sums(values, weights, relative_sd, penalty, 1.0).distribution().sf(0.0))


def drawn(scale):
    """Values and weights of a background and a signal of drawn rates and of a signal of known rate."""
    values, weights = exponential(25.0 * scale)
    shape = np.exp(-((values - 4) ** 2))
    return values, np.vstack([weights[0], 5 * scale * shape / shape.sum(), 2 * np.sqrt(scale) * shape / shape.sum()])


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_rates_drawn_and_a_signal_against_the_law_of_a_sum(fewer, scale):
    values, weights = drawn(scale)
    sd = [0.1, 0.5, 0.0]
    law = conditional.law(fewer, values, weights, sd)
    for q in (0.01, 0.1, 0.5, 1.0, 6.0, 15.0):
        assert law.sf(q) == pytest.approx(by_sums(fewer, values, weights, sd, q), rel=1e-7)


@pytest.mark.parametrize("fisher", [False, True])
@pytest.mark.parametrize(("scale", "signal", "reach"), [(1.0, 0.01, 90.0), (1.0, 1.0, 90.0), (30.0, 1.0, 40.0)])
def test_the_law_is_as_stable_as_what_it_is_made_of(fewer, scale, signal, reach, fisher):
    """Inputs that move by some last bits move it no further than 1e-8, in its bulk as in its far tail.

    reach: the largest q, at which p is 1e-39 where there is next to no signal. With the count beside it s_N falls
    steeply in N, so that no single line serves all.
    """
    rng, sd = np.random.default_rng(8), [0.1, 0.5, 0.0]
    values, weights = drawn(scale)
    weights = weights * np.array([[1.0], [signal], [signal]])
    number = counts.law(weights[:1].sum(axis=1), np.array(sd[:1]))
    beside = (lambda n: -np.log(number.sf(n))) if fisher else None
    q = np.append([0.01, 0.1, 0.5, 1.0, 6.0, 15.0], reach)
    p = conditional.law(fewer, values, weights, sd, beside).sf(q)
    assert p[-1] > conditional.SMALLEST_P
    moved = [x * (1 + 1e-15 * rng.normal(size=x.shape)) for x in (values, weights)]
    assert conditional.law(fewer, *moved, sd, beside).sf(q) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize("fisher", [False, True])
@pytest.mark.parametrize("sd", [0.0, 0.2])
def test_a_signal_against_toys(fewer, fisher, sd):
    """The share of toys at or above q, with their own p-values, is what the law says; so is the median."""
    values, weights = exponential()
    rng, n = np.random.default_rng(6), 20_000
    signal = 12 * np.exp(-((values - 4) ** 2))
    signal *= 12 / signal.sum()
    n_background, n_signal = rng.poisson(60 * np.maximum(1 + sd * rng.normal(size=n), 0)), rng.poisson(12, n)
    total = rng.gamma(n_background)
    drawn = rng.choice(values, n_signal.sum(), p=signal / signal.sum())
    total += np.bincount(np.repeat(np.arange(n), n_signal), drawn, minlength=n)
    number = counts.law(np.array([60.0]), np.array([sd]))
    beside = (lambda n: -np.log(number.sf(n))) if fisher else None
    q = -fewer.ln_p(n_background + n_signal, total) + (beside(n_background + n_signal) if fisher else 0)
    law = conditional.law(fewer, values, np.vstack([weights, signal]), [sd, 0.0], beside)
    for at in (1.0, 4.0, 12.0):
        p = law.sf(at)
        assert abs(np.mean(q >= at) - p) < 4 * np.sqrt(p * (1 - p) / n)
    assert abs(np.mean(q >= law.median()) - 0.5) < 2 / np.sqrt(n)


def test_fisher_of_many_events_is_a_chi_square(fewer):
    """-ln p of two independent uniforms add up to half a chi-square with 4 degrees of freedom (Fisher 1932).

    P(N >= n) of a count is less than uniform, by half a step of it: 2 % of p at 700 events.
    """
    values, weights = exponential(700.0)
    number = counts.law(np.array([700.0]), np.zeros(1))
    law = conditional.law(fewer, values, weights, [0.0], lambda n: -np.log(number.sf(n)))
    q = np.array([1.0, 4.0, 12.0])
    p, expected = law.sf(q), stats.chi2.sf(2 * q, 4)
    assert np.all(p < expected)
    assert p == pytest.approx(expected, rel=0.05)


def test_cells_keep_events_and_means():
    rng = np.random.default_rng(3)
    values, weights = rng.gamma(2, size=40_000), rng.random((2, 40_000))
    mean, held = cells(values, weights)
    assert len(mean) <= 8192 and np.all(np.diff(mean) > 0)
    assert held.sum(axis=1) == pytest.approx(weights.sum(axis=1))
    total = weights.sum(axis=0)
    assert held.sum(axis=0) @ mean == pytest.approx(total @ values)
    variance = held.sum(axis=0) @ (mean - 2) ** 2 / (total @ (values - 2) ** 2)
    assert 1 - 1e-5 < variance < 1


def test_a_density_without_shape_is_refused():
    with pytest.raises(ValueError, match="nothing to test"):
        Conditional(np.ones(5), np.ones(5), 10)
