"""What is said of observed events: p that are uniform under background alone, a signal that is found, and blinding."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from engine.inference import cells, experiments, goodness, limits, neyman, observed, toys
from engine.inference.cells import Choice
from engine.inference.leakage import KNOWN
from engine.inference.pools import DENSITY_HALF, Pool
from engine.inference.population import Background, populate
from engine.inference.teststats import conditional, count, deviance, excess_scan, tail_count
from engine.lineage import stream
from engine.options import configure

EXPOSURE_TY, R, N_TOYS = 1.0, 0.0, 1500
CONTINUOUS = {"deviance": deviance, "conditional": conditional}
STATISTICS = CONTINUOUS | {"excess_scan": excess_scan, "tail_count": tail_count, "count": count}


@pytest.fixture(scope="module")
def population():
    """A band of 80 +- 8 electron and one of 2 +- 0.4 nuclear recoils, whose score is the distance from the first."""
    rng, n = np.random.default_rng(3), 30_000
    kind = np.repeat([0, 1], n).astype(np.int8)
    cs1 = rng.uniform(4, 80, 2 * n)
    log_ratio = 2.4 - 0.2 * np.log10(cs1) - 0.35 * kind + 0.1 * rng.standard_normal(2 * n)
    ts = 2.4 - 0.2 * np.log10(cs1) - log_ratio + 0.02 * rng.standard_normal(2 * n)
    energy = rng.uniform(0, 1, 2 * n)
    pool = Pool(kind, energy, np.ones(2 * n), np.arange(2 * n) % 2, np.array([n, n]), cs1, cs1 * 10**log_ratio, {})
    rates = [Background("er", "ER", lambda e: np.full(len(e), 80.0), 0.1),
             Background("nr", "NR", lambda e: np.full(len(e), 2.0), 0.2)]  # fmt: skip
    options = {"idealised": False, "bandwidth": 1.0, "relative_floor": 1e-12, "stream_key": ("observed",)}
    return populate(pool, {R: ts}, rates, leakage_factor=1.2, **options)


@pytest.fixture(scope="module")
def search(population):
    """The statistics, prepared once for all lists, and their null toys."""
    choices = [Choice(R if "score" in m.NEEDS else None, m, configure(m, {})) for m in STATISTICS.values()]
    null = cells.background_toys(population, EXPOSURE_TY, "null", choices, N_TOYS)
    return cells.prepare(population, EXPOSURE_TY, choices), null


def a_list(population, rng, n_signal=0.0, exposure_ty=EXPOSURE_TY):
    """An experiment event by event, as it happens: rates and leakage drawn, then numbers, then which."""
    law, factor = toys.rates(rng, population.null(R, exposure_ty).drawn, population.leakage, 1)
    counts = rng.poisson(law.weights.sum(axis=1) * factor[0])
    picked = [rng.choice(len(w), n, p=w / w.sum()) for w, n in zip(law.weights, counts, strict=True)]
    nuclear = np.flatnonzero(law.events.kind == 1)
    return law.events[np.concatenate([*picked, rng.choice(nuclear, rng.poisson(n_signal))])]


def of(search, events, n=None):
    """Of all statistics, or of the first n."""
    statistics, null = (one[:n] for one in search)
    return observed.judged(statistics, null, [events] * len(statistics), [None] * len(statistics))


@pytest.mark.parametrize("n_lists", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_p_of_background_alone_is_uniform_and_so_is_the_global_p(population, search, n_lists):
    lists = [of(search, a_list(population, stream("background", i))) for i in range(n_lists)]
    local = np.array([[one.p for one in alone] for alone, _ in lists])
    for name, p in zip(STATISTICS, local.T, strict=True):
        # a count has few values, and a p that includes its own is too large at each; pool errors widen the tails
        way = "two-sided" if name in CONTINUOUS else "greater"
        assert stats.kstest(p, "uniform", alternative=way).pvalue > 0.01, name
    together = np.array([together.p for _, together in lists])
    assert stats.kstest(together, "uniform", alternative="greater").pvalue > 0.01
    assert (together >= local.min(axis=1)).all()
    # the smallest of five p is no p: what the test above says of it
    assert stats.kstest(local.min(axis=1), "uniform", alternative="greater").pvalue < 1e-6
    of_two = [of(search, a_list(population, stream("background", i)), len(CONTINUOUS))[1].p for i in range(n_lists)]
    assert stats.kstest(of_two, "uniform").pvalue > 0.01


def test_a_list_with_a_signal_is_found(population, search):
    alone, together = of(search, a_list(population, stream("signal"), n_signal=16.0))
    assert together.p < 5e-3 and together.q == min(one.p for one in alone)
    by_name = dict(zip(STATISTICS, alone, strict=True))
    assert by_name["excess_scan"].p < 1e-3 and by_name["count"].p > 0.01
    bound = [one for one in alone if one.tail == "bound"]
    assert bound and all(one.p == 1 / (N_TOYS + 1) and one.p_low == 0 for one in bound)


def test_signals_are_found_as_often_as_the_stated_power_says(population, search):
    place, n_signal, n_lists = list(STATISTICS).index("excess_scan"), 9.0, 150
    (statistic, null), choice = (one[place] for one in search), Choice(R, excess_scan, configure(excess_scan, {}))
    background = cells.background_toys(population, EXPOSURE_TY, "background", [choice], N_TOYS)
    weights = np.where(population.pool.kind == 1, n_signal / 30_000, 0.0)
    ((q_null, q_signal),) = cells.q_values(
        population, weights, ("signal",), np.ones(1), EXPOSURE_TY, [choice], [null], background
    )  # fmt: skip
    stated = observed.power(q_null, q_signal[:, 0])
    lists = (a_list(population, stream("power", i), n_signal) for i in range(n_lists))
    local_p = [observed.judged([statistic], [null], [one], [None])[1].p for one in lists]
    found = np.mean(np.array(local_p) <= observed.P_THREE_SIGMA)
    assert 0.2 < stated < 0.8
    assert abs(found - stated) < 3 * np.sqrt(stated * (1 - stated) / n_lists)


def test_where_few_toys_reach_q_the_law_says_p_as_they_do(population, search):
    told = 0
    for n_signal in (0.0, 7.0, 25.0):
        events = a_list(population, stream("law", n_signal), n_signal)
        for name in ("excess_scan", "count", "tail_count"):
            choice = Choice(R if name != "count" else None, STATISTICS[name], configure(STATISTICS[name], {}))
            laws, place = choice.laws(population.null(choice.R, EXPOSURE_TY)), list(STATISTICS).index(name)
            args = [search[0][place]], [search[1][place]], [events], [lambda laws=laws: laws.background]
            ((one,), _) = observed.judged(*args)
            assert (one.p_exact is None) == (one.p > observed.FEW / (N_TOYS + 1)), name
            if one.p_exact is not None:
                told += 1
                assert abs(one.p - one.p_exact) < 4 * np.sqrt(one.p_exact / N_TOYS) + 1 / N_TOYS, name
    assert told >= 4


def test_the_empty_list_has_an_answer(population, search):
    alone, together = of(search, a_list(population, stream("empty"))[:0])
    assert dict(zip(STATISTICS, alone, strict=True))["count"].p == 1.0
    assert together.p < 5e-3  # of 82 expected events none: the fit says so, and it is among the statistics


def test_a_fit_is_uniform_under_background_and_sees_what_the_model_lacks(population):
    rng = np.random.default_rng(2)
    p = []
    for _ in range(40):
        events = a_list(population, rng)
        p.append([fit.p for fit in goodness.fits(population, EXPOSURE_TY, {None: events, R: events}, 400)])
    assert stats.kstest(np.array(p)[:, 0], "uniform").pvalue > 0.01
    assert stats.kstest(np.array(p)[:, 1], "uniform").pvalue > 0.01
    less = np.where(events.cs1_pe < 50, 1.0, 0.2)
    low_s1 = dataclasses.replace(events, cs1_pe=less * events.cs1_pe, cs2_pe=less * events.cs2_pe)
    assert goodness.fits(population, EXPOSURE_TY, {None: low_s1}, 400)[0].p < goodness.UNFIT


def test_the_region_is_beyond_the_line_of_30_percent_of_nuclear_recoils(population):
    pool = population.pool
    inside, of_pool = observed.in_region(population, pool.cs1_pe, pool.cs2_pe)
    np.testing.assert_array_equal(inside, of_pool)
    assert inside[pool.kind == 1].mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(inside & (pool.kind == 0), population.leaks)
    outside = population.only(~inside)
    assert outside.n_background(1.0) == pytest.approx(population.weights[:, ~inside].sum())
    assert outside.er_leakage == 0


def test_what_is_expected_above_a_score_is_the_pools_weight_there(population):
    ts, pool = np.array([-1.0, 0.3, 9.0]), population.ts[R]
    expected, error = observed.expected_above(population, EXPOSURE_TY, R, ts)
    weights = population.weights.sum(axis=0) * EXPOSURE_TY
    np.testing.assert_allclose(expected, [weights[pool >= one].sum() for one in ts])
    assert expected[0] == pytest.approx(82, rel=1e-6) and expected[2] == 0
    er = population.weights[0, population.pool.kind == 0][0] * EXPOSURE_TY
    nr = population.weights[1, population.pool.kind == 1][0] * EXPOSURE_TY
    n_er, n_nr = (np.count_nonzero(pool[population.pool.kind == kind] >= 0.3) for kind in (0, 1))
    np.testing.assert_allclose(error[1:], [np.hypot(er * np.sqrt(n_er + 1), nr * np.sqrt(n_nr + 1)), np.hypot(er, nr)])


@pytest.fixture(scope="module")
def searches(population, search):
    """Two searches: that of 1 t y, and one of a run half as long with a stream of its own."""
    other = dataclasses.replace(population, stream_key=("another run",))
    choices = [Choice(R if "score" in m.NEEDS else None, m, configure(m, {})) for m in STATISTICS.values()]
    null = cells.background_toys(other, EXPOSURE_TY / 2, "null", choices, N_TOYS)
    return search, (cells.prepare(other, EXPOSURE_TY / 2, choices), null)


def values_of(searches, lists):
    pairs = zip(searches, lists, strict=True)
    return [observed.values(*one, [events] * len(one[0])) for one, events in pairs]


def two_lists(population, key, i, n_signal=0.0):
    """A signal has two thirds of its events in the longer run."""
    shares = (EXPOSURE_TY, 2 / 3), (EXPOSURE_TY / 2, 1 / 3)
    return [a_list(population, stream(key, i, t), share * n_signal, t) for t, share in shares]


def test_the_p_of_two_lists_at_once_is_uniform_under_background_alone(population, searches):
    n_lists, limited = 200, [False] * len(STATISTICS)
    judged = [observed.judged_together(values_of(searches, two_lists(population, "both", i)), limited)
              for i in range(n_lists)]  # fmt: skip
    for place, name in enumerate(STATISTICS):
        way = "two-sided" if name in CONTINUOUS else "greater"
        p = [alone[place].p for alone, _ in judged]
        assert stats.kstest(p, "uniform", alternative=way).pvalue > 0.01, name
    together = np.array([one.p for _, one in judged])
    assert stats.kstest(together, "uniform", alternative="greater").pvalue > 0.01
    # Fisher's own law is no law here, where p of a count are discrete: what the calibration on toys is for
    assert all(one.p >= 1 / (N_TOYS + 1) for _, one in judged)


def test_a_signal_in_two_lists_is_found_more_often_in_both_than_in_either(population, searches):
    n_lists, n_signal, limited = 80, 11.0, [False] * len(STATISTICS)
    found = []
    for i in range(n_lists):
        values = values_of(searches, two_lists(population, "split", i, n_signal))
        alone = [observed.judged_together([one], limited)[1].p for one in values]
        found.append([*alone, observed.judged_together(values, limited)[1].p])
    longer, shorter, both = (np.array(found) <= 0.01).mean(axis=0)
    assert both > longer + 0.05 and both > shorter + 0.2


@pytest.mark.parametrize("n_signal", [0.5, 4.0])
def test_a_limit_on_lists_covers_as_often_as_it_says(population, n_signal):
    """Lists drawn event by event, rates open: the true strength is excluded in a tenth of them, or in fewer."""
    weights, n_lists = np.where(population.pool.kind == 1, 1 / 30_000, 0.0), 400
    reference, known = weights[population.pool.half == DENSITY_HALF], dataclasses.replace(population, leakage=KNOWN)
    background = experiments.backgrounds(population.null(None, EXPOSURE_TY))
    unbinned = background.unbinned(reference, population.signal(weights))
    binning = experiments.settling(unbinned)
    lists = (a_list(known, stream("limit", n_signal, i), n_signal) for i in range(n_lists))
    counts = [binning.counts(background.rows(one, reference, unbinned)) for one in lists]
    where = binning.merged(unbinned)
    made = neyman.Construction(where, "upper", np.array([n_signal]), np.sort(neyman.q_ladder(
        where, limits.draw(where, n_signal, 4000, stream("true", n_signal)), np.array([n_signal]), "upper"), axis=0).T)
    missed = np.mean(made.p_values(np.array(counts))[:, 0] <= 0.1)
    error = np.sqrt(0.09 / n_lists + 0.09 / 4000)
    assert missed < 0.1 + 3 * error
    # what counts as few events ties, and excludes less often; where several are expected it is a tenth
    assert n_signal < 1 or missed > 0.1 - 4 * error
