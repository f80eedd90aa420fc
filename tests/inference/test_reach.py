"""The exposure from which on the power stays: closed forms, steps, and the error from the pool."""

import numpy as np
import pytest
from scipy import stats

from engine.inference import reach
from engine.inference.cells import Choice
from engine.inference.exact import averaged, counts, power
from engine.inference.teststats import excess_scan, pearson, tail_count

AIM = reach.Aim(power.P_THREE_SIGMA, 0.5)


class Gaussian:
    """A law of q without steps."""

    smallest_p = 1e-300

    def __init__(self, mean):
        self.mean = mean

    def sf(self, q):
        return stats.norm.sf(q, self.mean)

    def median(self):
        return self.mean


def count_reading(b_per_ty, s_per_ty, aim=AIM):
    def read(exposure_ty, _):
        null = counts.law(np.array([b_per_ty * exposure_ty]), np.zeros(1))
        return reach.reading(null, null.with_signal(s_per_ty * exposure_ty), aim)

    return read


def poisson_is_good(b, s, exposure_ty, asked=0.5):
    threshold = stats.poisson.isf(AIM.p, b * exposure_ty) + 1
    return stats.poisson.sf(threshold - 1, (b + s) * exposure_ty) >= asked


RATES_PER_TY = [(0.1, 0.5), (0.5, 0.8), (4.0, 2.0), (1e-4, 1.0)]


@pytest.mark.parametrize(("b", "s", "asked"), [*((*r, a) for r in RATES_PER_TY for a in (0.5, 0.8)), (33.0, 10.0, 0.5)])
def test_a_count_against_poisson_itself(b, s, asked):
    aim = reach.Aim(AIM.p, asked)
    search = reach.ExposureSearch(count_reading(b, s, aim), aim.z)
    found = search.run(0.1, 500.0)
    assert found.status == "found"
    exposures = np.geomspace(0.1, found.checked_to_ty, 40_000)
    last_bad = exposures[~poisson_is_good(b, s, exposures, asked)][-1]
    assert last_bad == pytest.approx(found.exposure_ty, rel=2 * reach.TOLERANCE)


def test_a_background_that_does_not_grow_has_no_steps():
    """b0 = 1 whatever the exposure: 6 events are needed, and 5.6702 expected give them half the time."""
    null = counts.law(np.ones(1), np.zeros(1))
    assert null.threshold(AIM.p) == 6
    search = reach.ExposureSearch(lambda t, _: reach.reading(null, null.with_signal(0.5 * t), AIM), AIM.z)
    assert 1 + 0.5 * search.run(0.1, 100.0).exposure_ty == pytest.approx(5.6702, rel=2 * reach.TOLERANCE)


def test_bisection_alone_would_stop_at_an_earlier_step():
    """Between a bad and a good exposure the first crossing that bisection meets is followed by a dip."""
    b, s = 0.5, 0.8
    found = reach.ExposureSearch(count_reading(b, s), AIM.z).run(1.0, 100.0)
    low, high = 1.0, found.exposure_ty * 0.995
    while not poisson_is_good(b, s, high):
        high *= 0.995
    while high / low > 1 + 1e-4:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if poisson_is_good(b, s, middle) else (middle, high)
    assert poisson_is_good(b, s, high) and high < 0.98 * found.exposure_ty


@pytest.mark.parametrize("asked", [0.2, 0.5, 0.8])
def test_a_law_without_steps_against_its_closed_form(asked):
    """Z of the median grows as 0.7 sqrt(t): the exposure is ((z_p + z_power) / 0.7)^2."""
    aim = reach.Aim(AIM.p, asked)
    search = reach.ExposureSearch(lambda t, _: reach.reading(Gaussian(0.0), Gaussian(0.7 * np.sqrt(t)), aim), aim.z)
    found = search.run(1.0, 2000.0)
    expected = ((aim.z + stats.norm.ppf(asked)) / 0.7) ** 2
    assert found.exposure_ty == pytest.approx(expected, rel=reach.TOLERANCE)
    assert found.checked_to_ty >= reach.STRIDE * expected * 0.99
    assert len(search.known) <= 16
    z_median = 0.7 * np.sqrt(expected) / 2
    assert search.slope(expected) == pytest.approx(z_median, rel=0.01)


def test_beyond_and_below_the_range():
    weak = reach.ExposureSearch(count_reading(0.5, 0.01), AIM.z).run(1.0, 20.0)
    strong = reach.ExposureSearch(count_reading(0.01, 10.0), AIM.z).run(1.0, 20.0)
    assert (weak.status, weak.exposure_ty, weak.checked_to_ty) == ("beyond_range", np.inf, 20.0)
    assert (strong.status, strong.exposure_ty) == ("below_range", 1.0)


def choose(module, **options):
    return Choice(1.0, module, module.Options(**options))


@pytest.fixture(scope="module")
def mixed(make_mixed):
    return make_mixed(0)


@pytest.fixture(scope="module", name="make_mixed")
def _make_mixed(request):
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("pools", Path(__file__).parent / "conftest.py")
    pools = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pools)

    def make(seed, n_per_kind=3000):
        """33 ER and 0.04 NR events per t y, whose scores overlap; and a signal of 0.9 NR events per t y."""
        pool = pools.make_pool(n_per_kind, seed)
        rng = np.random.default_rng((seed, 7))
        ts = 10 + pool.kind * 3.0 + rng.normal(size=len(pool.kind))
        population = pools.make_population(pool, ts, expected=(33.0, 0.04), relative_uncertainty=(0.03, 0.2))
        return population, pool.weights("NR", pools.flat(0.9 / pools.ENERGY_KEV["NR"]))

    return make


@pytest.mark.parametrize("choice", [choose(excess_scan, pool_error=False), choose(pearson)])
def test_more_signal_needs_less_exposure(mixed, choice):
    population, weights = mixed
    found = [reach.find(population, choice, size * weights, AIM, 1.0, 2000.0)[0] for size in (0.5, 1.0, 2.0)]
    assert [one.status for one in found] == ["found"] * 3
    exposures = [one.exposure_ty for one in found]
    assert exposures[0] > 1.5 * exposures[1] > 1.5**2 * exposures[2]


def test_no_signal_is_beyond_every_range(mixed):
    population, weights = mixed
    found, search = reach.find(population, choose(pearson), 0 * weights, AIM, 1.0, 100.0)
    assert found.status == "beyond_range"
    assert reach.pool_error(population, choose(pearson), 0 * weights, AIM, search, found, 5) is None


STEPPED = choose(tail_count, b0=100.0, exposure_ty=100.0)


@pytest.mark.parametrize("choice", [choose(pearson, bins=10), pytest.param(STEPPED, marks=pytest.mark.slow)])
def test_the_error_is_the_spread_over_pools(make_mixed, choice):
    """Over 16 independent pools the spread of T3 has an error of 18 %, the mean error of 5 groups about 9 %."""
    exposures, errors = [], []
    for seed in range(16):
        population, weights = make_mixed(seed)
        found, search = reach.find(population, choice, weights, AIM, 1.0, 2000.0)
        exposures.append(found.exposure_ty)
        errors.append(reach.pool_error(population, choice, weights, AIM, search, found, 5)[0])
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(exposures, ddof=1)
    assert 0.55 < ratio < 1.8


@pytest.mark.parametrize("choice", [choose(excess_scan, pool_error=False), choose(pearson), STEPPED])
def test_no_average_over_the_leakage_is_made_where_z_is_far_below(make_mixed, choice, monkeypatch):
    """The exposure is that of a search which makes it everywhere, and its laws are fewer."""
    population, weights = make_mixed(1)
    population, made = population.knowing(1.3, None), []
    law = averaged.Averaged.law
    monkeypatch.setattr(averaged.Averaged, "law", lambda null, place: made.append(place) or law(null, place))
    found, search = reach.find(population, choice, weights, AIM, 1.0, 2000.0)
    n_made = len(made)
    everywhere = reach.ExposureSearch(lambda t, _: reach.read(population, choice, weights, t, AIM), AIM.z)
    expected = everywhere.run(1.0, 2000.0)
    assert found.status == expected.status == "found" and found.checked_to_ty == expected.checked_to_ty
    assert found.exposure_ty == pytest.approx(expected.exposure_ty, rel=2 * reach.TOLERANCE)
    assert search.slope(found.exposure_ty) == everywhere.slope(found.exposure_ty)
    far = [t for t, reading in everywhere.known.items() if reading.z < AIM.z - 1.5]
    assert len(far) > 2 and len(made) - n_made > n_made
