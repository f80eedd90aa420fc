"""What every test statistic guarantees; and what the papers' Eq. 6 does not."""

import dataclasses
import math
import pkgutil
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from engine.errors import BadInput
from engine.inference import teststats
from engine.inference.cells import BackgroundToys, Choice, background_block, signal_cells
from engine.inference.exact.bins import excess
from engine.inference.pools import TOY_HALF
from engine.inference.teststats import centred, count, counting_veto, excess_scan, extended_poisson, tail_count
from engine.options import Options, configure

STATISTICS = {
    name: import_module(f"{teststats.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(teststats.__path__)
    if not name.startswith("_")
}
FLAGS = ("ADDITIVE", "EXACT", "AFFINE_INVARIANT", "MONOTONE_INVARIANT", "MODEL_DEPENDENT")
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
    if statistic.ADDITIVE and (statistic.MONOTONE_INVARIANT or (statistic.AFFINE_INVARIANT and name == "affine"))
]
FIELDS = ("ts", "kind", "cs1_pe", "cs2_pe")
EXPOSURES_TY = [0.01, 1.0, 200.0]
SIGNAL = 40.0  # NR events on 60 ER and 3 NR: no statistic may overlook them


def choose(statistic):
    """A statistic with its defaults, on the score where it asks for one."""
    return Choice(1.0 if "score" in statistic.NEEDS else None, statistic, configure(statistic, {}))


def per_event(prepared, events):
    """(n, k) what each event adds to a toy's totals."""
    if hasattr(prepared, "bins"):
        return np.eye(prepared.n_bins)[prepared.bins(events)]
    return prepared.columns(events)


def q_of(prepared, events):
    """q of one toy of these events."""
    return prepared.q(np.array([len(events)]), per_event(prepared, events).sum(axis=0)[None])[0]


def some_events(null, n_events, seed=2):
    """Events that a toy may draw, as background draws them."""
    rng, expected = np.random.default_rng(seed), null.drawn.total
    return null.drawn.events[rng.choice(len(expected), n_events, p=expected / expected.sum())]


def signal_weights(population):
    """Flat in energy, NR only: SIGNAL events per t y."""
    return population.pool.weights("NR", lambda energy_keV: np.full(len(energy_keV), SIGNAL / 50.0))


@pytest.fixture(params=STATISTICS.values(), ids=STATISTICS)
def statistic(request):
    return request.param


@pytest.fixture
def additive(statistic):
    if not statistic.ADDITIVE:
        pytest.skip("no sum over events")
    return statistic


@pytest.fixture
def exact(statistic):
    if not statistic.EXACT:
        pytest.skip("no law of q")
    return statistic


@pytest.fixture
def null(statistic, population):
    return population.null(choose(statistic).R, 1.0)


@pytest.fixture
def mapped(make_pool, make_scores, make_population):
    """q of the first 1000 null toys, with scores mapped; thresholds and f0 are found anew."""

    def q(statistic, f=lambda ts: ts):
        pool, choice = make_pool(), choose(statistic)
        population = make_population(pool, f(make_scores(pool)))
        n_events, (totals,) = background_block(population, 1.0, "null", 0, [choice])
        return n_events, choice.prepare(population.null(choice.R, 1.0)).q(n_events, totals)

    return q


# The contract


def test_constants(statistic):
    assert all(isinstance(getattr(statistic, flag), bool) for flag in FLAGS if flag != "EXACT")
    assert statistic.EXACT in (True, False, "idealised")
    assert statistic.AFFINE_INVARIANT or not statistic.MONOTONE_INVARIANT
    assert isinstance(statistic.NEEDS, tuple) and set(statistic.NEEDS) <= {"score", "density"}
    assert "score" in statistic.NEEDS or "density" not in statistic.NEEDS
    assert statistic.__doc__


def test_options_have_defaults_and_refuse_what_they_do_not_know(statistic):
    assert isinstance(configure(statistic, {}), Options)
    with pytest.raises(BadInput, match="unknown option of .* 'no_such_option'"):
        configure(statistic, {"no_such_option": 1})


def test_additive_by_sums_or_by_bins(additive, null):
    prepared = choose(additive).prepare(null)
    assert hasattr(prepared, "columns") is not hasattr(prepared, "bins")
    assert isinstance(getattr(prepared, "pool_limited", False), bool | np.bool_)


def test_columns_are_finite_numbers_per_event(additive, null):
    """Each event by itself: whatever stands beside it, and where none does."""
    prepared, events = choose(additive).prepare(null), null.drawn.events
    if hasattr(prepared, "bins"):
        values = prepared.bins(events)
        assert values.shape == (len(events),) and np.issubdtype(values.dtype, np.integer)
        assert 0 <= values.min() <= values.max() < prepared.n_bins
    else:
        values = prepared.columns(events)
        assert values.ndim == 2 and len(values) == len(events) and values.dtype == np.float64
        assert np.isfinite(values).all()
    find = prepared.bins if hasattr(prepared, "bins") else prepared.columns
    some = np.random.default_rng(1).permutation(len(events))[:50]
    assert np.array_equal(find(events[some]), values[some])
    assert find(events[some[:0]]).shape == (0, *values.shape[1:])


@pytest.mark.parametrize("exposure_ty", EXPOSURES_TY)
def test_q_is_one_finite_number_per_toy(additive, population, exposure_ty):
    """A toy without events is a toy, and so is one of ten times what is expected."""
    null = population.null(choose(additive).R, exposure_ty)
    prepared, b = choose(additive).prepare(null), round(null.n_background)
    n_events = np.array([0, 1, b, b + 7, 10 * b])
    totals = np.array([per_event(prepared, some_events(null, n)).sum(axis=0) for n in n_events])
    q = prepared.q(n_events, totals)
    assert q.shape == n_events.shape and q.dtype == np.float64 and np.isfinite(q).all()
    one_by_one = [prepared.q(n_events[i : i + 1], totals[i : i + 1])[0] for i in range(5)]
    assert q == pytest.approx(one_by_one, rel=1e-12, abs=1e-12)


def test_arguments_are_left_alone(additive, null):
    prepared = choose(additive).prepare(null)
    events = null.drawn.events
    before = [getattr(events, name).copy() for name in FIELDS]
    n_events, totals = np.array([60, 1, 0]), np.full((3, per_event(prepared, events).shape[1]), 7.0)
    prepared.q(n_events, totals)
    if hasattr(prepared, "widen"):
        assert prepared.widen(totals, totals, np.random.default_rng(1)).shape == totals.shape
    assert n_events.tolist() == [60, 1, 0] and np.array_equal(totals, np.full_like(totals, 7.0))
    for name, old in zip(FIELDS, before, strict=True):
        assert np.array_equal(getattr(events, name), old)


def test_the_order_of_events_and_their_batches_do_not_matter(additive, null):
    """q of the totals of two batches added up is q of all events at once, in whatever order."""
    prepared, events = choose(additive).prepare(null), some_events(null, 60)
    shuffled = np.random.default_rng(3).permutation(60)
    batches = sum(per_event(prepared, events[part]).sum(axis=0) for part in (shuffled[:13], shuffled[13:]))
    q = q_of(prepared, events)
    assert q_of(prepared, events[shuffled]) == pytest.approx(q, rel=1e-9)
    assert prepared.q(np.array([60]), batches[None])[0] == pytest.approx(q, rel=1e-9)


def test_blocks_merged_equal_one_by_one(additive, population):
    choice = choose(additive)
    prepared = choice.prepare(population.null(choice.R, 1.0))
    blocks = [background_block(population, 1.0, "null", block, [choice]) for block in range(2)]
    n_events, totals = (np.concatenate(parts) for parts in zip(*((n, t[0]) for n, t in blocks), strict=True))
    apart = np.concatenate([prepared.q(n, t[0]) for n, t in blocks])
    assert prepared.q(n_events, totals) == pytest.approx(apart, rel=1e-12, abs=1e-12)


def test_preparing_again_changes_nothing(additive, null):
    """Two tasks of one scan prepare for themselves and must agree, bit by bit."""
    events = some_events(null, 60)
    assert q_of(choose(additive).prepare(null), events) == q_of(choose(additive).prepare(null), events)


def test_needs_are_told(additive, population):
    """A statistic that names no density, or no score, gives the same without one."""
    null, without = (population.null(R, 1.0) for R in (1.0, None if "score" not in additive.NEEDS else 1.0))
    if "density" not in additive.NEEDS:
        without = dataclasses.replace(without, f0=None)
    picked = np.random.default_rng(4).integers(len(null.drawn.events), size=60)
    q = [q_of(choose(additive).prepare(hypothesis), hypothesis.drawn.events[picked]) for hypothesis in (null, without)]
    assert q[0] == q[1]


def test_a_strong_signal_speaks_against_background(additive, population):
    """Large q, and not small q: 40 NR events where 3 are expected."""
    choice = choose(additive)
    drawn = {}
    for hypothesis in ("null", "background"):
        n_events, (totals,) = background_block(population, 1.0, hypothesis, 0, [choice])
        drawn[hypothesis] = [BackgroundToys(n_events, totals)]
    weights = signal_weights(population)
    cells = signal_cells(
        population, weights, ("strong",), np.array([0.0, 1.0]), 1.0, [choice], drawn["null"], drawn["background"]
    )
    none, strong = (row[0].significance.p for row in cells)
    assert none > 0.3 and strong < 1e-3


def disorder(a, b):
    """How far b falls where a rises, in units of its spread: 0 where b ranks like a."""
    ordered = b[np.argsort(a, kind="stable")]
    return (np.maximum.accumulate(ordered) - ordered).max() / b.std()


@pytest.mark.parametrize(("claimant", "name"), CLAIMS)
def test_claimed_invariance_under_maps_of_the_score(claimant, mapped, name):
    """The toys rank alike, whatever the score's unit (and shape); ties and all, up to rounding."""
    (_, q), (_, other) = mapped(claimant), mapped(claimant, MAPS[name])
    assert len(np.unique(q)) > 4
    assert max(disorder(q, other), disorder(other, q)) < 1e-6


# Laws, where they are known


def laws(statistic, population, signal=0.0):
    choice = choose(statistic)
    null = population.null(choice.R, 1.0)
    return choice.prepare(null).distributions(population.signal(signal_weights(population)) * signal)


def test_a_law_is_an_upper_tail(exact, population):
    null, alternative = laws(exact, population, 1.0)
    slack = 5e-3 if exact.MODEL_DEPENDENT and not exact.ADDITIVE else 1e-6  # most events carry nothing: a blurred atom
    for law in (null, alternative):
        median = law.median()
        q = np.sort(np.concatenate([np.linspace(median - 50, median + 50, 301), [median]]))
        p = law.sf(q)
        assert p.shape == q.shape and np.all(np.diff(p) <= slack)
        assert 0 <= p.min() and p.max() <= 1 and 0 < law.smallest_p < 1e-6
        assert law.sf(np.array([median]))[0] >= 0.5 - slack
        assert law.sf(np.array([median + 0.05 * (1 + abs(median))]))[0] <= 0.5 + 0.02  # beyond an atom's neighbours


def test_without_signal_both_laws_are_one(exact, population):
    if exact.__name__.endswith("pearson"):
        pytest.skip("its q does not fluctuate: a formula on expected histograms")
    null, alternative = laws(exact, population, 0.0)
    prepared = choose(exact).prepare(population.null(choose(exact).R, 1.0))
    if hasattr(prepared, "unwidened"):  # the pool's error is in the null alone
        null = prepared.unwidened()
    q = null.median() + np.linspace(-5, 5, 41)
    assert alternative.median() == pytest.approx(null.median(), abs=1e-6)
    assert alternative.sf(q) == pytest.approx(null.sf(q), abs=1e-6)


def test_by_its_law_a_strong_signal_speaks_against_background(exact, population):
    null, alternative = laws(exact, population, 1.0)
    assert null.sf(np.array([alternative.median()]))[0] < 1e-3


def test_toys_follow_the_law(exact, population):
    """Shares of 3000 null toys beyond the law's quantiles, within five binomial errors."""
    if not exact.ADDITIVE:
        pytest.skip("no toys")
    choice, (null, _) = choose(exact), laws(exact, population)
    prepared = choice.prepare(population.null(choice.R, 1.0))
    blocks = [background_block(population, 1.0, "null", block, [choice]) for block in range(3)]
    q = np.concatenate([prepared.q(n_events, totals) for n_events, (totals,) in blocks])
    for at in np.quantile(q, [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]):
        p = null.sf(np.array([at]))[0]
        assert abs(np.mean(q >= at) - p) <= 5 * np.sqrt(p * (1 - p) / len(q)) + 1e-9


# Single statistics


def test_the_count_is_the_number_of_events(mapped):
    n_events, q = mapped(count)
    assert np.array_equal(q, n_events)


@pytest.mark.parametrize("name", MAPS)
def test_the_tail_count_is_the_same_number_in_any_score(mapped, name):
    _, q = mapped(tail_count)
    assert q.max() >= 4 and 0.7 < q.mean() < 1.3
    assert np.array_equal(mapped(tail_count, MAPS[name])[1], q)


def test_the_thresholds_own_event_is_below_it(population):
    """The event that sets the threshold was the first one too many."""
    null = population.null(1.0, 1.0)
    prepared = choose(tail_count).prepare(null)
    at = prepared.threshold
    ts = np.array([at, np.nextafter(at, np.inf), 0.0])
    assert prepared.columns(dataclasses.replace(null.drawn.events[:3], ts=ts))[:, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("a", "b"), [(3e-4, -70.0), (1e-9, 0.0), (1e6, 5e11)])
def test_the_centred_statistic_is_the_same_number_in_any_unit(mapped, a, b):
    """Where Eq. 6 moves by 2 N ln a, with a the change of unit."""
    (_, q), (_, other) = mapped(centred), mapped(centred, lambda ts: a * ts + b)
    assert other == pytest.approx(q, rel=1e-6, abs=1e-6 * q.std())
    n_events, literal = mapped(extended_poisson)
    moved = mapped(extended_poisson, lambda ts: a * ts + b)[1] - literal
    assert moved == pytest.approx(2 * n_events * np.log(a), rel=1e-6)


def test_the_centred_statistic_is_not_invariant_under_other_maps(mapped):
    assert disorder(mapped(centred)[1], mapped(centred, np.log)[1]) > 0.1


def test_the_centred_statistic_is_eq_6_less_its_pull_from_the_count(mapped, population):
    """They differ by 2 N h, with h the mean of -ln f0 over the events that made f0."""
    (n_events, literal), (_, q) = mapped(extended_poisson), mapped(centred)
    law, f0 = population.null(1.0, 1.0).reference, population.f0[1.0]
    h = -np.average(np.log(f0(law.events.ts)), weights=law.total)
    assert literal - q == pytest.approx(2 * n_events * h, rel=1e-9)


# The papers' Eq. 6


@pytest.mark.parametrize("n_events", [0, 1, 17, 80])
def test_extended_poisson_is_minus_two_ln_likelihood(population, n_events):
    """L = B^N e^-B / N! times the product of f0: a plain loop with N! and f0 written out."""
    null, rng = population.null(1.0, 1.0), np.random.default_rng(n_events)
    events = null.drawn.events[rng.integers(np.count_nonzero(population.pool.half == TOY_HALF), size=n_events)]
    b = null.n_background
    minus_two_ln_l = -2 * math.log(b**n_events * math.exp(-b) / math.factorial(n_events))
    for x in events.ts:
        parts = zip(null.f0.shares, null.f0.components, strict=True)
        minus_two_ln_l -= 2 * math.log(max(sum(share * part.density(x) for share, part in parts), null.f0.floor))
    assert q_of(choose(extended_poisson).prepare(null), events) == pytest.approx(minus_two_ln_l, rel=1e-10)


def test_packages_that_leave_out_ln_n_factorial(population):
    null = population.null(1.0, 1.0)
    whole, without = (extended_poisson.prepare(null, configure(extended_poisson, fields))
                      for fields in ({}, {"ln_n_factorial": False}))  # fmt: skip
    n_events, totals = np.array([0, 1, 60]), np.array([[0.0], [-11.0], [-700.0]])
    missing = whole.q(n_events, totals) - without.q(n_events, totals)
    assert missing == pytest.approx([2 * math.log(math.factorial(n)) for n in n_events], rel=1e-10)


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


# The talks' baseline in bins of energy


def veto_laws(population, signal=0.0, exposure_ty=1.0, **options):
    prepared = counting_veto.prepare(population.null(None, exposure_ty), configure(counting_veto, options))
    return prepared, *prepared.distributions(population.signal(signal_weights(population)) * signal)


def test_one_bin_is_the_plain_count(population):
    prepared, null, alternative = veto_laws(population, 1.0)
    one, *_ = veto_laws(population, bins=1)
    assert prepared.edges.tolist() == one.edges.tolist() == []
    b = 60 * 2e-4 + 3 * 0.3
    assert null.sf(np.array([3]))[0] == pytest.approx(stats.poisson.sf(2, b), rel=1e-6)
    assert alternative.median() == stats.poisson.median(b + 0.3 * SIGNAL)


def test_bins_of_what_the_veto_leaves_hold_alike(population):
    """Down to one event each; more of them hold the same events, and see a signal in one place no worse."""
    prepared, null, alternative = veto_laws(population, 1.0, 20.0, bins=8)
    left = 20 * (60 * 2e-4 + 3 * 0.3)
    assert len(prepared._expected) == 8 and prepared._expected == pytest.approx(np.full(8, left / 8), rel=0.02)
    assert prepared._means.sum() == pytest.approx(left)
    assert null.sf(np.array([alternative.median()]))[0] < 0.5
    few, *_ = veto_laws(population, exposure_ty=3.0, bins=8)
    assert len(few.edges) + 1 == int(3 * (60 * 2e-4 + 3 * 0.3)) == 2


def test_the_excess_in_bins_follows_its_law(population):
    rng, n = np.random.default_rng(2), 20_000
    prepared, null, _ = veto_laws(population, 0.0, 10.0, bins=4)
    q = excess(rng.poisson(prepared._means.sum(axis=0), (n, 4)), prepared._expected)
    for at in np.quantile(q, [0.3, 0.9, 0.99], method="inverted_cdf"):
        p = null.sf(np.array([at]))[0]
        assert abs(np.mean(q >= at - 0.02) - p) < 4 * np.sqrt(p / n) + 2e-3 * p


@pytest.mark.parametrize("options", [{"bins": 0}, {"bins": 65}, {"g2_over_g1": 0.0}, {"er_rejection": 1.2}])
def test_a_veto_that_cannot_be_is_refused(options):
    with pytest.raises(BadInput):
        configure(counting_veto, options)


# The pool's own error in the scan over thresholds


def scan_of(make_population, make_pool, n_per_kind, **options):
    population = make_population(make_pool(n_per_kind))
    return excess_scan.prepare(population.null(1.0, 1.0), configure(excess_scan, options))


def test_above_every_threshold_the_pool_counts_as_in_the_tail(make_population, make_pool):
    """Mean w (k + 1) and variance w^2 (k + 1) of each kind, for all events above any of them."""
    prepared = scan_of(make_population, make_pool, 4000)
    factor, shape = prepared.pool
    mean = factor * prepared._means.sum(axis=0)
    variance = np.where(np.isfinite(shape), mean**2 / shape, 0.0)
    events, place = prepared.null.drawn, prepared.bins(prepared.null.drawn.events)
    for last in (0, 20, len(mean) - 1):
        tail = prepared.null.effective_above(place <= last)
        top = prepared.null.effective_above(place <= 0)
        assert mean[: last + 1].sum() == pytest.approx(sum(k * w for k, w in tail) + sum(w for _, w in top))
        assert variance[: last + 1].sum() == pytest.approx(
            np.square(events.total[place <= last]).sum() + sum(w**2 for _, w in top)
        )


def test_the_pool_error_is_in_the_null_and_in_its_toys(make_population, make_pool):
    few, many = (scan_of(make_population, make_pool, n) for n in (300, 40_000))
    rng, n = np.random.default_rng(4), 20_000
    means = few._means.sum(axis=0)
    totals = np.column_stack([rng.poisson(means, (n, len(means))), np.zeros(n)]).astype(float)
    null, as_if_true = few.distributions(np.zeros(len(few.null.drawn.events)))[0], few.unwidened()
    q = few.q(None, few.widen(totals, np.append(means, 0.0)[None], rng))
    for at in np.quantile(q, [0.5, 0.9, 0.99, 0.999]):
        p = null.sf(np.array([at]))[0]
        assert abs(np.mean(q >= at - 1e-9) - p) < 4 * np.sqrt(p / n)
    assert null.sf(np.array([8.0]))[0] > 1.3 * as_if_true.sf(np.array([8.0]))[0]
    alike = [law.sf(np.array([8.0]))[0] for law in (many.background, many.unwidened())]
    assert alike[0] == pytest.approx(alike[1], rel=0.1)
    off = scan_of(make_population, make_pool, 300, pool_error=False)
    assert off.background.sf(np.array([8.0])) == as_if_true.sf(np.array([8.0]))
    assert np.array_equal(off.widen(totals, None, rng), totals)
