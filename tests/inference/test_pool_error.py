"""A finite pool told truly: what a row says of its own error, against laws that are known in closed form."""

import pickle

import numpy as np
import pytest
from scipy import stats

from engine.inference import jackknife, leakage, population
from engine.inference.cells import Choice
from engine.inference.exact import counts, rates, scan
from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.hypothesis import Law, Null, Scored
from engine.inference.pools import effective_size
from engine.inference.significance import z_of_median
from engine.inference.systematics import threshold
from engine.inference.teststats import centred, deviance, excess_scan, tail_count
from engine.inference.truth import Mixture

N_ER, N_NR = 2000.0, 3.0  # expected events; scores: exponential, and Gaussian about 6


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
    assert 0.1 < widened < 1.5
    assert as_if_true > widened


@pytest.mark.parametrize("n_tail", [10.0, 40.0])
def test_the_scan_counts_electron_recoils_alone_at_every_threshold(n_tail):
    """However light the nuclear recoils above, and wherever a heavy event makes the electron recoils fewer again."""
    for seed in range(5):
        prepared = excess_scan.prepare(null := null_of(seed, n_tail), excess_scan.Options())
        for law in (null.reference, null.drawn):
            er = law.events.kind == 0
            above = [effective_size(law.total[er & (law.events.ts > edge)]) for edge in prepared.edges]
            assert law is null.reference or (above[0] < 12.5) == prepared.pool_limited
            assert min(above) > 25 - 1e-9 or law is null.drawn


def toys_of(statistic, n_toys, sd, rng):
    """q of null toys whose rates were drawn: what `cells.background_block` does, by bins alone."""
    factor = np.maximum(1 + sd * rng.standard_normal((n_toys, len(sd))), 0.0)
    means = np.column_stack([statistic._means, np.zeros(len(sd))])
    expected = factor @ means
    return statistic.q(None, statistic.widen(rng.poisson(expected).astype(float), expected, rng))


def test_toys_are_widened_about_the_rates_that_they_were_drawn_with():
    """Rates of 30 %, pools of some ten events in each bin: of nominal rates the excess would be too small where a rate
    is high, and tails with it."""
    null, sd, n = null_of(3, 12), np.array([0.3, 0.3]), 100_000
    null = Null(1.0, None, null.reference, Law(null.drawn.names, null.drawn.events, null.drawn.weights, sd))
    statistic = excess_scan.prepare(null, excess_scan.Options(thresholds=8, largest_b=20.0))
    q = toys_of(statistic, n, sd, np.random.default_rng(5))
    for level in np.quantile(q, [0.5, 0.9, 0.99, 0.999]):
        p = float(statistic.background.sf(np.array([level]))[0])
        assert abs(np.mean(q >= level - 1e-9) - p) < 4 * np.sqrt(p / n) + 0.02 * p  # 2 %: rates cut at 0, by quadrature


# The error of Z


N_TRUE = 20_000


def gaussian_law(ts, expected):
    """Electron recoils of these scores, alike."""
    ones = np.ones(len(ts))
    return Law(("er",), Scored(ts, np.zeros(len(ts), int), ones, ones), (ones * expected / len(ts))[None], np.zeros(1))


OF_Z = [
    (tail_count, 2400, {"b0": 60.0}),
    *(pytest.param(m, 600, {}, marks=pytest.mark.slow) for m in (centred, deviance)),
]


@pytest.mark.parametrize(("module", "n_per_kind", "options"), OF_Z)
def test_the_error_of_z_is_that_of_what_an_experiment_claims(make_pool, make_population, module, n_per_kind, options):
    """Scores are N(0, 1), of a signal N(2, 1). The median experiment is drawn from these densities, by their quantiles;
    its Z by a pool's null scatters about that by the truth, over pools, as much as the jack-knife says. (That of
    `tail_count`, whose null is widened, lies lower besides.)"""
    grid = stats.norm.ppf((np.arange(N_TRUE) + 0.5) / N_TRUE)
    choice, off, said = Choice(1.0, module, module.Options(**options)), [], []
    for seed in range(16 if n_per_kind == 600 else 40):
        pool = make_pool(n_per_kind, seed)
        ts = np.random.default_rng((seed, 9)).standard_normal(len(pool.kind)) + 2.0 * (pool.kind == 1)
        population = make_population(pool, ts, expected=(150.0, 0.0))
        null = population.null(1.0, 1.0)
        truth = Null(1.0, null.f0, null.reference, gaussian_law(np.append(grid, grid + 2.0), 300.0), stated=150.0)
        half = np.repeat([1.0, 0.0], N_TRUE)
        truth.drawn.weights[0] *= half
        true_null, alternative = choice.prepare(truth).distributions((1 - half) * 30.0 / N_TRUE)
        z, z_true = (z_of_median(law, alternative) for law in (choice.prepare(null).background, true_null))
        off.append(z - z_true)
        said.append(jackknife.z_pool_error(population, choice, pool.weights("NR", lambda e: np.full(len(e), 0.6)), 1.0))
    ratio = np.std(off) / np.sqrt(np.mean(np.square(said)))
    assert 0.7 < ratio < 1.4


def test_a_bound_has_no_error(make_pool, make_population):
    """Signal beyond all that a law can tell: no error, and not an error of nothing."""
    population = make_population(make_pool(300), relative_uncertainty=(0.1, 0.2))
    weights = population.pool.weights("NR", lambda e: np.full(len(e), 2.0))
    choice = Choice(1.0, excess_scan, excess_scan.Options())
    assert jackknife.z_pool_error(population, choice, weights, 1.0) is None
    assert jackknife.half_z_shift(population, choice, weights, 1.0) is None


def test_halves_that_differ_are_told_by_the_row(make_pool, make_population):
    """Of one density they agree; where the half that toys draw from lies higher, they do not."""
    pool = make_pool(2000)
    weights, found = pool.weights("NR", lambda e: np.full(len(e), 0.2)), []
    for shift in (0.0, 1.0):
        ts = np.random.default_rng(1).standard_normal(len(pool.kind)) + 2.0 * (pool.kind == 1) + shift * pool.half
        population, choice = make_population(pool, ts), Choice(1.0, centred, centred.Options())
        of = population, choice, weights, 1.0
        found.append(jackknife.halves_disagree(jackknife.half_z_shift(*of), jackknife.z_pool_error(*of)))
    assert found == [False, True]
    assert not jackknife.halves_disagree(np.nan, 0.1) and not jackknife.halves_disagree(5.0, np.nan)


def test_pools_without_a_group_are_made_once_where_all_find_room(make_population, monkeypatch):
    whole = make_population().nominal(1.0)
    first, *_ = fewer = [whole.without(group, 5) for group in range(5)]
    assert all(whole.without(group, 5) is one for group, one in enumerate(fewer))
    assert not pickle.loads(pickle.dumps(whole))._fewer
    whole.without(0, 4)
    assert [*whole._fewer] == [(0, 4)]
    monkeypatch.setattr(population, "KEPT_BYTES", 4 * whole.weights.nbytes)
    again = whole.without(0, 5)
    assert again is not first and again is not whole.without(0, 5)
    np.testing.assert_array_equal(again.weights, first.weights)
    np.testing.assert_array_equal(again.f0[1.0](whole.ts[1.0]), first.f0[1.0](whole.ts[1.0]))


def test_what_a_jackknife_is_made_of_has_one_score_and_knows_its_leakage(make_population):
    whole = make_population().knowing(1.2, None)
    for R, scores in ((1.0, {1.0}), (None, set())):
        nominal = whole.nominal(R)
        assert nominal is whole.nominal(R) and nominal.ts.keys() == scores
        assert whole.leakage != nominal.leakage == leakage.KNOWN
