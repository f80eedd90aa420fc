"""The exact law of c(N) + a sum v against sums over N, enumeration, quadrature over the rates, and toys."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from engine.inference import toys
from engine.inference.exact import generating
from engine.inference.exact.sums import Sums


def eq_6(b):
    """c(N) of the papers' Eq. 6."""
    return lambda n: 2 * (b + special.gammaln(np.asarray(n) + 1.0) - n * np.log(b))


def exponential(n=1500, highest=60.0):
    """Values and weights whose transform is that of an exponential density."""
    x, w = np.polynomial.legendre.leggauss(n)
    x = highest / 2 * (x + 1)
    return x, highest / 2 * w * np.exp(-x)


def panels(n_panels=60, n=64):
    """The same in so many nodes that one by itself is no step that shows."""
    x, w = np.polynomial.legendre.leggauss(n)
    x = (np.arange(n_panels)[:, None] + (x + 1) / 2).ravel()
    return x, np.tile(w / 2, n_panels) * np.exp(-x)


def gamma_sums(q, b, c):
    """P(c(N) + 2 Gamma(N) >= q): a sum over N."""
    n = np.arange(int(b + 60 * np.sqrt(b) + 60))
    s = (q[:, None] - c(n)) / 2
    tail = np.where(n == 0, s <= 0, stats.gamma.sf(s, np.maximum(n, 1)))
    return tail @ stats.poisson.pmf(n, b)


@pytest.mark.parametrize("b", [30.0, 300.0, 6500.0, 32500.0])
def test_an_exponential_density_gives_gamma_sums(b):
    x, w = exponential()
    law = Sums(x, b * w[None], [0.0], eq_6(b), 2.0).distribution()
    median = law.median()
    q = median + 2 * np.sqrt(b) * np.arange(-3, 20)
    p, expected = law.sf(q), gamma_sums(q, b, eq_6(b))
    bulk = expected > 3.2e-5
    assert p[bulk] == pytest.approx(expected[bulk], rel=1e-6)
    assert p == pytest.approx(expected, rel=1e-4)
    assert expected.min() < stats.norm.sf(7)
    assert gamma_sums(np.array([median]), b, eq_6(b)) == pytest.approx(0.5, abs=1e-8)


@pytest.mark.parametrize("b", [1.0, 5.0])
def test_few_events(b):
    """The pool's own steps, one per event, are what is left between the sum over N and the exact law."""
    x, w = exponential()
    law = Sums(x, b * w[None], [0.0], eq_6(b), 2.0).distribution()
    q = law.median() + 2.5 * np.sqrt(b) * np.arange(1, 10)
    assert law.sf(q) == pytest.approx(gamma_sums(q, b, eq_6(b)), rel=2e-3, abs=2e-3)
    assert law.sf(-1e3) == pytest.approx(1)


@pytest.mark.parametrize("b", [0.7, 20.0, 6500.0])
def test_a_flat_density_is_a_count(b):
    law = Sums(np.full(7, 0.3), np.full((1, 7), b / 7), [0.0], lambda n: 0.0 * n, 1.0).distribution()
    n = np.unique((b + np.sqrt(b) * np.array([-0.5, 0, 1, 3, 6, 11])).astype(int)) + 1
    assert law.sf(0.3 * n) == pytest.approx(stats.poisson.sf(n - 1, b), rel=1e-8)
    assert law.median() == pytest.approx(0.3 * stats.poisson.ppf(0.5, b))
    assert law.sf(law.median()) >= 0.5


def test_a_flat_density_with_a_penalty_looks_at_both_sides():
    b, n = 50.0, np.arange(400)
    c, p = eq_6(b), stats.poisson.pmf(np.arange(400), b)
    law = Sums(np.full(3, 0.1), np.full((1, 3), b / 3), [0.0], c, -2.0).distribution()
    for q in np.linspace(-9, 60, 9):
        assert law.sf(q) == pytest.approx(p[c(n) - 0.2 * n >= q].sum(), rel=1e-8)


FIVE, SHARES, SPACING = np.array([0, 2, 5, 8, 14]), np.array([0.5, 0.25, 0.15, 0.08, 0.02]), 0.25


def five_point_law(b, most=120):
    """(N, lattice) probabilities of N events whose sum is so many spacings: convolution by convolution."""
    step = np.bincount(FIVE, SHARES)
    rows = [np.ones(1)]
    for _ in range(most):
        rows.append(np.convolve(rows[-1], step))
    return [stats.poisson.pmf(n, b) * row for n, row in enumerate(rows)]


@pytest.mark.parametrize("b", [1.5, 12.0])
def test_five_values_by_enumeration(b):
    c = lambda n: 1.0 * np.asarray(n)  # noqa: E731
    atoms, p = np.zeros(4000), five_point_law(b)
    for n, row in enumerate(p):
        atoms[4 * n : 4 * n + len(row)] += row  # in quarters, as the values
    above = np.cumsum(atoms[::-1])[::-1]
    law = Sums(FIVE * SPACING, b * SHARES[None], [0.0], c, 1.0).distribution()
    wanted = np.array([np.flatnonzero(above >= x)[-1] for x in stats.norm.sf([-1, 0, 1, 2, 3, 4, 7])]) + 1
    wanted = wanted[atoms[wanted - 1] > 0]
    tail = above[wanted]
    between, at = law.sf((wanted - 0.5) / 4), law.sf(wanted / 4)
    bulk = tail > 3e-5
    assert between[bulk] == pytest.approx(tail[bulk], rel=1e-6)
    assert between == pytest.approx(tail, rel=1e-2)
    assert at == pytest.approx(tail, rel=1e-2)  # ties count
    assert above[0] - above[np.flatnonzero(above >= 0.5)[-1]] <= 0.5
    assert law.median() == pytest.approx(np.flatnonzero(above > 0.5)[-1] / 4, abs=0.05)


def pool(n=2000, seed=0):
    """ln f0 of a peak and of a far, broader bump, and which events are the bump's."""
    rng = np.random.default_rng(seed)
    bump = np.arange(n) >= 3 * n // 4
    return np.where(bump, -8 + rng.normal(0, 1.5, n), -np.log(1 + rng.gamma(3, 1, n))), bump


def weighted(expected, of_bump, n=2000):
    rng = np.random.default_rng(4)
    v, bump = pool(n)
    w = np.array([rng.random(n) * (bump if mine else ~bump) for mine in of_bump])
    return v, w * (np.array(expected) / w.sum(axis=1))[:, None]


def toy_q(values, weights, sd, c, signal=None, n_toys=100_000):
    rng = toys.stream("exact", len(sd), float(weights.sum()))
    wanted = toys.quantities([("sums", values[:, None], 1)])
    counts = rng.poisson(weights.sum(axis=1) * toys.rate_factors(rng, sd, n_toys))
    total, n = toys.background_totals(rng, counts, weights, wanted)[:, 0], counts.sum(axis=1)
    if signal is not None:
        extra = rng.poisson(signal.sum(), (n_toys, 1))
        total += toys.background_totals(rng, extra, signal[None], wanted)[:, 0]
        n = n + extra[:, 0]
    return np.sort(c(n) - 2 * total)


CASES = {
    "idealised": ([60.0, 3.0], [0.0, 0.0], 0.0),
    "prior_predictive": ([60.0, 20.0, 3.0], [0.1, 0.3, 0.5], 0.0),
    "far_from_invariant": ([60.0, 20.0, 3.0], [0.1, 0.3, 0.5], 5.0),
    "two_events": ([1.5, 0.5], [0.3, 0.6], 0.0),
    "large": ([2500.0, 490.0, 10.0], [0.03, 0.08, 0.3], 0.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_signal", [False, True])
def test_toys(case, with_signal):
    """Rates are drawn, once per toy, as the toys draw them; 4 standard errors."""
    expected, sd, shift = CASES[case]
    v, w = weighted(expected, [False] * (len(sd) - 1) + [True])
    v, b, n = v + shift, sum(expected), 20_000 if case == "large" else 100_000
    signal = np.where(pool()[1], np.sqrt(b) / 500, 0.0) if with_signal else None
    law = Sums(v, w, sd, eq_6(b), -2.0).distribution(signal)
    q = toy_q(v, w, sd, eq_6(b), signal, n)
    at = q[(n * np.array([1e-3, 0.1, 0.5, 0.9, 0.99, 1 - 1e-3])).astype(int)]
    p, counted = law.sf(at), (n - np.searchsorted(q, at)) / n
    assert np.all(abs(counted - p) < 4 * np.sqrt(p * (1 - p) / n) + 1e-12)
    median = law.median()
    assert abs(np.mean(q >= median) - law.sf(median)) < 2 / np.sqrt(n)
    assert law.sf(median) >= 0.5 - 1e-9


@pytest.mark.parametrize("sd", [(0.05, 0.1), (0.3, 0.5)])
def test_uncertain_rates_are_a_quadrature_over_them(sd):
    """Two components that can be told apart, N with q = 0.4 N + Gamma(N_1): sums over N_1, N_2 at drawn rates."""
    x, w = exponential(400, 40.0)
    b, far = (40.0, 8.0), 3.0
    n_1, n_2 = np.arange(200)[:, None], np.arange(80)[None, :]
    q = 70.0 + np.array([0.0, 15.0, 40.0])
    p_1, p_2 = (prior_predictive(n, mean, s) for n, mean, s in zip((n_1, n_2), b, sd, strict=True))
    s = q[:, None, None] - 0.4 * (n_1 + n_2) - far * n_2
    tail = np.where(n_1 == 0, s <= 0, stats.gamma.sf(s, np.maximum(n_1, 1)))
    weights = np.array([np.append(b[0] * w, 0.0), np.append(0.0 * w, b[1])])
    law = Sums(np.append(x, far), weights, sd, lambda n: 0.4 * n, 1.0).distribution()
    assert law.sf(q) == pytest.approx((p_1 * p_2 * tail).sum(axis=(1, 2)), rel=1e-6)


def prior_predictive(n, mean, sd, nodes=400):
    """P(n), the rate's Gaussian cut at 0 by quadrature."""
    low, high = max(0.0, 1 - 9 * sd), 1 + 9 * sd
    x, share = np.polynomial.legendre.leggauss(nodes)
    theta = low + (high - low) * (x + 1) / 2
    prior = (high - low) / 2 * share * stats.truncnorm.pdf(theta, -1 / sd, np.inf, 1, sd)
    return stats.poisson.pmf(n[..., None], mean * theta) @ prior


@pytest.mark.parametrize("sd", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("x", [-200.0, -3.0, 0.0, 2.0, -3 + 4j, 1 - 30j])
def test_the_rates_moment_generating_function(sd, x):
    def density(theta):
        return stats.truncnorm.pdf(theta, -1 / sd, np.inf, 1, sd)

    upper = 1 + 10 * sd + max(0, np.real(x)) * sd**2
    grid = np.linspace(max(0, 1 - 10 * sd - abs(np.real(x)) * sd**2), upper, 200_001)
    expected = integrate.simpson(density(grid) * np.exp(grid * x), x=grid)
    assert np.exp(generating.ln_mgf(np.array(x), sd)) == pytest.approx(expected, rel=1e-8)


SD = np.array([0.0, 0.02, 0.06, 0.1, 0.2, 0.2, 0.5, 2.0, 0.3, 1.0])
EXPECTED = np.array([500.0, 300.0, 100.0, 5.0, 1.0, 0.3, 0.1, 0.5, 2.0, 0.2])


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("over", [np.s_[:, :, None], np.s_[:, :1], np.s_[:]], ids=["nodes", "one", "each"])
def test_the_product_of_components_is_that_of_each_of_them(scale, over):
    """Of small ones a series, of some a closed form, of others neither: logarithms agree but for whole turns."""
    rng, expected = np.random.default_rng(4), scale * EXPECTED
    z = 1.01 * np.exp(1j * np.linspace(-0.2, 0.2, 41))
    size, phase = rng.uniform(0.5, 1.1, (len(SD), 41)), rng.uniform(-0.5, 0.5, (len(SD), 41))
    rates = (expected[:, None] * size * np.exp(1j * phase))[over]
    ln_g = generating.ln_generating(z, rates, expected, SD)
    of_each = (-1, *[1] * (rates.ndim - 1))
    terms = generating.ln_mgf(z * rates - expected.reshape(of_each), SD.reshape(of_each))
    assert ln_g.shape == terms.shape[1:]
    assert abs(np.exp(ln_g - terms.sum(axis=0)) - 1).max() < 1e-14 * expected.sum()


@pytest.mark.parametrize("sd", [0.02, 0.3, 1.0, 2.0])
def test_moments_of_a_rate_are_those_of_a_cut_gaussian(sd):
    moments = generating.scaled_moments(sd)[:7] * special.factorial(np.arange(7))
    expected = [stats.truncnorm.moment(k, -1 / sd, np.inf, 1, sd) for k in range(1, 7)]
    assert moments[1:] == pytest.approx(expected, rel=1e-9)


def test_no_signal_is_the_null_and_little_signal_nearly():
    v, w = weighted([2500.0, 490.0, 10.0], [False, False, True])
    sums, sd = Sums(v, w, [0.03, 0.08, 0.3], eq_6(3000.0), -2.0), 150.0
    null, little = sums.distribution(), sums.distribution(np.where(pool()[1], 1e-9, 0.0))
    assert sums.distribution(np.zeros(len(v))) is null
    assert little.median() == pytest.approx(null.median(), abs=1e-3 * sd)
    assert little.full.median() == pytest.approx(null.median(), abs=1e-3 * sd)


@pytest.mark.parametrize("n_signal", [20.0, 100.0, 150.0, 1000.0])
def test_medians_from_the_backgrounds_tables_are_those_from_scratch(n_signal):
    v, w = weighted([2500.0, 490.0, 10.0], [False, False, True])
    sums = Sums(v, w, [0.03, 0.08, 0.3], eq_6(3000.0), -2.0)
    signal = np.where(pool()[1], 1.0, 0.0)
    law = sums.distribution(signal * n_signal / signal.sum())
    median = law.median()
    assert law.full.median() == pytest.approx(median, rel=1e-9)
    assert law.sf(median) == pytest.approx(0.5, abs=1e-8)


@pytest.mark.parametrize("b", [0.1, 12.0, 400.0])
def test_without_a_penalty_no_circle_is_needed(b):
    """The generating function at one z for every frequency, against the sum over circles that a penalty of 0 takes."""
    v, w = weighted([0.7 * b, 0.299 * b, 1e-3 * b], [False, False, True])
    signal = np.where(pool()[1], 1.0, 0.0)
    signal *= (1 + np.sqrt(b)) / signal.sum()
    ratio = np.log1p(signal / w.sum(axis=0))
    either = [Sums(ratio, w, [0.03, 0.2, 0.5], penalty, 1.0) for penalty in (None, np.zeros_like)]
    nulls, laws = [[one.distribution(extra) for one in either] for extra in (None, signal)]
    medians = [law.median() for law in laws]
    assert medians[0] == pytest.approx(medians[1], rel=1e-4)
    q = np.array([0.5, 1.5]) * medians[1]
    for one, other in (nulls, laws):  # where most experiments hold none of the third component, a blur is between them
        assert one.sf(q) == pytest.approx(other.sf(q), rel=2e-3 if b < 100 else 1e-6)


def test_a_law_next_to_its_heaviest_value():
    """Three of four experiments hold none of 0.3 events of an exponential density, beside sixty that add little."""
    x, w = panels()
    little = np.geomspace(1e-12, 1e-2, 4000)
    weights = np.append(0.3 * w, np.full(4000, 60 / 4000))
    law = Sums(np.append(x, little), weights[None], [0.0], None, 1.0).distribution()
    steps = -np.log(np.cumsum(w[::-1])[::-1])[::16]
    q = steps[[int(np.argmin(abs(steps - one))) for one in (0.3, 0.6, 1.0)]]
    shifts, shares = np.polynomial.hermite_e.hermegauss(7)
    moved = 60 * little.mean() + np.sqrt(60 * (little**2).mean()) * shifts
    expected = shares @ [gamma_sums(2 * (q - one), 0.3, np.zeros_like) for one in moved] / shares.sum()
    assert law.sf(q) == pytest.approx(expected, rel=1e-4)


def test_the_median_of_few_events_without_a_penalty():
    """A third component of 1 % in two events: the law is steep next to values that most experiments have."""
    v, w = weighted([1.4, 0.58, 0.02], [False, False, True])
    ratio, sd = np.logaddexp(0.0, v), [0.03, 0.2, 0.5]
    law = Sums(ratio, w, sd, None, 1.0).distribution()
    q = toy_q(-ratio / 2, w, sd, lambda n: 0.0 * n)
    assert abs(np.mean(q >= law.median()) - 0.5) < 2 / np.sqrt(len(q))


def test_an_oracle_with_nearly_all_values_at_zero():
    """Known signal: q = sum ln(1 + s f_s / (B f0)); its null tail is far below that of any Gaussian."""
    v, w = weighted([300.0, 3.0], [False, True])
    x = np.sort(np.random.default_rng(2).exponential(size=len(v)))
    values = np.log1p(np.where(pool()[1], 3 * x, 1e-4 * x))
    sums = Sums(values, w, [0.0, 0.0], lambda n: 0.0 * n, 1.0)
    signal = np.where(pool()[1], 25.0 / 500, 0.0)
    null, law = sums.distribution(), sums.distribution(signal)
    q_null, n = toy_q(-values / 2, w, [0.0, 0.0], lambda n: 0.0 * n), 100_000
    at = q_null[[n // 2, 9 * n // 10, n - 1000, n - 50]]
    p = null.sf(at)
    assert np.all(abs((n - np.searchsorted(q_null, at)) / n - p) < 4 * np.sqrt(p * (1 - p) / n))
    q = toy_q(-values / 2, w, [0.0, 0.0], lambda n: 0.0 * n, signal)
    assert abs(np.mean(q >= law.median()) - 0.5) < 2 / np.sqrt(n)
    assert 1e-30 < null.sf(law.median()) < 1e-8


@pytest.mark.parametrize("b", [0.3, 3.0])
@pytest.mark.parametrize("most", [1e-12, 1e-2])
@pytest.mark.parametrize("penalty", [None, np.zeros_like], ids=["none", "zero"])
def test_an_oracle_to_which_most_events_add_next_to_nothing(b, most, penalty):
    """Sixty events of up to `most` beside b of an exponential density: gamma sums, moved by what the sixty carry.

    From one to four sigma, at values where the pool's own step is right for one event. Most experiments hold none of
    the b where b is small: an atom, whose transform never dies out. Next to it, at q < 1.5, the law is blurred.
    """
    x, w = panels()
    little = np.geomspace(1e-12, most, 4000)
    weights = np.append(b * w, np.full(4000, 60 / 4000))
    law = Sums(np.append(x, little), weights[None], [0.0], penalty, 1.0).distribution()
    mean, sd = 60 * little.mean(), np.sqrt(60 * (little**2).mean())
    shifts, shares = np.polynomial.hermite_e.hermegauss(7)

    def expected(q):  # S is nearly normal, and so little that its third moment does not show
        tails = [gamma_sums(2 * (q - mean - sd * shift), b, np.zeros_like) for shift in shifts]
        return shares @ tails / shares.sum()

    steps = -np.log(np.cumsum(w[::-1])[::-1])[::64]
    steps = steps[steps > 1.5]
    tail = expected(steps)
    at = [int(np.argmin(abs(tail - stats.norm.sf(z)))) for z in (1, 2, 3, 4)]
    blurred = 1e-6 if penalty else 1e-5  # the blur without circles is so narrow that the pool's steps begin to show
    assert law.sf(steps[at]) == pytest.approx(tail[at], rel=blurred) and tail[at[-1]] < 4e-5


def test_far_tails_fall_without_end_and_never_to_zero():
    v, w = weighted([60.0, 3.0], [False, True])
    law = Sums(v, w, [0.1, 0.3], eq_6(63.0), -2.0).distribution()
    p = law.sf(law.median() + np.geomspace(1, 1e5, 40))
    assert np.all(np.diff(p) <= 0)
    assert p[-1] > 0
    assert p[-1] < law.smallest_p
