"""f0 on a narrow electron-recoil spike beside a broad nuclear-recoil bump: norm, shape, unit and floor."""

import numpy as np
import pytest
from scipy import stats

from engine.inference import density
from engine.inference.pools import effective_size

ER, NR = stats.gamma(4, loc=2e4, scale=5e3), stats.norm(6e5, 1.2e5)
TOTALS = np.array([6470.0, 30.0])
SHARES = TOTALS / TOTALS.sum()


def sample(n, seed=0):
    """Scores and weights (2, 2 n) of n events of each kind."""
    rng = np.random.default_rng(seed)
    ts = np.concatenate([ER.rvs(n, random_state=rng), NR.rvs(n, random_state=rng)])
    return ts, np.kron(np.diag(TOTALS / n), np.ones(n))


def estimate(ts, weights, bandwidth=1.0, relative_floor=1e-12):
    return density.estimate(ts, weights, bandwidth=bandwidth, relative_floor=relative_floor)


@pytest.fixture(scope="module")
def f0():
    return estimate(*sample(50_000))


@pytest.mark.parametrize("n", [300, 50_000])
@pytest.mark.parametrize("bandwidth", [0.5, 2.0])
def test_integrates_to_one(n, bandwidth):
    estimated = estimate(*sample(n), bandwidth)
    ts = np.concatenate([np.linspace(-1e6, 1e4, 20_000), np.linspace(1e4, 2e5, 200_000), np.linspace(2e5, 3e6, 50_000)])
    assert np.trapezoid(np.exp(estimated.ln(ts)), ts) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("component", "share"), [(ER, SHARES[0]), (NR, SHARES[1])], ids=["spike", "bump"])
def test_recovers_a_known_mixture(f0, component, share):
    """One bandwidth for both would fail at one of the two; 0.05 is 4 standard errors and the bias."""
    ts = component.ppf(np.linspace(0.03, 0.97, 200))
    truth = SHARES[0] * ER.pdf(ts) + SHARES[1] * NR.pdf(ts)
    assert np.abs(np.exp(f0.ln(ts)) / truth - 1).max() < 0.05
    assert share * component.pdf(ts).max() > 0.9 * truth.max()


def test_mean_ln_f0_is_minus_the_entropy(f0):
    """On events that made no density: the papers' q rests on this sum."""
    rng = np.random.default_rng(3)
    ts = np.where(rng.random(200_000) < SHARES[0], ER.rvs(200_000, random_state=rng), NR.rvs(200_000, random_state=rng))
    excess = np.log(SHARES[0] * ER.pdf(ts) + SHARES[1] * NR.pdf(ts)) - f0.ln(ts)
    assert 0 < excess.mean() < 3e-3  # a Kullback-Leibler divergence


@pytest.mark.parametrize(("a", "b"), [(1e-4, 0.0), (3.0, -7e6), (1e7, 5.0)])
def test_density_per_unit_of_ts(f0, a, b):
    ts, weights = sample(50_000)
    at = np.concatenate([np.linspace(1.8e4, 8e4, 300), np.linspace(2e5, 1e6, 300)])
    assert estimate(a * ts + b, weights).ln(a * at + b) + np.log(a) == pytest.approx(f0.ln(at), abs=2e-3)


def test_weights_count_relative_to_each_other():
    ts, weights = sample(3000)
    at = np.linspace(2e4, 1e6, 500)
    assert estimate(ts, 1e-3 * weights).ln(at) == pytest.approx(estimate(ts, weights).ln(at), abs=1e-9)


def test_importance_weights_turn_a_proposal_into_the_target():
    """Scores thrown uniformly, weighted to a Gaussian."""
    ts = np.random.default_rng(5).uniform(-8, 8, 200_000)
    at = np.linspace(-2, 2, 50)
    estimated = estimate(ts, stats.norm.pdf(ts)[None])
    assert np.exp(estimated.ln(at)) == pytest.approx(stats.norm.pdf(at), rel=0.05)


def test_events_and_components_without_weight_are_not_there():
    ts, weights = sample(3000)
    alone = estimate(ts[:3000], weights[:1, :3000])
    beside = estimate(ts, weights * [[1], [0]])
    at = np.linspace(1e4, 1e6, 500)
    assert np.array_equal(beside.ln(at), alone.ln(at))


def test_floor_holds_everywhere_and_only_lifts():
    ts, weights = sample(3000)
    at = np.concatenate([-np.geomspace(1e12, 1, 200), np.geomspace(1, 1e12, 500)])
    low, high = estimate(ts, weights, relative_floor=1e-12), estimate(ts, weights, relative_floor=1e-6)
    assert np.isfinite(low.ln(at)).all()
    assert low.ln(at).min() == np.log(low.floor)
    assert high.floor == pytest.approx(1e6 * low.floor)
    lifted = high.ln(at) > low.ln(at)
    assert np.all(high.ln(at) >= low.ln(at)) and lifted.any()
    assert np.all(high.on_floor(at[lifted]))


def test_floor_is_relative_to_the_peak(f0):
    highest = np.exp(f0.ln(np.linspace(2e4, 1e5, 20_000)).max())
    assert f0.floor == pytest.approx(1e-12 * highest, rel=0.01)


def test_on_floor_counts_events_where_the_pool_says_nothing(f0):
    ts, _ = sample(1000, seed=9)
    far = np.array([-1e9, -1e6, 1e8, np.inf])
    assert f0.on_floor(np.concatenate([ts, far])).sum() == len(far)


def test_a_constant_score_has_a_density():
    ln = estimate(np.full(200, 5.0), np.ones((1, 200))).ln(np.array([5.0, 50.0]))
    assert np.isfinite(ln).all() and ln[0] > ln[1]


@pytest.mark.parametrize(
    ("weights", "size"), [([2.0] * 7, 7), ([1, 0, 0], 1), ([3, 1], 1.6), ([0, 0], 0), ([], 0)]
)
def test_effective_size_is_kish(weights, size):
    assert effective_size(np.array(weights, dtype=float)) == pytest.approx(size)


def test_weighted_quantiles_are_those_of_repeated_values():
    rng = np.random.default_rng(4)
    values, repeats = rng.normal(size=2000), rng.integers(0, 6, 2000)
    at = (0.25, 0.5, 0.75)
    found = density.weighted_quantiles(values, repeats.astype(float), at)
    assert found == pytest.approx(np.quantile(np.repeat(values, repeats), at), abs=5e-3)


def test_heights_between_bins_are_those_of_a_search_to_the_bit():
    rng = np.random.default_rng(3)
    for first, step in ((-3.7, 0.0123), (0.1, 1e-4)):
        height, places = rng.random(4096), first + step * np.arange(4096)
        u = rng.uniform(places[0] - 9 * step, places[-1] + 9 * step, 20_000)
        u = np.concatenate([u, places, np.nextafter(places, np.inf), np.nextafter(places, -np.inf)])
        expected = np.interp(u, places, height, left=0, right=0)
        assert np.array_equal(density._between(u, first, step, height), expected)
