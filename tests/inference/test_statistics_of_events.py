"""Statistics that look at the events of each toy: they see the toys that sums are made of, and what they make of one
knows nothing of its neighbours; and the learned test, the one that ships."""

import dataclasses
import pkgutil
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import scipy
from scipy import stats

from engine.inference import cells, coupled, learned_ratio, teststats, toys, truth
from engine.inference.cells import Choice
from engine.inference.teststats import count, deviance, has_toys, nplm, tail_count
from engine.inference.truth import Truth
from engine.options import Options, configure

OF_EVENTS = [
    module
    for _, name, _ in pkgutil.iter_modules(teststats.__path__)
    if has_toys(module := import_module(f"{teststats.__name__}.{name}")) and not module.ADDITIVE
]
SMALL = {nplm: {"centres": 12, "widths": [25.0, 75.0]}}


def choose(module, **options):
    return Choice(1.0 if "score" in module.NEEDS else None, module, configure(module, SMALL.get(module, {}) | options))


@pytest.fixture(params=OF_EVENTS, ids=lambda module: module.__name__.rpartition(".")[-1])
def choice(request):
    return choose(request.param)


@pytest.fixture
def prepared(choice, population):
    return choice.prepare(population.null(choice.R, 1.0))


def signal_weights(population, expected):
    weights = np.where(population.pool.kind == 1, 1.0, 0.0)
    return expected * weights / weights.sum()


# The toys are those of sums


@dataclasses.dataclass(frozen=True)
class ByEvents:
    """An additive statistic, told event by event."""

    twin: object

    def columns(self, events):
        return self.twin.columns(events)

    def of_toys(self, columns, event, ends):
        return np.array([columns[some].sum(axis=0) for some in np.split(event, ends[:-1])])

    def q(self, n_events, made):
        return self.twin.q(n_events, made)


@pytest.fixture
def twins(population):
    """The count of a tail by sums, and by events."""
    by_sums = Choice(1.0, tail_count, configure(tail_count, {"b0": 5.0, "pool_error": False}))
    by_events = SimpleNamespace(prepare=lambda null, options: ByEvents(by_sums.prepare(null)), MODEL_DEPENDENT=False)
    return [by_sums, Choice(1.0, by_events, Options())]


def test_null_toys_and_those_with_signal_are_the_same(population, twins):
    null, background = (cells.background_toys(population, 1.0, name, twins, 1000) for name in ("null", "background"))
    assert [one.totals.shape for one in background] == [(1000, 1), (1000, 0)]
    where = signal_weights(population, 8.0), ("signal",), np.array([0.0, 0.01, 0.3, 1.0]), 1.0
    (q_null, with_signal), others = cells.q_values(population, *where, twins, null, background)
    assert np.array_equal(q_null, others[0]) and np.array_equal(with_signal, others[1])
    assert with_signal[:, -1].mean() > with_signal[:, 0].mean() + 6
    made = cells.signal_cells(population, *where, twins, null, background)
    assert [row[0].significance for row in made] == [row[1].significance for row in made]
    assert made[0][0].half_shift is not None and made[0][1].half_shift is None


def test_fewer_toys_are_the_first_of_many(population, twins):
    few, many = (cells.signal_q(population, signal_weights(population, 8.0), ("s",), 1.0, twins[1], n) for n in (7, 9))
    assert np.array_equal(few, many[:7])


def test_toys_of_another_truth_and_of_coupled_pools_are_the_same(population, twins):
    null, n = population.null(1.0, 1.0), 500
    signal = population.signal(signal_weights(population, 8.0))
    truths = Truth(((1.0, null.drawn),), signal, np.zeros(len(signal), int))
    for by_sums, by_events in zip(*(truth.toy_laws(null, one, truths, ("t",), n) for one in twins), strict=True):
        assert np.array_equal(by_sums.laws[0][1].q, by_events.laws[0][1].q)
    for some in (None, signal):
        assert np.array_equal(*(coupled.q_values(null, one, some, n, ("t",)) for one in twins))
    seen = null.drawn.events[np.arange(0, 4000, 40)]
    by_sums, by_events = (cells.value(one.prepare(null), seen) for one in twins)
    assert by_sums == by_events > 0


def test_events_are_joined_and_chosen_toy_by_toy():
    drawn = toys.Drawn(np.array([1, 2, 3], np.int32), np.array([2, 2, 3]))
    joined = drawn.joined(toys.Drawn(np.array([7, 8, 9], np.int32), np.array([1, 3, 3])))
    assert [one.tolist() for one in np.split(joined.event, joined.ends[:-1])] == [[1, 2, 7], [8, 9], [3]]
    some = joined.only(np.array([True, False, True]))
    assert some.event.tolist() == [1, 2, 7, 3] and some.ends.tolist() == [3, 4] and some.counts.tolist() == [3, 1]


# The contract


def made(prepared, some):
    """What is made of toys, lists of places in the drawn events."""
    columns = prepared.columns(prepared.null.drawn.events)
    return prepared.of_toys(columns, np.concatenate(some).astype(np.int32), np.cumsum([len(one) for one in some]))


def some_toys(null, sizes, seed=2):
    rng, expected = np.random.default_rng(seed), null.drawn.total
    return [rng.choice(len(expected), n, p=expected / expected.sum()) for n in sizes]


def test_q_is_one_finite_number_per_toy_that_knows_no_neighbour(prepared):
    drawn = some_toys(prepared.null, [0, 1, 63, 70, 630])
    drawn[3] = np.random.default_rng(1).choice(len(prepared.null.drawn.events), 70)  # half of them nuclear recoils
    together, n = made(prepared, drawn), np.array([len(one) for one in drawn])
    q = prepared.q(n, together)
    assert q.shape == (5,) and q.dtype == np.float64 and np.isfinite(q).all() and q[3] > q[2]
    assert np.array_equal(made(prepared, drawn[::-1])[::-1], together)
    assert np.array_equal(np.concatenate([made(prepared, [one]) for one in drawn]), together)


def test_the_order_of_events_does_not_matter_and_preparing_again_changes_nothing(prepared):
    drawn = some_toys(prepared.null, [63, 20])
    before = made(prepared, drawn)
    again = dataclasses.replace(prepared)  # nothing is kept that it has made
    assert np.array_equal(made(again, drawn), before)
    assert made(prepared, [one[::-1] for one in drawn]) == pytest.approx(before, rel=1e-5)


def test_a_strong_signal_speaks_against_background(choice, prepared, population):
    n, (kept,) = cells.background_block(population, 1.0, "null", 0, [choice])
    q = cells.signal_q(population, signal_weights(population, 40.0), ("strong",), 1.0, choice, 100)
    assert np.median(q) > prepared.q(n, kept).max()


# The learned test


def with_terms(population, make_terms=np.copy):
    """The population with a term of a model, or a map of it."""
    term = make_terms(np.log(population.pool.cs2_pe) - np.log(population.pool.cs1_pe))
    return dataclasses.replace(population, pool=dataclasses.replace(population.pool, terms={"m": {"t": term}}))


def test_it_looks_at_the_models_terms_in_any_unit(population):
    plain, exponential = (with_terms(population, f).null(None, 1.0) for f in (np.copy, np.exp))
    drawn = some_toys(plain, [63, 630])
    values = [made(choose(nplm).prepare(null), drawn) for null in (plain, exponential, population.null(None, 1.0))]
    assert values[1] == pytest.approx(values[0], rel=1e-3)  # between quantiles of the pool a map is no straight line
    assert np.abs(values[2] - values[0]).max() > 0.1


def test_its_laws_put_the_widths_on_one_scale(make_population, make_pool):
    """p of each width by its law, of toys whose rates are open: near enough to uniform that no width rules the rest."""
    population = make_population(make_pool(30_000), expected=(600.0, 30.0), relative_uncertainty=(0.2, 0.3))
    choice = choose(nplm, widths=[5.0, 50.0, 95.0])
    drawn, statistic = cells._drawing(population, 1.0, "null", 0), choice.prepare(population.null(None, 1.0))
    events = drawn[-1].events(drawn[2][:400])
    p = np.exp(-cells.made_of(statistic, population.null(None, 1.0).drawn.events, events))
    assert np.all(np.abs(np.median(p, axis=0) - 0.5) < 0.15)
    assert np.all(np.mean(p < 0.05, axis=0) < 0.12)


def test_p_is_uniform_without_signal(population):
    (null,) = cells.background_toys(population, 1.0, "null", [choose(nplm)], 1000)
    q_null = np.sort(null.totals.max(axis=1))
    q = cells.signal_q(population, np.zeros(len(population.pool.kind)), ("none",), 1.0, choose(nplm), 400)
    p = (len(q_null) - np.searchsorted(q_null, q) + 1) / (len(q_null) + 1)
    assert stats.ks_2samp(q, q_null).pvalue > 0.01 and p.min() >= 1 / 1001


def test_it_finds_a_line_that_the_score_and_the_count_overlook(make_population):
    """Electron recoils of one energy: 60 on 600 that are known to a tenth, at scores like any others'."""
    population = make_population(expected=(600.0, 3.0), relative_uncertainty=(0.1, 0.1))
    line = population.pool.weights("ER", lambda energy_keV: stats.norm.pdf(energy_keV, 8.0, 0.2))
    power = {}
    for choice in map(choose, (nplm, deviance, count)):
        (null,) = cells.background_toys(population, 1.0, "null", [choice], 1000)
        statistic = choice.prepare(population.null(choice.R, 1.0))
        critical = np.quantile(statistic.q(null.n_events, null.totals), 0.99)
        q = cells.signal_q(population, 60.0 * line / line.sum(), ("line",), 1.0, choice, 300)
        power[choice.module] = np.mean(q > critical)
    assert power[nplm] > max(power[deviance], power[count]) + 0.1


def plain_maximum(score, at_nodes, weights):
    """By a minimiser that knows neither gradient nor curvature to be what they are."""

    def minus(u):
        f = at_nodes @ u
        return u @ u / 2 - u @ score + weights @ (np.exp(f) - 1 - f)

    return -scipy.optimize.minimize(minus, np.zeros(len(score)), method="BFGS", options={"gtol": 1e-8}).fun


@pytest.mark.parametrize("strength", [0.0, 1.0, 30.0])
def test_the_fit_is_a_plain_one(strength):
    rng = np.random.default_rng(3)
    weights = rng.gamma(0.3, 10.0, 200)
    plain = rng.random((200, 6)) ** 3
    information, turned = np.linalg.eigh(plain.T * weights @ plain)
    at_nodes = plain @ turned
    score = strength * rng.standard_normal(6) * np.sqrt(information)
    best = learned_ratio.maximum(score, at_nodes, weights, information)
    assert best == pytest.approx(plain_maximum(score, at_nodes, weights), abs=1e-3)
