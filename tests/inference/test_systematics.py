"""What another truth does to a search: nothing where it is the same, Poisson's answer where that is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from engine.inference import truth as truths
from engine.inference.cells import Choice
from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.pools import TOY_HALF
from engine.inference.significance import z_one_sided
from engine.inference.systematics import GROUPS, Nominal, refit
from engine.inference.teststats import centred, count, excess_scan, extended_poisson, tail_count
from engine.inference.truth import Truth
from engine.options import configure

R = 1.0
CHOICES = [
    Choice(R, tail_count, configure(tail_count, {"b0": 10.0, "pool_error": False})),
    Choice(R, excess_scan, configure(excess_scan, {"thresholds": 10})),
    Choice(R, extended_poisson, configure(extended_poisson, {})),
    Choice(None, count, configure(count, {})),
]
NAMES = [choice.module.__name__.rpartition(".")[-1] for choice in CHOICES]


def all_er(make_pool, make_scores, make_population):
    """60 ER events a year and next to no NR: the tail of TS is all leak."""
    pool = make_pool(n_per_kind=20_000)
    return make_population(pool, make_scores(pool), expected=(60.0, 1e-12))


@pytest.fixture(name="leaky", scope="module")
def _leaky():
    from tests.inference.conftest import make_pool, make_population, make_scores

    return all_er(make_pool, make_scores, make_population)


def truth_of(population, choice, n_signal=8.0):
    pool = population.pool
    half = pool.half == TOY_HALF
    law = population.null(choice.R, 1.0).drawn
    signal = np.where(pool.kind[half] == 1, 1.0, 0.0)
    return Truth(((1.0, law),), n_signal * signal / signal.sum(), pool.groups(GROUPS)[half])


def in_tail(population, choice):
    """The drawn events above the tail's threshold."""
    null = population.null(R, 1.0)
    return null.drawn.events.ts > CHOICES[0].prepare(null).threshold


def changed(truth, leak, factor):
    return truth.changed(lambda law: [(1.0, replace(law, leaks=leak).leaking(factor))])


def compare(population, choice, varied, n_toys=0):
    null, nominal = population.null(choice.R, 1.0), truth_of(population, choice)
    return Nominal(null, choice, nominal, ("test",), n_toys).effect(varied)


@pytest.mark.parametrize("choice", CHOICES, ids=NAMES)
def test_a_factor_of_one_changes_nothing(leaky, choice):
    found = compare(leaky, choice, changed(truth_of(leaky, choice), in_tail(leaky, choice), 1.0))
    assert (found.inflation, found.inflation_error) == (1.0, 0.0)
    assert found.threshold_varied == found.threshold
    assert found.power_varied == found.power_recalibrated == found.power
    assert truths.averaged(leaky.null(choice.R, 1.0).drawn, 1.0)[0][0] == 1.0
    assert 0.1 * P_THREE_SIGMA < found.false_alarm <= P_THREE_SIGMA


@pytest.mark.parametrize("choice", CHOICES, ids=NAMES)
def test_truths_side_by_side_are_what_each_is_alone(leaky, choice):
    truth, leak = truth_of(leaky, choice), in_tail(leaky, choice)
    varied = [changed(truth, leak, factor) for factor in (0.5, 2.0)]
    alone, nominal = [compare(leaky, choice, one) for one in varied], Nominal(
        leaky.null(choice.R, 1.0), choice, truth, ("test",), 0
    )
    assert [nominal.effect(one) for one in varied] == alone
    assert alone[0].inflation < 1 < alone[1].inflation


@pytest.mark.parametrize(("q", "module"), [(-20.0, extended_poisson), (0.0, extended_poisson), (60.0, extended_poisson),
                                           (20.0, centred)])  # fmt: skip
@pytest.mark.parametrize("relative_sd", [(0.0, 0.0), (0.1, 0.3)])
def test_a_pool_without_a_group_along_the_line_of_all(leaky, q, module, relative_sd, monkeypatch):
    """Beside laws of their own, made of what is left."""
    choice, null = Choice(R, module, configure(module, {})), leaky.null(R, 1.0)
    truth = truth_of(leaky, choice).changed(lambda law: [(1.0, replace(law, relative_sd=np.array(relative_sd)))])
    median = truths.exact_laws(null, choice, truth)[0].median()
    tails, smallest_p = truths.tails_without(null, choice, truth, median + q, GROUPS)
    with monkeypatch.context() as patched:
        patched.delattr(extended_poisson.ExtendedPoisson, "tails_without")
        slow, slow_smallest = truths.tails_without(null, choice, truth, median + q, GROUPS)
    assert tails == pytest.approx(slow, rel=1e-6) and smallest_p.tolist() == slow_smallest.tolist()
    assert np.ptp(tails) > 0 and 1e-30 < tails.min() < 0.9999999


@pytest.mark.parametrize("last", [GROUPS - 2, 4])
def test_groups_that_hold_none_or_most_of_the_events_have_laws_of_their_own(leaky, last):
    """Without the events of most, other numbers of events count than those that the line of all sees."""
    choice, truth, null = CHOICES[2], truth_of(leaky, CHOICES[2]), leaky.null(R, 1.0)
    group = np.minimum(truth.group, last)
    q = truths.exact_laws(null, choice, truth)[0].median()
    assert choice.prepare(null).tails_without(q, group, GROUPS) is None
    tails, _ = truths.tails_without(null, choice, replace(truth, group=group), q, GROUPS)
    assert len(tails) == GROUPS and np.ptp(tails) > 0


def test_where_two_events_or_none_may_be_all_there_is_laws_are_made_of_what_is_left(leaky):
    choice, truth = CHOICES[2], truth_of(leaky, CHOICES[2])
    null = leaky.null(R, 0.1)  # six events
    truth = truth.changed(lambda law: [(1.0, replace(law, weights=law.weights / 10))])
    background = truths.exact_laws(null, choice, truth)[0]
    assert choice.prepare(null).tails_without(background.median(), truth.group, GROUPS) is None
    tails, _ = truths.tails_without(null, choice, truth, background.median(), GROUPS)
    assert len(tails) == GROUPS and tails == pytest.approx(0.5, abs=0.02) and np.ptp(tails) > 0


def test_twice_the_leak_is_twice_the_tail_with_poissons_false_alarms(leaky):
    choice = CHOICES[0]
    leak = in_tail(leaky, choice)
    varied = changed(truth_of(leaky, choice), leak, 2.0)
    (_, law), = varied.laws  # fmt: skip
    nominal = leaky.null(R, 1.0).drawn.total[leak].sum()
    assert law.total[leak].sum() == pytest.approx(2 * nominal, rel=1e-12)
    assert nominal == pytest.approx(10.0, rel=0.05)
    found = compare(leaky, choice, varied)
    q = stats.poisson.isf(P_THREE_SIGMA, nominal) + 1
    assert found.threshold == q
    expected = stats.poisson.sf(q - 1, 2 * nominal), stats.poisson.sf(q - 1, nominal)
    assert found.false_alarm_varied == pytest.approx(expected[0], rel=1e-9)
    assert found.inflation == pytest.approx(expected[0] / expected[1], rel=1e-9) and found.inflation > 100
    assert found.threshold_varied == stats.poisson.isf(P_THREE_SIGMA, 2 * nominal) + 1
    assert found.power_varied > found.power > found.power_recalibrated
    assert found.power == pytest.approx(stats.poisson.sf(q - 1, nominal + 8.0), rel=1e-6)


def test_the_pools_error_is_that_of_the_tails_mean(leaky):
    """d ln inflation / d ln b times 1 / sqrt(k), k pool events in the tail."""
    choice = CHOICES[0]
    leak = in_tail(leaky, choice)
    found = compare(leaky, choice, changed(truth_of(leaky, choice), leak, 2.0))
    b, step = leaky.null(R, 1.0).drawn.total[leak].sum(), 1e-3
    ln_inflation = [
        np.log(stats.poisson.sf(found.threshold - 1, 2 * x) / stats.poisson.sf(found.threshold - 1, x))
        for x in (b * (1 - step), b * (1 + step))
    ]
    slope = np.diff(ln_inflation)[0] / (2 * step)
    er = leaky.null(R, 1.0).drawn.events.kind == 0
    expected = found.inflation * abs(slope) * np.sqrt((1 - leak[er].mean()) / leak[er].sum())
    assert found.inflation_error == pytest.approx(expected, rel=0.6)  # ten groups know a width to a quarter


def test_an_averaged_factor_is_the_integral_over_it(leaky):
    choice = CHOICES[0]
    leak = in_tail(leaky, choice)
    varied = truth_of(leaky, choice).changed(lambda law: truths.averaged(replace(law, leaks=leak), 2.0))
    found = compare(leaky, choice, varied)
    b = leaky.null(R, 1.0).drawn.total[leak].sum()
    z = np.linspace(-8, 8, 4001)
    expected = np.trapezoid(stats.norm.pdf(z) * stats.poisson.sf(found.threshold - 1, b * 2.0**z), z)
    assert found.false_alarm_varied == pytest.approx(expected, rel=0.002)
    assert sum(share * law.n_expected for share, law in varied.laws) == pytest.approx(
        60 - b + b * np.exp(np.log(2) ** 2 / 2), rel=1e-4
    )


def test_toys_agree_with_the_exact_law(leaky):
    choice = CHOICES[0]
    varied = changed(truth_of(leaky, choice), in_tail(leaky, choice), 1.5)
    exact = compare(leaky, choice, varied)
    without_law = replace(choice, module=WithoutLaw)
    counted = compare(leaky, without_law, varied, 40_000)
    assert (exact.method, counted.method) == ("exact", "toys")
    assert counted.threshold == exact.threshold
    assert abs(counted.inflation - exact.inflation) < 4 * counted.inflation_error
    assert counted.power_varied == pytest.approx(exact.power_varied, abs=0.02)


class WithoutLaw:
    """tail_count as if its law were not known."""

    EXACT = False
    prepare = staticmethod(tail_count.prepare)


@pytest.fixture(name="worse", scope="module")
def _worse(leaky):
    """The same events by another fit, which takes a third of what stands out for an ordinary ER event."""
    from tests.inference.conftest import make_population

    blind = np.arange(len(leaky.pool.kind)) // 2 % 3 == 0
    return make_population(leaky.pool, np.where(blind, 1e-3, 1.0) * leaky.ts[R], expected=(60.0, 1e-12))


def compare_fits(first, second, choice, n_toys=0):
    nulls = tuple(one.null(choice.R, 1.0) for one in (first, second))
    return refit(nulls, choice, tuple(truth_of(one, choice) for one in (first, second)), ("test",), n_toys)


@pytest.mark.parametrize("choice", CHOICES[:2], ids=NAMES[:2])
def test_a_fit_that_ranks_events_alike_is_no_other_fit(leaky, choice):
    """Ranks are all that a monotone-invariant statistic sees: threshold, power and Z are the same to the bit."""
    from tests.inference.conftest import make_population

    mapped = make_population(leaky.pool, np.log(leaky.ts[R]) ** 3, expected=(60.0, 1e-12))
    found = compare_fits(leaky, mapped, choice)
    assert found.threshold_varied == found.threshold and found.z_varied == found.z > 1
    assert found.power_recalibrated == pytest.approx(found.power, rel=1e-12) and found.power > 0.1


def test_another_fit_has_the_power_that_poisson_gives_its_share_of_signal(leaky, worse):
    choice, one_in_three = CHOICES[0], 1 / 3
    found = compare_fits(leaky, worse, choice)
    b = [one.null(R, 1.0).drawn.total[in_tail(one, choice)].sum() for one in (leaky, worse)]
    q = [stats.poisson.isf(P_THREE_SIGMA, mean) + 1 for mean in b]
    assert [found.threshold, found.threshold_varied] == q
    assert found.false_alarm == pytest.approx(stats.poisson.sf(q[0] - 1, b[0]), rel=1e-9)
    expected = stats.poisson.sf(q[0] - 1, b[0] + 8), stats.poisson.sf(q[1] - 1, b[1] + 8 * (1 - one_in_three))
    assert [found.power, found.power_recalibrated] == pytest.approx(expected, rel=1e-2)
    median = stats.poisson.median(b[1] + 8 * (1 - one_in_three))
    assert found.z_varied == pytest.approx(z_one_sided(stats.poisson.sf(median - 1, b[1])), rel=1e-6)
    assert found.z_varied < found.z and found.power_recalibrated < found.power


def test_a_fit_is_held_against_another_by_toys_where_no_law_is_known(leaky, worse):
    exact = compare_fits(leaky, worse, CHOICES[0])
    counted = compare_fits(leaky, worse, replace(CHOICES[0], module=WithoutLaw), 20_000)
    assert (exact.method, counted.method) == ("exact", "toys")
    assert (counted.threshold, counted.threshold_varied) == (exact.threshold, exact.threshold_varied)
    both = [counted.power, counted.power_recalibrated]
    assert both == pytest.approx([exact.power, exact.power_recalibrated], abs=0.02)
    assert [counted.z, counted.z_varied] == pytest.approx([exact.z, exact.z_varied], abs=0.1)


def test_b_of_the_literal_statistic_stays_what_the_search_takes_it_for(leaky):
    """With its B moved along with the truth, q of the same toy would be another number."""
    choice = CHOICES[2]
    null = leaky.null(R, 1.0)
    (_, law), = changed(truth_of(leaky, choice), in_tail(leaky, choice), 3.0).laws  # fmt: skip
    moved = choice.prepare(replace(null, drawn=law, stated=null.n_background))
    n, totals = np.array([70]), np.array([[-100.0]])
    assert moved.q(n, totals) == choice.prepare(null).q(n, totals)
    assert choice.prepare(replace(null, drawn=law)).q(n, totals) != choice.prepare(null).q(n, totals)
