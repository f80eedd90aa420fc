"""A finite pool told truly: what a row says of its own error, against laws that are known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from engine.inference import jackknife
from engine.inference.cells import Choice
from engine.inference.exact import counts, rates, scan
from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.hypothesis import Law, Null, Scored
from engine.inference.pools import effective_size
from engine.inference.significance import z_of_median
from engine.inference.systematics import threshold
from engine.inference.teststats import centred, deviance, excess_scan, tail_count
from engine.inference.truth import Mixture

N_ER, N_NR = 2000.0, 3.0  # expected events: scores of electron recoils are exponential, of nuclear ones Gaussian about 6


def true_above(ts):
    """(2, n) events expected above these scores."""
    return np.array([N_ER * np.exp(-np.maximum(ts, 0.0)), N_NR * stats.norm.sf(ts, 6.0, 1.5)])


def half(rng, n_tail, n_nr=500):
    """A law of a pool whose electron recoils are enriched above 3: n_tail of them where one event is expected.

    Below, one in 20 is kept, for 20; among those above some look like the others and are kept so rarely too.
    """
    w = 1 / n_tail
    ts = rng.exponential(size=rng.poisson(N_ER / w))
    chance = np.where((ts > 3) & (rng.random(len(ts)) < 0.97), 1.0, 0.05)
    kept = rng.random(len(ts)) < chance
    ts, er = ts[kept], w / chance[kept]
    nr = np.full(n_nr, N_NR / n_nr)
    weights = np.zeros((2, len(er) + n_nr))
    weights[0, : len(er)], weights[1, len(er) :] = er * (N_ER / er.sum()), nr
    ts = np.append(ts, rng.normal(6.0, 1.5, n_nr))
    events = Scored(ts, np.repeat([0, 1], [len(er), n_nr]), np.ones(len(ts)), np.ones(len(ts)))
    return Law(("er", "nr"), events, weights, np.zeros(2))


def null_of(seed, n_tail):
    rng = np.random.default_rng(seed)
    return Null(1.0, None, half(rng, n_tail), half(rng, n_tail))


def true_law(statistic):
    """Of q, where events are drawn from the scores' densities themselves."""
    if hasattr(statistic, "threshold"):
        return counts.law(true_above(statistic.threshold), np.zeros(2))
    above = true_above(statistic.edges)
    means = np.diff(above, axis=1, prepend=0.0)
    return scan.ScanLaw(statistic.table, rates.nodes(means, np.zeros(2)))


def false_alarms(statistic, law):
    """How often the truth reaches the three-sigma threshold of this law."""
    return float(true_law(statistic).sf(np.array([threshold(Mixture(((1.0, law),)), P_THREE_SIGMA)]))[0])


WIDENED = {tail_count: tail_count.Options(), excess_scan: excess_scan.Options(largest_b=30.0, thresholds=24)}


@pytest.mark.parametrize("module", WIDENED, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize(
    ("n_tail", "n_pools"), [(12, 50), *(pytest.param(n, 400, marks=pytest.mark.slow) for n in (6, 12, 30, 100))]
)
def test_false_alarms_are_no_more_than_said_over_independent_pools(module, n_tail, n_pools):
    """At three sigma, on average 1.5 times as many at most; where the pool is taken for the truth they are more."""
    found = []
    for seed in range(n_pools):
        statistic = module.prepare(null_of(seed, n_tail), WIDENED[module])
        found.append([false_alarms(statistic, law) for law in (statistic.background, statistic.unwidened())])
    widened, as_if_true = np.mean(found, axis=0) / P_THREE_SIGMA
    print(module.__name__, n_tail, n_pools, widened, as_if_true)
    assert 0.1 < widened < 1.5
    assert as_if_true > widened
