"""The smallest p of several: exactly calibrated, at the price that closed forms say, with nearly the best's power."""

import numpy as np
import pytest
from scipy import stats

from engine.inference.cells import Choice, background_toys, q_values
from engine.inference.combined import Calibration, combined, global_p
from engine.inference.significance import CENTRAL, median_significance, z_one_sided
from engine.inference.teststats import count, tail_count
from engine.options import Options

N_TOYS = 4000
N_TIMES = 100


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def slowly(q_null, q):
    """Of one experiment q (choices,): it is put among the null toys, and all of them ranked, each choice by itself."""
    every = np.vstack([q, q_null])
    ranks = np.array([[np.count_nonzero(every[:, c] >= one[c]) for c in range(len(q))] for one in every])
    smallest = ranks.min(axis=1)
    return np.count_nonzero(smallest <= smallest[0]) / len(every), smallest[0] / len(every)


@pytest.mark.parametrize("decimals", [0, 1, 12], ids=["counts", "ties", "continuous"])
@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_it_is_the_rank_among_all_whatever_ties(rng, decimals, correlation):
    covariance = correlation + (1 - correlation) * np.eye(3)
    q_null, q = (rng.multivariate_normal(np.zeros(3), covariance, n).round(decimals) for n in (60, 150))
    q[:20] += 3
    p, factor = global_p(q_null, q)
    expected = np.array([slowly(q_null, one) for one in q])
    np.testing.assert_allclose(p, expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(factor, expected[:, 0] / expected[:, 1], rtol=1e-12)


@pytest.mark.parametrize("n_choices", [1, 2, 5, 20])
def test_of_independent_choices_the_smallest_of_as_many_uniform_numbers(rng, n_choices):
    """P(min of m uniform numbers <= p) = 1 - (1 - p)^m (Sidak)."""
    q_null = rng.random((20 * N_TOYS, n_choices))
    local = np.array([0.3, 0.1, 0.01, 1e-3])
    q = np.full((len(local), n_choices), -1.0)  # no better than all null toys but in one choice
    q[:, -1] = 1 - local
    p, factor = global_p(q_null, q)
    expected = 1 - (1 - local) ** n_choices
    # the rank of the experiment, and of as many toys in each other choice, has an error of its own
    error = expected * np.sqrt(2 / (local * len(q_null)))
    assert np.all(np.abs(p - expected) < 4 * error)
    assert np.all(np.abs(factor - expected / local) < 4 * error / local)


def test_what_says_the_same_costs_nothing(rng):
    one_null, one = rng.normal(size=(N_TOYS, 1)), np.append(rng.normal(size=200), [9.0, 8.0])[:, None]
    alone, together = global_p(one_null, one), global_p(np.repeat(one_null, 6, axis=1), np.repeat(one, 6, axis=1))
    np.testing.assert_array_equal(together[0], alone[0])
    assert np.all(together[1] == 1) and np.all(alone[1] == 1)
    maps = np.hstack([one, np.exp(one), one**3]), np.hstack([one_null, np.exp(one_null), one_null**3])
    np.testing.assert_array_equal(global_p(maps[1], maps[0])[0], alone[0])  # nor what any monotone map makes of it
    assert together[0].min() == 1 / (N_TOYS + 1)


def test_beyond_all_toys_in_one_of_many_costs_as_many(rng):
    """Of n toys one is beyond all others in each choice: m of n + 1 experiments are so rare, and not one."""
    q_null = rng.random((N_TOYS, 7))
    q = np.append(np.full(6, 0.5), 2.0)
    p, factor = global_p(q_null, q[None])
    assert p[0] == (len(set(q_null.argmax(axis=0)) - {q_null[:, 6].argmax()}) + 1) / (N_TOYS + 1)
    assert factor[0] == pytest.approx(7, abs=1)
    said = combined(Calibration(q_null), np.tile(q, (100, 1)))
    assert (said.tail, said.p_low, said.best) == ("bound", 0.0, 6) and said.p == p[0] < said.p_high
    assert said.alone.p == 1 / (N_TOYS + 1) and said.alone.tail == "bound"


@pytest.mark.parametrize("decimals", [0, 12], ids=["discrete", "continuous"])
def test_without_signal_p_is_never_too_small(rng, decimals):
    """Each p has null toys of its own, and so few of them that what is too small by 1 / n would be seen."""
    n_null, n_times, mixing = 39, 4000, rng.normal(size=(4, 4))
    drawn = (rng.normal(size=(n_times, n_null + 1, 4)) @ mixing).round(decimals)
    p = np.array([global_p(toys[1:], toys[:1])[0][0] for toys in drawn])
    naive = np.array([(toys[1:] >= toys[0]).sum(axis=0).min() + 1 for toys in drawn]) / (n_null + 1)
    for level in (1 / (n_null + 1), 0.05, 0.1, 0.5):
        most = level + 3 * np.sqrt(level / n_times)
        assert np.mean(p <= level + 1e-9) < most < np.mean(naive <= level + 1e-9)
        if decimals:  # as many toys as there are choices may have the same smallest rank
            assert np.mean(p <= level + 1e-9) > level - 3 / (n_null + 1) - 3 * np.sqrt(level / n_times)


def test_without_signal_p_is_uniform(rng):
    """And the smallest p, were it taken for what it says, is not."""
    q_null, q = (shifted(rng, N_TOYS, np.zeros(5)) for _ in range(2))
    p, factor = global_p(q_null, q)
    distance = [stats.kstest(one, "uniform").statistic * np.sqrt(N_TOYS / 2) for one in (p, p / factor)]
    assert stats.kstwobign.sf(distance[0]) > 0.01 and stats.kstwobign.sf(distance[1]) < 1e-10


def shifted(rng, n_toys, shift, correlation=0.5):
    """Toys of Gaussian choices with a common part, moved by these amounts."""
    common = rng.normal(size=(n_toys, 1)) * np.sqrt(correlation)
    return common + np.sqrt(1 - correlation) * rng.normal(size=(n_toys, len(shift))) + np.asarray(shift)


@pytest.mark.parametrize(("shift", "correlation"), [([1.5, 0.5, 0, 0], 0.5), ([2.0, 0, 0, 0, 0, 0], 0.0)])
def test_the_interval_holds_the_p_of_many_toys(rng, shift, correlation):
    """As often as it says, or more: with the count of all choices for that of the best one it held 52 to 62 %."""
    nothing, held = np.zeros(len(shift)), []
    many = shifted(rng, 50_000, nothing, correlation), shifted(rng, 50_000, shift, correlation)
    true = combined(Calibration(many[0]), many[1]).p
    for _ in range(N_TIMES):
        few = shifted(rng, 1000, nothing, correlation), shifted(rng, 1000, shift, correlation)
        said = combined(Calibration(few[0]), few[1])
        held.append(said.p_low <= true <= said.p_high)
    assert CENTRAL - 3 * np.sqrt(CENTRAL * (1 - CENTRAL) / N_TIMES) < np.mean(held) < 0.97


def test_the_median_of_one_choice_is_that_of_the_table(rng):
    q_null, q = rng.normal(size=(N_TOYS, 1)), rng.normal(1.0, 1.0, (999, 1))
    said, alone = combined(Calibration(q_null), q), median_significance(np.sort(q_null[:, 0]), q[:, 0])
    assert (said.p, said.p_low, said.p_high, said.tail) == (alone.p, alone.p_low, alone.p_high, alone.tail)
    assert said.trial_factor == 1 and said.alone == alone


@pytest.mark.parametrize("strong", range(6))
def test_whichever_choice_sees_the_signal_little_is_lost(rng, strong):
    """Six independent choices cost a factor of six at most, which at 3 sigma are 0.6 of Z; what the others add and
    what the choices share is won back."""
    shift = np.full(6, 0.5)
    shift[strong] = 3.0
    said = combined(Calibration(shifted(rng, 50_000, np.zeros(6))), shifted(rng, 4000, shift))
    assert said.best == strong
    lost = said.alone.z - z_one_sided(said.p)
    assert 0 < lost < 0.6 and 1 < said.trial_factor < 6


def test_on_toys_of_events_no_signal_is_missed_as_by_any_single_statistic(population):
    """Nuclear recoils are seen in the tail, electron recoils by their number: neither statistic sees both."""
    choices = [Choice(1.0, tail_count, tail_count.Options()), Choice(None, count, Options())]
    drawn = [background_toys(population, 1.0, name, choices, N_TOYS) for name in ("null", "background")]
    found = {}
    for kind, n_signal in (("NR", 8.0), ("ER", 24.0)):
        weights = population.pool.weights(kind, lambda energy_keV: np.full(len(energy_keV), 1.0))
        scales = np.array([n_signal / weights.sum()])
        q = q_values(population, weights, ("flat", kind), scales, 1.0, choices, *drawn)
        null = Calibration(np.stack([of_null for of_null, _ in q], axis=1))
        found[kind] = combined(null, np.stack([of_signal[:, 0] for _, of_signal in q], axis=1))
        alone = [median_significance(np.sort(of_null), of_signal[:, 0]).z for of_null, of_signal in q]
        assert max(alone) == found[kind].alone.z and min(alone) < max(alone) - 0.9
        assert max(alone) - 0.35 < z_one_sided(found[kind].p) < max(alone)
    assert [said.best for said in found.values()] == [0, 1]
