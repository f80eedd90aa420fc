"""The exposure that toys give: closed forms, coverage of its interval, and a statistic whose law is known."""

import numpy as np
import pytest
from scipy import stats

from engine.inference import reach, reach_toys
from engine.inference.cells import Choice
from engine.inference.exact import power
from engine.inference.significance import CENTRAL, clopper_pearson
from engine.inference.teststats import count, extended_poisson, tail_count, template_likelihood
from engine.options import Options

AIM = reach.Aim(power.P_THREE_SIGMA, 0.5)
LEAST = reach_toys.least_null_toys(AIM.p)


def gaussian(seed, per_root_ty=0.7, n_toys=(LEAST, 4000)):
    """q is normal, and its mean with signal grows as the root of the exposure; every exposure has its own toys."""

    def read(exposure_ty):
        rng = np.random.default_rng([seed, int(exposure_ty * 1e9)])
        q_null, q_signal = (rng.standard_normal(n) for n in n_toys)
        return reach_toys.power(q_null, q_signal + per_root_ty * np.sqrt(exposure_ty), AIM.p)

    return read


def test_the_interval_covers_the_closed_form():
    """T3 = (z_p / 0.7)^2; of 150 intervals of 68.27 % or more at least 86 hold it but once in 1000, were it just so."""
    true_ty = (AIM.z / 0.7) ** 2
    found = [reach_toys.search(gaussian(seed), AIM.power, 1.0, 500.0) for seed in range(150)]
    assert {one.status for one in found} == {"found"}
    t3, low, high = np.array([(one.exposure_ty, one.low_ty, one.high_ty) for one in found]).T
    assert (low < t3).all() and (t3 < high).all()
    assert np.count_nonzero((low < true_ty) & (true_ty < high)) >= stats.binom.ppf(1e-3, len(found), CENTRAL)
    assert np.mean(high - low) < 0.4 * true_ty  # it says something
    assert np.mean(np.log(t3)) == pytest.approx(np.log(true_ty), abs=0.05)


def test_beyond_and_below_the_range():
    weak, strong = (reach_toys.search(gaussian(0, slope), AIM.power, 1.0, 20.0) for slope in (0.1, 20.0))
    assert weak == reach_toys.ToyReach("beyond_range", np.inf, 20.0)
    assert strong == reach_toys.ToyReach("below_range", 1.0, 1.0)


@pytest.mark.parametrize(("p", "n"), [(AIM.p, LEAST), (AIM.p, 10_000), (0.02, 777)])
def test_the_critical_numbers_are_where_the_intervals_end(p, n):
    best, surely, possibly = reach_toys.most_beyond(p, n)
    assert (best + 1) / (n + 1) <= p < (best + 2) / (n + 1)
    assert clopper_pearson(surely, n)[1] <= p < clopper_pearson(surely + 1, n)[1]
    assert clopper_pearson(possibly, n)[0] <= p < clopper_pearson(possibly + 1, n)[0]
    assert 0 <= surely < best < possibly


def test_a_tie_is_a_false_alarm():
    """Of a statistic that is one value with background, a signal at this value never succeeds, and one above does."""
    q_null = np.zeros(LEAST)
    assert reach_toys.power(q_null, np.zeros(100), AIM.p).best == 0.0
    assert reach_toys.power(q_null, np.ones(100), AIM.p).best == 1.0


@pytest.fixture(scope="module")
def signal():
    return lambda population, n_per_ty: population.pool.weights("NR", lambda e: np.full(len(e), n_per_ty / 50.0))


TAIL = Choice(1.0, tail_count, tail_count.Options(b0=200.0, exposure_ty=10.0))
LITERAL = Choice(1.0, extended_poisson, extended_poisson.Options())
COUNT = Choice(None, count, Options())


@pytest.mark.parametrize(("choice", "n_per_ty"), [(COUNT, 15.0), (TAIL, 8.0), (LITERAL, 4.0)])
def test_a_statistic_with_a_law_is_found_within_the_interval(population, signal, choice, n_per_ty):
    """Within twice the interval, which a right one leaves once in twenty at most."""
    weights, range_ty = signal(population, n_per_ty), (0.5, 40.0)
    by_law, _ = reach.find(population, choice, weights, AIM, *range_ty)
    found = reach_toys.find(population, choice, weights, ("flat",), AIM, range_ty, (LEAST, 2000))
    assert by_law.status == found.status == "found"
    assert 2 * found.low_ty - found.exposure_ty < by_law.exposure_ty < 2 * found.high_ty - found.exposure_ty


@pytest.mark.parametrize(("choice", "n_per_ty"), [(COUNT, 15.0), (TAIL, 8.0), (LITERAL, 4.0)])
def test_the_pools_error_is_that_of_the_law(population, signal, choice, n_per_ty):
    """The same groups leave the same pools; 40000 toys and one power instead of Z leave a third of their difference."""
    weights, range_ty, n_groups = signal(population, n_per_ty), (0.5, 40.0), 5
    by_law, search = reach.find(population, choice, weights, AIM, *range_ty)
    expected, _ = reach.pool_error(population, choice, weights, AIM, search, by_law, n_groups)
    found = reach_toys.find(population, choice, weights, ("flat",), AIM, range_ty, (40_000, 10_000), n_groups)
    assert found.error_ty == pytest.approx(expected, rel=0.35)


def test_without_groups_the_search_is_the_same_and_has_no_error(population, signal):
    options = population, LITERAL, signal(population, 4.0), ("flat",), AIM, (0.5, 40.0), (LEAST, 1000)
    without, found = (reach_toys.find(*options, groups) for groups in (None, 3))
    assert without.error_ty is None and found.error_ty > 0
    assert (without.exposure_ty, without.low_ty, without.high_ty) == (found.exposure_ty, found.low_ty, found.high_ty)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_likelihood_without_a_law_has_a_reach(population, signal, conditional):
    """More signal needs less exposure."""
    choice = Choice(None, template_likelihood, template_likelihood.Options(conditional=conditional))
    found = [reach_toys.find(population, choice, signal(population, n), ("flat",), AIM, (0.1, 100.0), (LEAST, 1000))
             for n in (10.0, 20.0)]  # fmt: skip
    assert [one.status for one in found] == ["found"] * 2
    assert found[1].high_ty < found[0].low_ty


def test_too_few_null_toys_are_refused(population, signal):
    with pytest.raises(ValueError, match=f"at least {LEAST}"):
        reach_toys.find(population, TAIL, signal(population, 1.0), ("flat",), AIM, (1.0, 9.0), (LEAST - 1, 100))
