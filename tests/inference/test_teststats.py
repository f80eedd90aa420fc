"""What every test statistic guarantees; and what the papers' Eq. 6 does not."""

import math
import pkgutil
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from engine.inference import teststats
from engine.inference.cells import background_block
from engine.inference.pools import TOY_HALF
from engine.inference.teststats import extended_poisson, tail_count
from engine.study import Score, Toys

STATISTICS = {
    name: import_module(f"{teststats.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(teststats.__path__)
    if not name.startswith("_")
}
FLAGS = ("ADDITIVE", "AFFINE_INVARIANT", "MONOTONE_INVARIANT", "MODEL_DEPENDENT")
MAPS = {
    "affine": lambda ts: 3e-4 * ts - 70,
    "log": np.log,
    "rank": stats.rankdata,
    "cubic": lambda ts: (ts / 1e5) ** 3,
}
CLAIMS = [
    pytest.param(statistic, name, id=f"{label}-{name}")
    for label, statistic in STATISTICS.items()
    for name in MAPS
    if statistic.MONOTONE_INVARIANT or (statistic.AFFINE_INVARIANT and name == "affine")
]
N_EVENTS = np.array([0, 1, 60, 70, 200])


@pytest.fixture(params=STATISTICS.values(), ids=STATISTICS)
def statistic(request):
    return request.param


@pytest.fixture
def mapped(make_pool, make_scores, make_population):
    """q of the first 1000 null toys, with scores mapped; thresholds and f0 are found anew."""

    def q(statistic, f=lambda ts: ts):
        pool = make_pool()
        population = make_population(pool, f(make_scores(pool)))
        n_events, sums = background_block(population, 1.0, "null", 0, [(1.0, statistic)])
        return n_events, statistic.statistic(n_events, sums[:, 0], population.null(1.0, 1.0))

    return q


# The contract


def test_constants(statistic):
    assert all(isinstance(getattr(statistic, flag), bool) for flag in FLAGS)
    assert statistic.AFFINE_INVARIANT or not statistic.MONOTONE_INVARIANT
    assert set(statistic.DEPENDS_ON) <= Score.model_fields.keys() | Toys.model_fields.keys()
    assert statistic.__doc__


def test_per_event_is_one_finite_number_per_event(statistic, population):
    ts = population.ts[1.0]
    values = statistic.per_event(ts, population.null(1.0, 1.0))
    assert values.shape == ts.shape and values.dtype == np.float64
    assert np.isfinite(values).all()
    some = np.random.default_rng(1).permutation(len(ts))[:50]
    assert np.array_equal(statistic.per_event(ts[some], population.null(1.0, 1.0)), values[some])
    assert statistic.per_event(ts[:0], population.null(1.0, 1.0)).shape == (0,)


def test_statistic_is_one_finite_number_per_toy(statistic, population):
    """A toy without events is a toy."""
    null = population.null(1.0, 1.0)
    value = statistic.per_event(population.ts[1.0][:1], null)[0]
    q = statistic.statistic(N_EVENTS, value * N_EVENTS, null)
    assert q.shape == N_EVENTS.shape and np.isfinite(q).all()
    one_by_one = [statistic.statistic(N_EVENTS[i : i + 1], value * N_EVENTS[i : i + 1], null)[0] for i in range(5)]
    assert np.array_equal(q, one_by_one)


def test_arguments_are_left_alone(statistic, population):
    null, ts = population.null(1.0, 1.0), population.ts[1.0].copy()
    total = np.full(5, 7.0)
    statistic.per_event(ts, null)
    statistic.statistic(N_EVENTS, total, null)
    if hasattr(statistic, "widen"):
        assert statistic.widen(total, null, np.random.default_rng(1)).shape == total.shape
    assert np.array_equal(ts, population.ts[1.0]) and np.array_equal(total, np.full(5, 7.0))


def test_an_additive_statistic_does_not_see_the_order_of_events(statistic, population):
    null, rng = population.null(1.0, 1.0), np.random.default_rng(2)
    ts = rng.choice(population.ts[1.0], 60)
    q = [statistic.statistic(np.array([60]), statistic.per_event(x, null).sum()[None], null) for x in (ts, ts[::-1])]
    assert statistic.ADDITIVE
    assert q[0] == pytest.approx(q[1], rel=1e-12)


@pytest.mark.parametrize(("claimant", "name"), CLAIMS)
def test_claimed_invariance_under_maps_of_the_score(claimant, mapped, name):
    """A monotone-invariant statistic ranks the toys alike, ties included, whatever the score's unit and shape."""
    assert np.array_equal(stats.rankdata(mapped(claimant, MAPS[name])[1]), stats.rankdata(mapped(claimant)[1]))


@pytest.mark.parametrize("name", MAPS)
def test_the_tail_count_is_the_same_number_in_any_score(mapped, name):
    n_events, q = mapped(tail_count)
    assert q.max() >= 4 and 0.7 < q.mean() < 1.3
    assert np.array_equal(mapped(tail_count, MAPS[name])[1], q)


def test_the_thresholds_own_event_is_below_it(population):
    """The event that sets the threshold was the first one too many."""
    null = population.null(1.0, 1.0)
    at = null.tail_threshold
    assert np.array_equal(tail_count.per_event(np.array([at, np.nextafter(at, np.inf), 0.0]), null), [0, 1, 0])


# The papers' Eq. 6


@pytest.mark.parametrize("n_events", [0, 1, 17, 80])
def test_extended_poisson_is_minus_two_ln_likelihood(population, n_events):
    """L = B^N e^-B / N! times the product of f0: a plain loop with N! and f0 written out."""
    null, rng = population.null(1.0, 1.0), np.random.default_rng(n_events)
    ts = rng.choice(population.ts[1.0][population.pool.half == TOY_HALF], n_events)
    b = null.n_background
    minus_two_ln_l = -2 * math.log(b**n_events * math.exp(-b) / math.factorial(n_events))
    for x in ts:
        parts = zip(null.f0.shares, null.f0.components, strict=True)
        minus_two_ln_l -= 2 * math.log(max(sum(share * part.density(x) for share, part in parts), null.f0.floor))
    q = extended_poisson.statistic(np.array([n_events]), extended_poisson.per_event(ts, null).sum()[None], null)
    assert q[0] == pytest.approx(minus_two_ln_l, rel=1e-10)


@pytest.mark.parametrize("a", [1e-5, 1e-9])
def test_extended_poisson_is_not_invariant(mapped, a):
    """In another unit of TS, q moves by 2 N ln a, and N fluctuates: the ranking of toys changes with the unit."""
    n_events, q = mapped(extended_poisson)
    _, scaled = mapped(extended_poisson, lambda ts: a * ts)
    assert not extended_poisson.AFFINE_INVARIANT
    assert scaled - q == pytest.approx(2 * n_events * np.log(a), rel=1e-3, abs=0.1)
    assert stats.spearmanr(scaled, q).statistic < 0.95


def test_extended_poisson_in_a_large_unit_is_the_count(mapped):
    """The limit of any large shift: q is N in disguise, upwards or downwards."""
    n_events, up = mapped(extended_poisson, lambda ts: 1e9 * ts)
    _, down = mapped(extended_poisson, lambda ts: 1e-20 * ts)
    assert np.corrcoef(up, n_events)[0, 1] > 0.99
    assert np.corrcoef(down, n_events)[0, 1] < -0.99
