"""Toys that pools share their random numbers for: the law they ought to have, and how little moves them."""

import numpy as np
import pytest

from engine.inference import cells, coupled
from engine.inference.cells import Choice
from engine.inference.pools import TOY_HALF
from engine.inference.teststats import count, deviance, extended_poisson, tail_count
from engine.options import Options, configure

N_TOYS, KEY = 20_000, ("test", "coupled")
LITERAL, COUNT = Choice(1.0, extended_poisson, extended_poisson.Options()), Choice(None, count, Options())
BINS = Choice(1.0, deviance, configure(deviance, {}))
TAIL = Choice(1.0, tail_count, configure(tail_count, {"b0": 5.0}))


def q_of(population, choice, signal, n_toys):
    """At 1 t y."""
    return coupled.q_values(population.null(choice.R, 1.0), choice, signal, n_toys, KEY)


def signal_of(population, expected):
    shape = np.where(population.pool.kind == 1, 1.0, 0.0)[population.pool.half == TOY_HALF]
    return expected * shape / shape.sum()


@pytest.mark.parametrize("relative_sd", [(0.0, 0.0), (0.1, 0.3)], ids=["idealised", "prior_predictive"])
@pytest.mark.parametrize("choice", [LITERAL, BINS], ids=["sums", "bins"])
def test_the_law_is_that_of_other_toys(make_population, choice, relative_sd):
    """At quantiles of the exact law, without and with signal; 4 standard errors."""
    population = make_population(relative_uncertainty=relative_sd)
    laws = choice.prepare(population.null(choice.R, 1.0)).distributions(signal_of(population, 6.0))
    for law, signal in zip(laws, (None, signal_of(population, 6.0)), strict=True):
        q = q_of(population, choice, signal, N_TOYS)
        for level in np.quantile(q, [0.05, 0.5, 0.9, 0.99]):
            p = float(law.sf(np.array([level]))[0])
            assert abs(np.mean(q >= level) - p) < 4 * np.sqrt(p * (1 - p) / N_TOYS) + 1e-3 * p


def test_a_count_has_poissons_mean_and_the_rates_variance(make_population):
    n = q_of(make_population(relative_uncertainty=(0.2, 0.3)), COUNT, None, N_TOYS)
    variance = 63 + (0.2 * 60) ** 2 + (0.3 * 3) ** 2
    assert n.mean() == pytest.approx(63, abs=4 * np.sqrt(variance / N_TOYS))
    assert n.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / N_TOYS))


def test_a_pool_without_a_group_has_the_same_toys_but_for_its_own_sake(population):
    """An alias table would draw a fifth of all events anew."""
    q = [q_of(population.without(group, 5), LITERAL, None, 4000) for group in (0, 1)]
    assert np.corrcoef(q)[0, 1] > 0.99
    others = [
        cells.background_toys(population.without(group, 5), 1.0, "null", [LITERAL], 4000)[0] for group in (0, 1)
    ]
    assert np.corrcoef([one.totals[:, 0] for one in others])[0, 1] < 0.9


def test_more_toys_leave_the_first_as_they_are(population):
    few, many = (q_of(population, LITERAL, None, n) for n in (500, 2500))
    assert (many[:500] == few).all() and len(many) == 2500


def test_a_signal_is_added_to_the_same_background(population):
    """Of a count, so that every toy has at least what it had; of nothing expected, just that."""
    q = [q_of(population, COUNT, signal, 2000)
         for signal in (None, signal_of(population, 0.0), signal_of(population, 8.0))]  # fmt: skip
    assert (q[0] == q[1]).all() and (q[2] >= q[0]).all()
    assert (q[2] - q[0]).mean() == pytest.approx(8.0, abs=4 * np.sqrt(8 / 2000))


def test_the_null_is_widened_as_other_toys_are(make_pool, make_population):
    """A pool of 800 knows the mean of `tail_count` so poorly that its tail is seen to be wider than Poisson's."""
    population = make_population(make_pool(n_per_kind=400))
    statistic = TAIL.prepare(population.null(1.0, 1.0))
    null, _ = statistic.distributions(signal_of(population, 0.0))
    q = q_of(population, TAIL, None, N_TOYS)
    for level in (9.0, 10.0):
        p, narrow = (float(law.sf(np.array([level]))[0]) for law in (null, statistic.unwidened()))
        error = np.sqrt(p * (1 - p) / N_TOYS)
        assert abs(np.mean(q >= level) - p) < 4 * error and p - narrow > 8 * error
