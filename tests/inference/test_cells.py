"""The two computations of a scan on a small population: what blocks and cells may depend on, and what they say."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from engine.inference import cells, toys
from engine.inference.cells import Null, Toys, background_block, signal_cells, tail_threshold
from engine.inference.density import estimate
from engine.inference.pools import DENSITY_HALF, TOY_HALF
from engine.inference.teststats import extended_poisson, tail_count

WANTED = [(1.0, extended_poisson), (1.0, tail_count)]
SIGNAL = 20.0  # events per t y at scale 1
KEY = ("flat", 50.0)
SCALES = np.array([0.0, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0])


def draw(population, hypothesis, blocks=(0, 1), wanted=WANTED):
    """Toys of one hypothesis, per wanted statistic."""
    drawn = [background_block(population, 1.0, hypothesis, block, wanted) for block in blocks]
    n_events, sums = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return [Toys(n_events, column) for column in sums.T]


def signal_weights(population, expected=SIGNAL):
    """Flat in energy, NR only."""
    return population.pool.weights("NR", lambda energy_keV: np.full(len(energy_keV), expected / 50.0))


def scan(population, toys_of, scales=SCALES, wanted=WANTED):
    """Cells [scale][wanted] in 1 t y."""
    weights = signal_weights(population)
    return signal_cells(population, weights, KEY, scales, 1.0, wanted, toys_of["null"], toys_of["background"])


@pytest.fixture(scope="module")
def toys_of(population):
    return {hypothesis: draw(population, hypothesis) for hypothesis in ("null", "background")}


@pytest.fixture(scope="module")
def rows(population, toys_of):
    return scan(population, toys_of)


# What comes out


def test_no_signal_gives_one_half(rows):
    """The median of toys like the null's own; its error with 2000 and 2000 toys is 0.016."""
    cell = rows[0][0]
    assert cell.n_signal == 0
    assert abs(cell.significance.p - 0.5) < 0.07
    assert cell.significance.p_low < 0.5 < cell.significance.p_high


def test_no_signal_with_uncertain_rates_gives_one_half(make_population):
    population = make_population(relative_uncertainty=(0.3, 0.3), key=("prior",))
    toys_of = {hypothesis: draw(population, hypothesis) for hypothesis in ("null", "background")}
    assert abs(scan(population, toys_of, SCALES[:1])[0][0].significance.p - 0.5) < 0.07
    assert toys_of["null"][0].n_events.var() == pytest.approx(63 + (0.3 * 60) ** 2 + (0.3 * 3) ** 2, rel=0.15)


def test_p_falls_as_the_cross_section_grows(rows):
    p = np.array([row[1].significance.p for row in rows])
    assert np.all(np.diff(p) <= 0)
    assert p[0] > 0.2 and p[-1] == 1 / 2001
    assert rows[-1][1].significance.tail == "bound"
    assert np.all(np.diff([row[0].z_count for row in rows]) >= 0)


def test_the_count_is_the_plain_counting_test(rows):
    """20 events on 63: Z is S / sqrt(B), but for the tails of a Poisson count and the toys' error."""
    assert rows[-1][0].z_count == pytest.approx(SIGNAL / np.sqrt(63), abs=0.25)
    assert rows[0][0].z_count == pytest.approx(0, abs=0.15)


def test_signal_events_are_as_many_as_expected(population, toys_of, rows):
    assert [row[0].n_signal for row in rows] == pytest.approx(SIGNAL * SCALES)
    counts, sums = cells._signal_toys(population, signal_weights(population), KEY, SIGNAL * SCALES, 1.0, WANTED, 2000)
    assert np.abs(counts.mean(axis=0) - SIGNAL * SCALES).max() < 4.5 * np.sqrt(SIGNAL / 2000)
    half = population.pool.half == TOY_HALF
    above = population.ts[1.0][half] > population.null(1.0, 1.0).tail_threshold
    share = signal_weights(population)[half][above].sum() / signal_weights(population)[half].sum()
    assert abs(sums[:, -1, 1].mean() - SIGNAL * share) < 4.5 * np.sqrt(SIGNAL * share / 2000)


def test_null_toys_have_the_expected_events_and_tail(population, toys_of):
    n_events, tail = toys_of["null"][0].n_events, toys_of["null"][1].total
    assert population.n_background(1.0) == pytest.approx(63)
    for values, mean in ((n_events, 63), (tail, sum(k * w for k, w in population.null(1.0, 1.0).tail_pool))):
        assert abs(values.mean() - mean) < 4.5 * np.sqrt(mean / len(values))
        assert abs(values.var() / mean - 1) < 0.2


def test_a_signal_outside_the_pool_changes_nothing(population, toys_of, rows):
    nothing = np.zeros(len(population.pool.kind))
    cell = signal_cells(population, nothing, KEY, SCALES[-1:], 1.0, WANTED, toys_of["null"], toys_of["background"])[0]
    assert cell == [dataclasses.replace(row, n_signal=0.0) for row in rows[0]]


# What it may depend on


@pytest.mark.parametrize("kept", [[6], [0, 3], [1, 2, 5]])
def test_a_cell_does_not_see_the_other_cross_sections(population, toys_of, rows, kept):
    assert scan(population, toys_of, SCALES[kept]) == [rows[i] for i in kept]


def test_a_cell_does_not_see_the_other_statistics(population, toys_of, rows):
    alone = {hypothesis: [drawn[1]] for hypothesis, drawn in toys_of.items()}
    assert [row[0] for row in scan(population, alone, wanted=WANTED[1:])] == [row[1] for row in rows]


def test_a_block_does_not_see_other_blocks_or_statistics(population):
    together = draw(population, "null", (0, 1, 2))
    for block in (2, 0, 1):
        toys_of_block = slice(block * toys.BLOCK, (block + 1) * toys.BLOCK)
        for column, wanted in enumerate(WANTED):
            (alone,) = draw(population, "null", (block,), [wanted])
            assert np.array_equal(alone.n_events, together[column].n_events[toys_of_block])
            assert np.array_equal(alone.total, together[column].total[toys_of_block])
    assert len(np.unique(together[0].total)) == 3 * toys.BLOCK


@pytest.mark.parametrize("n_toys", [1, 700, 1000, 1001])
def test_more_toys_keep_the_first_ones(population, n_toys):
    weights = signal_weights(population)
    many, fewer = (
        cells._signal_toys(population, weights, KEY, SIGNAL * SCALES, 1.0, WANTED, n) for n in (2500, n_toys)
    )
    assert len(fewer[0]) == n_toys and len(many[0]) == 2500
    assert not np.array_equal(many[0][: toys.BLOCK], many[0][toys.BLOCK : 2 * toys.BLOCK])
    for more, first in zip(many, fewer, strict=True):
        assert np.array_equal(more[:n_toys], first)


def test_null_signal_and_other_lineages_share_no_toys(population, make_population):
    """Neither hypotheses, exposures, masses nor pools: equal numbers or a correlation would betray it."""
    other = make_population(key=("other",))
    totals = [draw(p, h, (0,))[0].total for p in (population, other) for h in ("null", "background")]
    totals.append(background_block(population, 1.0 + 1e-9, "null", 0, WANTED)[1][:, 0])
    for key in (KEY, ("flat", 51.0)):
        sums = cells._signal_toys(population, signal_weights(population), key, np.array([60.0]), 1.0, WANTED, 1000)[1]
        totals.append(sums[:, 0, 0])
    correlation = np.corrcoef(totals)[~np.eye(len(totals), dtype=bool)]
    assert np.abs(correlation).max() < 5 / np.sqrt(toys.BLOCK)


def test_density_and_toys_come_from_different_halves(make_pool, make_scores, make_population):
    """Were the toy half shifted far up, every drawn event would be in the tail and on the floor."""
    pool = make_pool()
    ts = make_scores(pool) + np.where(pool.half == TOY_HALF, 1e9, 0)
    population = make_population(pool, ts)
    null = population.null(1.0, 1.0)
    literal, tail = draw(population, "background", (0,))
    assert np.array_equal(tail.total, tail.n_events)
    assert literal.total == pytest.approx(literal.n_events * np.log(null.f0.floor))
    assert null.tail_threshold < 1e8
    weights = signal_weights(population)
    counts, sums = cells._signal_toys(population, weights, KEY, np.array([SIGNAL]), 1.0, WANTED, 100)
    assert np.array_equal(sums[:, :, 1], counts)


def test_toys_draw_only_what_the_spectrum_asks_for(make_pool):
    """Rates in a narrow line: not one drawn event may lie outside it."""
    pool = make_pool()
    lines = {"ER": (3.0, 3.3), "NR": (20.0, 21.0)}
    inside = np.zeros(len(pool.kind))
    rates = {}
    for kind, (low, high) in lines.items():
        rates[kind] = lambda energy_keV, low=low, high=high: 50.0 * ((energy_keV > low) & (energy_keV < high))
        inside += pool.weights(kind, rates[kind]) > 0
    population = cells.populate(
        pool, {1.0: inside}, [cells.Background(kind, kind, rate, 0.0) for kind, rate in rates.items()],
        idealised=True, tail_b0=1.0, tail_exposure_ty=None, bandwidth=1.0, relative_floor=1e-12, stream_key=("line",),
    )  # fmt: skip
    hits = [(1.0, SimpleNamespace(per_event=lambda ts, null: ts))]
    n_events, sums = background_block(population, 1.0, "null", 0, hits)
    assert n_events.mean() > 50 and np.array_equal(sums[:, 0], n_events)
    weights = pool.weights("NR", rates["NR"])
    counts, sums = cells._signal_toys(population, weights, KEY, np.array([5.0, 50.0]), 1.0, hits, 1000)
    assert counts.mean() > 20 and np.array_equal(sums[:, :, 0], counts)


def test_signal_is_added_to_the_background_toys(population, toys_of, rows):
    shifted = [Toys(drawn.n_events + 100, drawn.total + 5) for drawn in toys_of["background"]]
    row = scan(population, toys_of | {"background": shifted})[3]
    assert row[1].significance.q_median == rows[3][1].significance.q_median + 5
    assert row[0].z_count > rows[3][0].z_count + 2


# Rates, thresholds and finite pools


@pytest.mark.parametrize("exposure_ty", [0.5, 200.0])
def test_n_background_is_rate_times_width_times_exposure(make_pool, make_scores, make_population, exposure_ty):
    pool = make_pool()
    population = make_population(pool, make_scores(pool), expected=(8.0 * 10, 0.5 * 50))
    assert population.n_background(exposure_ty) == pytest.approx((80 + 25) * exposure_ty)


def test_weights_integrate_a_spectrum_over_what_the_selection_keeps(make_pool):
    """A triangle over 0 to 10 keV by any proposal; events that were thrown and not selected stay in n_thrown."""
    pool = make_pool(40_000)
    assert pool.weights("ER", lambda energy_keV: energy_keV).sum() == pytest.approx(50, rel=0.02)
    assert not pool.weights("ER", lambda energy_keV: energy_keV)[pool.kind == 1].any()
    kept = np.random.default_rng(1).random(len(pool.kind)) < 0.25
    columns = {name: getattr(pool, name)[kept] for name in ("kind", "energy_keV", "proposal_per_keV", "half")}
    selected = dataclasses.replace(pool, **columns)
    assert selected.weights("ER", lambda energy_keV: energy_keV).sum() == pytest.approx(50 / 4, rel=0.05)


def test_weights_do_not_depend_on_the_proposal(make_pool):
    pool = make_pool(40_000)
    rng = np.random.default_rng(2)
    energy = 10 * np.sqrt(rng.random(len(pool.kind)))  # density 2 E / 100
    skewed = dataclasses.replace(pool, energy_keV=energy, proposal_per_keV=energy / 50)
    assert skewed.weights("NR", lambda energy_keV: np.exp(-energy_keV)).sum() == pytest.approx(1 - np.exp(-10), rel=0.1)


@pytest.mark.parametrize("b0", [0.3, 1.0, 7.0])
def test_at_most_b0_events_above_the_threshold_and_the_next_one_breaks_it(b0):
    rng = np.random.default_rng(3)
    ts, expected = rng.normal(size=2000), rng.random(2000) * (rng.random(2000) < 0.7) * 0.02
    threshold = tail_threshold(ts, expected, b0)
    assert expected[ts > threshold].sum() <= b0 < expected[ts >= threshold].sum()


def test_tied_scores_never_exceed_b0():
    ts, expected = np.repeat(np.arange(10.0), 50), np.full(500, 0.01)
    for b0 in (0.2, 0.5, 0.7, 1.0):
        assert expected[ts > tail_threshold(ts, expected, b0)].sum() <= b0


def test_the_threshold_of_a_population_is_the_density_halfs(population):
    null, half = population.null(1.0, 3.0), population.pool.half == DENSITY_HALF
    expected, ts = 2 * 3 * population.weights.sum(axis=0), population.ts[1.0]
    assert expected[half & (ts > null.tail_threshold)].sum() <= 1.0 < expected[half & (ts >= null.tail_threshold)].sum()
    assert expected[~half & (ts > null.tail_threshold)].sum() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("n_per_kind", "limited"), [(200, True), (1000, True), (4000, False)])
def test_pool_limited_below_400_tail_events(make_pool, make_population, n_per_kind, limited):
    """A third of the NR pool's toy half is above the threshold: 33, 167 and 667 events."""
    null = make_population(make_pool(n_per_kind), expected=(0.3, 3.0)).null(1.0, 1.0)
    assert null.pool_limited is limited
    assert abs(null.tail_pool[1][0] - n_per_kind / 6) < 4 * np.sqrt(2 * n_per_kind / 6)


def test_a_kind_without_any_pool_event_hides_no_limit(make_pool, make_population):
    """When the selection keeps no NR event at all, a thin ER tail is still a thin ER tail."""
    pool = make_pool(500)
    columns = {name: getattr(pool, name)[:500] for name in ("kind", "energy_keV", "proposal_per_keV", "half")}
    er_only = dataclasses.replace(pool, **columns)
    null = make_population(er_only, np.random.default_rng(1).gamma(4, size=500)).null(1.0, 1.0)
    assert null.pool_limited and np.isfinite(null.tail_pool).all()


def test_a_leak_that_the_pool_cannot_exclude_limits_it(make_pool, make_population):
    """No ER event is in the tail, but one of them would weigh as much as all NR: 3000 / 2000 of an event."""
    assert make_population(make_pool(4000), expected=(3000.0, 3.0)).null(1.0, 1.0).pool_limited


@pytest.mark.parametrize(
    "tail_pool", [((0, 0.2), (30, 0.05)), ((5, 0.3), (0, 0.1)), ((0, 0.5), (0, 0.01)), ((1e6, 2e-6), (0, 1e-9))]
)
def test_widening_gives_the_gamma_error_of_the_pool(tail_pool):
    """Mean sum w (k + 1) and variance mean + sum w^2 (k + 1): thinned or filled up, the count stays Poisson."""
    n = 40_000
    f0 = estimate(np.arange(9.0), np.ones((1, 9)), bandwidth=1.0, relative_floor=1e-12)
    null = Null(63.0, f0, 0.0, tail_pool)
    rng = np.random.default_rng(7)
    total = rng.poisson(sum(k * w for k, w in tail_pool), n).astype(float)
    widened = tail_count.widen(total, null, rng)
    mean = sum(w * (k + 1) for k, w in tail_pool)
    variance = mean + sum(w**2 * (k + 1) for k, w in tail_pool)
    assert abs(widened.mean() - mean) < 4.5 * np.sqrt(variance / n)
    assert widened.var() == pytest.approx(variance, rel=0.06)
    assert np.array_equal(widened, np.rint(widened)) and widened.min() >= 0


def test_a_null_with_pool_events_enough_is_not_widened(population):
    bare = SimpleNamespace(per_event=tail_count.per_event)
    assert not population.null(1.0, 1.0).pool_limited
    assert np.array_equal(draw(population, "null")[1].total, draw(population, "null", wanted=[(1.0, bare)])[0].total)


def test_a_limited_null_is_widened_but_not_the_toys_that_carry_a_signal(make_pool, make_population):
    population = make_population(make_pool(200), key=("limited",))
    null = population.null(1.0, 1.0)
    nominal, wide = (f(null.tail_pool) for f in (lambda t: sum(k * w for k, w in t),
                                                 lambda t: sum((k + 1) * w for k, w in t)))  # fmt: skip
    assert wide > 1.2 * nominal
    for hypothesis, mean in (("null", wide), ("background", nominal)):
        total = draw(population, hypothesis, range(6))[1].total
        assert abs(total.mean() - mean) < 5 * np.sqrt(wide / len(total))


def test_a_threshold_set_at_one_exposure_serves_all(make_population):
    population = dataclasses.replace(make_population(tail_b0=2.0), tail_exposure_ty=10.0)
    nulls = [population.null(1.0, exposure_ty) for exposure_ty in (1.0, 10.0, 100.0)]
    assert len({null.tail_threshold for null in nulls}) == 1
    anew = dataclasses.replace(population, tail_exposure_ty=None)
    assert nulls[1].tail_threshold == anew.null(1.0, 10.0).tail_threshold
    assert nulls[2].tail_threshold < anew.null(1.0, 100.0).tail_threshold
