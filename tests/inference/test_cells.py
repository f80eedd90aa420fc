"""The two computations of a scan on a small population: what blocks and cells may depend on, and what they say."""

import dataclasses
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from engine.errors import BadInput
from engine.inference import cells, toys
from engine.inference.cells import BackgroundToys, Choice, background_block, half_shift, signal_cells
from engine.inference.jackknife import z_pool_error
from engine.inference.pools import DENSITY_HALF, TOY_HALF
from engine.inference.population import Background, populate
from engine.inference.significance import z_one_sided
from engine.inference.teststats import centred, count, extended_poisson, tail_count
from engine.inference.teststats.tail_count import tail_threshold, widen
from engine.options import Options


class Binned:
    """Counts by fifths of the reference events; far bins weigh more."""

    n_bins = 5

    def __init__(self, null, options):
        self.edges = np.quantile(null.reference.events.ts, [0.2, 0.4, 0.6, 0.8])

    def bins(self, events):
        return np.searchsorted(self.edges, events.ts)

    def q(self, n_events, totals):
        return totals @ np.arange(5.0) ** 2 + n_events


class OneHot:
    """The slow twin of `Binned`: the same counts as sums over columns of zeros and ones."""

    def __init__(self, null, options):
        self.binned = Binned(null, options)
        self.q = self.binned.q

    def columns(self, events):
        return np.eye(Binned.n_bins)[self.binned.bins(events)]


LITERAL = Choice(1.0, extended_poisson, extended_poisson.Options())
TAIL = Choice(1.0, tail_count, tail_count.Options())
COUNT = Choice(None, count, Options())
BINNED, ONE_HOT = (Choice(1.0, SimpleNamespace(prepare=form), Options()) for form in (Binned, OneHot))
CHOICES = [LITERAL, TAIL]
SIGNAL = 20.0  # events per t y at scale 1
KEY = ("flat", 50.0)
SCALES = np.array([0.0, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0])


def draw(population, hypothesis, blocks=(0, 1), choices=CHOICES):
    """Toys of one hypothesis, per choice."""
    drawn = [background_block(population, 1.0, hypothesis, block, choices) for block in blocks]
    n_events = np.concatenate([counts for counts, _ in drawn])
    return [
        BackgroundToys(n_events, np.concatenate(totals)) for totals in zip(*(found for _, found in drawn), strict=True)
    ]


def signal_weights(population, expected=SIGNAL):
    """Flat in energy, NR only."""
    return population.pool.weights("NR", lambda energy_keV: np.full(len(energy_keV), expected / 50.0))


def scan(population, toys_of, scales=SCALES, choices=CHOICES, kde=False):
    """Cells [scale][choice] in 1 t y."""
    weights = signal_weights(population)
    return signal_cells(population, weights, KEY, scales, 1.0, choices, toys_of["null"], toys_of["background"], kde)


def signal_alone(population, mean, n_toys=1000, key=KEY, weights=None, choices=CHOICES):
    """Signal events without background: numbers (toys, steps), and per choice their first totals (toys, steps)."""
    weights = signal_weights(population) if weights is None else weights
    statistics = cells.prepare(population, 1.0, choices)
    empty = [BackgroundToys(np.zeros(n_toys, dtype=np.int64), np.zeros((n_toys, 1)))] * len(choices)

    def spied(q):
        spies = [SimpleNamespace(columns=statistic.columns, q=q) for statistic in statistics]
        return cells._signal_q(population, weights, key, np.array(mean), 1.0, choices, spies, empty)

    return spied(lambda n_events, totals: n_events)[0], spied(lambda n_events, totals: totals[:, 0])


@pytest.fixture(scope="module")
def toys_of(population):
    return {hypothesis: draw(population, hypothesis) for hypothesis in ("null", "background")}


@pytest.fixture(scope="module")
def rows(population, toys_of):
    return scan(population, toys_of)


# What comes out


def test_no_signal_gives_one_half(rows):
    """The median of toys like the null's own; its error with 2000 and 2000 toys is 0.016."""
    significance = rows[0][0].significance
    assert abs(significance.p - 0.5) < 0.07
    assert significance.p_low < 0.5 < significance.p_high


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


def test_the_count_is_the_plain_counting_test(population):
    """20 events on 63: Z is S / sqrt(B), but for the tails of a Poisson count and the toys' error."""
    toys_of = {hypothesis: draw(population, hypothesis, choices=[COUNT]) for hypothesis in ("null", "background")}
    z = [row[0].significance.z for row in scan(population, toys_of, choices=[COUNT])]
    assert np.all(np.diff(z) >= 0)
    assert z[-1] == pytest.approx(SIGNAL / np.sqrt(63), abs=0.25)
    assert z[0] == pytest.approx(0, abs=0.15)


def test_a_count_needs_no_score(make_pool):
    """R = None asks a population for no score, and so it need not have one."""
    pool = make_pool()
    rates = {"ER": 6.0, "NR": 0.06}
    backgrounds = [Background(kind, kind, lambda e, r=r: np.full(len(e), r), 0.0) for kind, r in rates.items()]
    unscored = populate(
        pool, {}, backgrounds, idealised=True, bandwidth=1.0, relative_floor=1e-12, stream_key=("test",)
    )
    null = unscored.null(None, 1.0)
    assert null.f0 is None and null.n_background == pytest.approx(63)
    (drawn,) = draw(unscored, "null", (0,), [COUNT])
    assert drawn.totals.shape == (toys.BLOCK, 0)
    assert abs(drawn.n_events.mean() - 63) < 4.5 * np.sqrt(63 / toys.BLOCK)


def test_signal_events_are_as_many_as_expected(population):
    counts, (_, tail) = signal_alone(population, SIGNAL * SCALES, 2000)
    assert np.abs(counts.mean(axis=0) - SIGNAL * SCALES).max() < 4.5 * np.sqrt(SIGNAL / 2000)
    null, drawn = population.null(1.0, 1.0), population.signal(signal_weights(population))
    share = drawn[null.drawn.events.ts > TAIL.prepare(null).threshold].sum() / SIGNAL
    assert abs(tail[:, -1].mean() - SIGNAL * share) < 4.5 * np.sqrt(SIGNAL * share / 2000)


def test_null_toys_have_the_expected_events_and_tail(population, toys_of):
    n_events, tail = toys_of["null"][0].n_events, toys_of["null"][1].totals[:, 0]
    null = population.null(1.0, 1.0)
    assert population.n_background(1.0) == pytest.approx(63) == pytest.approx(null.n_background)
    for values, mean in ((n_events, 63), (tail, sum(k * w for k, w in TAIL.prepare(null).pool))):
        assert abs(values.mean() - mean) < 4.5 * np.sqrt(mean / len(values))
        assert abs(values.var() / mean - 1) < 0.2


def test_a_signal_outside_the_pool_changes_nothing(population, toys_of, rows):
    nothing = np.zeros(len(population.pool.kind))
    found = signal_cells(population, nothing, KEY, SCALES[-1:], 1.0, CHOICES, toys_of["null"], toys_of["background"])
    assert found[0] == rows[0]


def test_the_tail_is_counted_unless_a_kernel_density_is_asked_for(population, toys_of, rows):
    smooth = scan(population, toys_of, kde=True)
    assert [row[0].significance.tail for row in rows[:4]] == ["counted"] * 4
    assert [row[0].significance.tail for row in smooth[:4]] == ["kde"] * 4
    assert [row[0].significance.q_median for row in smooth] == [row[0].significance.q_median for row in rows]


# What it may depend on


@pytest.mark.parametrize("kept", [[6], [0, 3], [1, 2, 5]])
def test_a_cell_does_not_see_the_other_cross_sections(population, toys_of, rows, kept):
    assert scan(population, toys_of, SCALES[kept]) == [rows[i] for i in kept]


def test_statistics_side_by_side_equal_each_alone(population):
    """Sums, counted bins, a statistic that sums nothing, and one twice: in blocks and in cells, bit by bit."""
    choices = [BINNED, LITERAL, COUNT, ONE_HOT, TAIL, BINNED]
    together = {hypothesis: draw(population, hypothesis, choices=choices) for hypothesis in ("null", "background")}
    rows = scan(population, together, choices=choices)
    for column, choice in enumerate(choices):
        alone = {hypothesis: draw(population, hypothesis, choices=[choice]) for hypothesis in together}
        for hypothesis, drawn in alone.items():
            assert np.array_equal(drawn[0].n_events, together[hypothesis][column].n_events)
            assert np.array_equal(drawn[0].totals, together[hypothesis][column].totals)
        assert [row[0] for row in scan(population, alone, choices=[choice])] == [row[column] for row in rows]
    assert len({row.significance.q_median for row in rows[3]}) == 4  # two pairs are alike, and no more


def test_bins_are_counted_like_sums_of_zeros_and_ones(population):
    """A statistic with `bins` against its slow twin with columns: toys, p and half_shift."""
    toys_of = {h: draw(population, h, choices=[BINNED, ONE_HOT]) for h in ("null", "background")}
    for counted, summed in toys_of.values():
        assert np.array_equal(counted.totals, summed.totals)
        assert np.array_equal(counted.totals.sum(axis=1), counted.n_events)
        assert (counted.totals.mean(axis=0) > 1).all()
    for counted, summed in scan(population, toys_of, choices=[BINNED, ONE_HOT]):
        assert counted.significance == summed.significance
        assert counted.half_shift == pytest.approx(summed.half_shift, rel=1e-9)


def test_a_block_does_not_see_the_other_blocks(population):
    together = draw(population, "null", (0, 1, 2))
    for block in (2, 0, 1):
        of_block = slice(block * toys.BLOCK, (block + 1) * toys.BLOCK)
        for alone, drawn in zip(draw(population, "null", (block,)), together, strict=True):
            assert np.array_equal(alone.n_events, drawn.n_events[of_block])
            assert np.array_equal(alone.totals, drawn.totals[of_block])
    assert len(np.unique(together[0].totals)) == 3 * toys.BLOCK


@pytest.mark.parametrize("n_toys", [1, 700, 1000, 1001])
def test_more_toys_keep_the_first_ones(population, n_toys):
    many, fewer = (signal_alone(population, SIGNAL * SCALES, n) for n in (2500, n_toys))
    assert len(fewer[0]) == n_toys and len(many[0]) == 2500
    assert not np.array_equal(many[0][: toys.BLOCK], many[0][toys.BLOCK : 2 * toys.BLOCK])
    for more, first in zip([many[0], *many[1]], [fewer[0], *fewer[1]], strict=True):
        assert np.array_equal(more[:n_toys], first)


def test_signal_toys_meet_their_background_toys_in_any_block(population, toys_of):
    """q of a toy is q of its background events and its signal events together, one toy at a time."""
    mean, picked = SIGNAL * SCALES[[2, 6]], [0, 999, 1000, 1500]
    background = [BackgroundToys(drawn.n_events[:1501], drawn.totals[:1501]) for drawn in toys_of["background"]]
    statistics = cells.prepare(population, 1.0, CHOICES)
    q = cells._signal_q(population, signal_weights(population), KEY, mean, 1.0, CHOICES, statistics, background)
    counts, totals = signal_alone(population, mean, 1501)
    for statistic, drawn, signal, values in zip(statistics, background, totals, q, strict=True):
        for toy in picked:
            for step in (0, 1):
                n_events, total = drawn.n_events[toy] + counts[toy, step], drawn.totals[toy, 0] + signal[toy, step]
                assert values[toy, step] == statistic.q(np.array([n_events]), np.array([[total]]))[0]


def test_null_signal_and_other_lineages_share_no_toys(population, make_population):
    """Neither hypotheses, exposures, masses nor pools: equal numbers or a correlation would betray it."""
    other = make_population(key=("other",))
    totals = [draw(p, h, (0,))[0].totals[:, 0] for p in (population, other) for h in ("null", "background")]
    totals.append(background_block(population, 1.0 + 1e-9, "null", 0, CHOICES)[1][0][:, 0])
    totals += [signal_alone(population, [60.0], key=key)[1][0][:, 0] for key in (KEY, ("flat", 51.0))]
    correlation = np.corrcoef(totals)[~np.eye(len(totals), dtype=bool)]
    assert np.abs(correlation).max() < 5 / np.sqrt(toys.BLOCK)


def test_density_and_toys_come_from_different_halves(make_pool, make_scores, make_population):
    """Were the toy half shifted far up, every drawn event would be in the tail and on the floor."""
    pool = make_pool()
    ts = make_scores(pool) + np.where(pool.half == TOY_HALF, 1e9, 0)
    population = make_population(pool, ts)
    null = population.null(1.0, 1.0)
    assert null.reference.events.ts.max() < 1e8 < null.drawn.events.ts.min()
    literal, tail = draw(population, "background", (0,))
    assert np.array_equal(tail.totals[:, 0], tail.n_events)
    assert literal.totals[:, 0] == pytest.approx(literal.n_events * np.log(null.f0.floor))
    assert TAIL.prepare(null).threshold < 1e8
    counts, (_, tail) = signal_alone(population, [SIGNAL], 100)
    assert np.array_equal(tail, counts)


def test_toys_draw_only_what_the_spectrum_asks_for(make_pool):
    """Rates in a narrow line: not one drawn event may lie outside it."""
    pool = make_pool()
    lines = {"ER": (3.0, 3.3), "NR": (20.0, 21.0)}
    inside = np.zeros(len(pool.kind))
    rates = {}
    for kind, (low, high) in lines.items():
        rates[kind] = lambda energy_keV, low=low, high=high: 50.0 * ((energy_keV > low) & (energy_keV < high))
        inside += pool.weights(kind, rates[kind]) > 0
    population = populate(
        pool, {1.0: inside}, [Background(kind, kind, rate, 0.0) for kind, rate in rates.items()],
        idealised=True, bandwidth=1.0, relative_floor=1e-12, stream_key=("line",),
    )  # fmt: skip
    seen = SimpleNamespace(columns=lambda events: events.ts[:, None])
    hits = [Choice(1.0, SimpleNamespace(prepare=lambda null, options: seen), Options())]
    n_events, (totals,) = background_block(population, 1.0, "null", 0, hits)
    assert n_events.mean() > 50 and np.array_equal(totals[:, 0], n_events)
    weights = pool.weights("NR", rates["NR"])
    counts, (totals,) = signal_alone(population, [5.0, 50.0], weights=weights, choices=hits)
    assert counts.mean() > 20 and np.array_equal(totals, counts)


def test_signal_is_added_to_the_background_toys(population, toys_of, rows):
    shifted = [BackgroundToys(drawn.n_events + 100, drawn.totals + 5) for drawn in toys_of["background"]]
    row = scan(population, toys_of | {"background": shifted})[3]
    assert row[1].significance.q_median == rows[3][1].significance.q_median + 5
    literal = LITERAL.prepare(population.null(1.0, 1.0))
    penalty = literal.penalty(np.array([63 + SIGNAL * SCALES[3] + 100])) - literal.penalty(np.array([67.0]))
    assert row[0].significance.q_median - rows[3][0].significance.q_median == pytest.approx(penalty[0] - 10, rel=0.05)


# Rates, thresholds and finite pools


@pytest.mark.parametrize("exposure_ty", [0.5, 200.0])
def test_n_background_is_rate_times_width_times_exposure(make_pool, make_scores, make_population, exposure_ty):
    pool = make_pool()
    population = make_population(pool, make_scores(pool), expected=(8.0 * 10, 0.5 * 50))
    assert population.n_background(exposure_ty) == pytest.approx((80 + 25) * exposure_ty)


@pytest.mark.parametrize("R", [None, 1.0])
def test_either_half_stands_for_all_that_is_expected(population, R):
    """Reference and drawn events share no event, and their weights sum to each component's expectation."""
    null, half = population.null(R, 5.0), population.pool.half
    for law, code in ((null.reference, DENSITY_HALF), (null.drawn, TOY_HALF)):
        assert law.weights.sum(axis=1) == pytest.approx([300, 15])
        assert np.array_equal(law.total, law.weights.sum(axis=0)) and law.n_expected == pytest.approx(315)
        assert np.array_equal(law.events.cs2_pe, population.pool.cs2_pe[half == code])
        assert np.array_equal(law.events.kind, population.pool.kind[half == code])
        assert np.array_equal(law.events.ts, np.zeros(len(law.events)) if R is None else population.ts[R][half == code])


def test_relative_uncertainties_go_with_their_components(make_population):
    null = make_population(relative_uncertainty=(0.1, 0.3)).null(1.0, 1.0)
    assert null.drawn.relative_sd.tolist() == null.reference.relative_sd.tolist() == [0.1, 0.3]
    without_er = make_population(expected=(0.0, 3.0), relative_uncertainty=(0.1, 0.3)).null(1.0, 1.0)
    assert without_er.drawn.relative_sd.tolist() == [0.3] and len(without_er.drawn.weights) == 1


def test_drawn_signal_events_stand_for_the_whole_signal(population):
    weights = signal_weights(population)
    drawn = population.signal(weights)
    assert len(drawn) == len(population.null(None, 1.0).drawn.events)
    assert drawn.sum() == pytest.approx(SIGNAL) and drawn.std() > 0
    assert not population.signal(np.where(population.pool.half == TOY_HALF, 0, weights)).any()


def test_every_event_is_left_out_of_one_group(population):
    """Ten populations of nine tenths each; together they hold every event nine times."""
    population.null(1.0, 1.0)  # what is kept of it is no concern of the others
    fewer = [population.without(group, 10) for group in range(10)]
    assert np.mean([p.n_background(1.0) for p in fewer]) == pytest.approx(63)
    times = np.concatenate([p.ts[1.0] for p in fewer])
    assert np.array_equal(np.sort(times), np.sort(np.repeat(population.ts[1.0], 9)))
    sizes = np.array([np.count_nonzero(p.pool.half == TOY_HALF) for p in fewer])
    assert sizes.sum() == 9 * 4000 and 5 < sizes.std() < 40  # as unequal as chance makes them: sqrt(400)
    for one, size in zip(fewer, sizes, strict=True):
        assert len(one.null(1.0, 1.0).drawn.events) == one.null(1.0, 1.0).drawn.weights.shape[1] == size
    assert fewer[0].f0[1.0].components != population.f0[1.0].components


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(make_pool, make_scores, make_population, bad):
    pool = make_pool(100)
    ts = make_scores(pool)
    ts[[3, 70]] = bad
    with pytest.raises(BadInput, match="^2 of 200 pool events have no finite score at R = 2.5;"):
        make_population(pool, ts, R=2.5)


@pytest.mark.parametrize("emptied", [DENSITY_HALF, TOY_HALF])
def test_a_half_without_background_is_refused(make_pool, make_population, emptied):
    pool = make_pool(100)
    with pytest.raises(BadInput, match="too few pass the selection"):
        make_population(pool.only(pool.half != emptied))


def test_weights_integrate_a_spectrum_over_what_the_selection_keeps(make_pool):
    """A triangle over 0 to 10 keV by any proposal; events that were thrown and not selected stay in n_thrown."""
    pool = make_pool(40_000)
    assert pool.weights("ER", lambda energy_keV: energy_keV).sum() == pytest.approx(50, rel=0.02)
    assert not pool.weights("ER", lambda energy_keV: energy_keV)[pool.kind == 1].any()
    selected = pool.only(np.random.default_rng(1).random(len(pool.kind)) < 0.25)
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
    tail, half = TAIL.prepare(population.null(1.0, 3.0)), population.pool.half == DENSITY_HALF
    expected, ts = 2 * 3 * population.weights.sum(axis=0), population.ts[1.0]
    above, at_least = ts > tail.threshold, ts >= tail.threshold
    assert expected[half & above].sum() <= 1.0 < expected[half & at_least].sum()
    assert expected[~half & above].sum() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("n_per_kind", "pool_error", "limited"),
    [(60, True, True), (400, True, False), (1000, False, True), (4000, False, False)],
)
def test_pool_limited_below_25_tail_events_and_400_where_the_pool_is_the_truth(
    make_pool, make_population, n_per_kind, pool_error, limited
):  # fmt: skip
    """A third of the NR pool's toy half is above the threshold: 10, 67, 167 and 667 events."""
    choice = Choice(1.0, tail_count, tail_count.Options(pool_error=pool_error))
    tail = choice.prepare(make_population(make_pool(n_per_kind), expected=(0.3, 3.0)).null(1.0, 1.0))
    assert tail.pool_limited is limited
    assert abs(tail.pool[1][0] - n_per_kind / 6) < 4 * np.sqrt(2 * n_per_kind / 6)


def test_a_kind_without_any_pool_event_hides_no_limit(make_pool, make_population):
    """When the selection keeps no NR event at all, a thin ER tail is still a thin ER tail."""
    pool = make_pool(500)
    er_only = pool.only(pool.kind == 0)
    tail = TAIL.prepare(make_population(er_only, np.random.default_rng(1).gamma(4, size=500)).null(1.0, 1.0))
    assert tail.pool_limited and np.isfinite(tail.pool).all()


def test_a_leak_that_the_pool_cannot_exclude_limits_it(make_pool, make_population):
    """No ER event is in the tail, but one of them would weigh as much as all NR: 3000 / 2000 of an event."""
    tail = TAIL.prepare(make_population(make_pool(4000), expected=(3000.0, 3.0)).null(1.0, 1.0))
    assert tail.pool_limited and tail.pool[0] == (0.0, pytest.approx(1.5, rel=0.05))


@pytest.mark.parametrize(
    "tail_pool", [((0, 0.2), (30, 0.05)), ((5, 0.3), (0, 0.1)), ((0, 0.5), (0, 0.01)), ((1e6, 2e-6), (0, 1e-9))]
)
def test_widening_gives_the_gamma_error_of_the_pool(tail_pool):
    """Mean sum w (k + 1) and variance mean + sum w^2 (k + 1): thinned or filled up, the count stays Poisson."""
    n, rng = 40_000, np.random.default_rng(7)
    counts = rng.poisson(sum(k * w for k, w in tail_pool), n).astype(float)
    widened = widen(counts, np.full(n, sum(k * w for k, w in tail_pool)), tail_pool, rng)
    mean = sum(w * (k + 1) for k, w in tail_pool)
    variance = mean + sum(w**2 * (k + 1) for k, w in tail_pool)
    assert abs(widened.mean() - mean) < 4.5 * np.sqrt(variance / n)
    assert widened.var() == pytest.approx(variance, rel=0.06)
    assert np.array_equal(widened, np.rint(widened)) and widened.min() >= 0


def bare(choice):
    """A choice whose statistic does not widen."""

    def prepare(null, options):
        statistic = choice.prepare(null)
        return SimpleNamespace(columns=statistic.columns, q=statistic.q)

    return Choice(choice.R, SimpleNamespace(prepare=prepare), choice.options)


def test_a_null_with_pool_events_enough_is_widened_by_next_to_nothing(population):
    """No number of pool events turns the widening on: the mean is that of one event more of each kind."""
    tail = TAIL.prepare(population.null(1.0, 1.0))
    assert not tail.pool_limited
    nominal, wide = (law.sf(np.arange(1, 4)) for law in (tail.unwidened(), tail.background))
    assert (wide > nominal).all() and wide == pytest.approx(nominal, rel=0.1)


def test_a_limited_null_is_widened_but_not_the_toys_that_carry_a_signal(make_pool, make_population):
    population = make_population(make_pool(200), key=("limited",))
    pool = TAIL.prepare(population.null(1.0, 1.0)).pool
    nominal, wide = sum(k * w for k, w in pool), sum((k + 1) * w for k, w in pool)
    assert wide > 1.2 * nominal
    for hypothesis, mean in (("null", wide), ("background", nominal)):
        drawn = draw(population, hypothesis, range(6), [LITERAL, TAIL, COUNT])
        total = drawn[1].totals[:, 0]
        assert abs(total.mean() - mean) < 5 * np.sqrt(wide / len(total))
        (alone,) = draw(population, hypothesis, range(6), [bare(TAIL)])
        assert np.array_equal(alone.totals, drawn[1].totals) is (hypothesis == "background")


def test_a_threshold_set_at_one_exposure_serves_all(population):
    fixed = tail_count.Options(b0=2.0, exposure_ty=10.0)
    nulls = [population.null(1.0, exposure_ty) for exposure_ty in (1.0, 10.0, 100.0)]
    of_fixed, anew = ([tail_count.prepare(null, options).threshold for null in nulls]
                      for options in (fixed, tail_count.Options(b0=2.0)))  # fmt: skip
    assert of_fixed == pytest.approx([anew[1]] * 3, rel=1e-12)
    assert anew[0] < of_fixed[0] and of_fixed[2] < anew[2]


# The halves of the pool against each other


STEADY = [LITERAL, TAIL, Choice(1.0, centred, Options()), BINNED, COUNT]


def shifts(population, exposure_ty=1.0):
    """half_shift of every choice of STEADY."""
    n_events, found = background_block(population, exposure_ty, "null", 0, STEADY)
    shifted = []
    for choice, totals in zip(STEADY, found, strict=True):
        null = population.null(choice.R, exposure_ty)
        statistic = choice.prepare(null)
        shifted.append(half_shift(statistic, null, statistic.q(n_events, totals)))
    return np.array(shifted)


def test_half_shift_is_small_where_the_halves_are_alike(population):
    """Few tenths: the halves differ by the error of some 2000 pool events against that of 63 drawn ones."""
    assert np.abs(shifts(population)).max() < 0.3
    assert np.isfinite(shifts(population, 1e-6)).all()


def test_half_shift_sees_a_pool_whose_halves_differ(make_pool, make_scores, make_population):
    """The toy half lies higher in the score: large values of all statistics that look at it speak against it."""
    pool = make_pool()
    ts = make_scores(pool) * np.where(pool.half == TOY_HALF, 2.0, 1.0)
    found = shifts(make_population(pool, ts))
    assert found[:4].min() > 1
    assert found[4] == 0


def test_half_shift_is_that_of_the_cells(population, toys_of, rows):
    null = population.null(1.0, 1.0)
    for choice, drawn, cell in zip(CHOICES, toys_of["null"], rows[2], strict=True):
        statistic = choice.prepare(null)
        assert cell.half_shift == half_shift(statistic, null, np.sort(statistic.q(drawn.n_events, drawn.totals)))
        assert cell.half_shift != 0


def test_half_shift_of_a_statistic_without_spread_is_nothing(population):
    null = population.null(1.0, 1.0)
    assert half_shift(LITERAL.prepare(null), null, np.ones(100)) == 0


def test_a_population_keeps_the_laws_of_one_exposure_alone(make_population):
    """A search that tries many exposures must not hold them all."""
    population = make_population()
    for exposure_ty in (1.0, 2.0, 3.0):
        population.null(1.0, exposure_ty)
    assert {exposure_ty for exposure_ty, _ in population._laws} == {3.0}
    again = population.null(1.0, 1.0)
    assert again.n_background == pytest.approx(population.n_background(1.0))


def test_what_all_exposures_share_is_made_once_and_never_handed_to_another_population(make_population):
    population = make_population()
    first, second = (population.null(1.0, exposure_ty).drawn for exposure_ty in (1.0, 2.0))
    assert first.events is second.events and first.events.ts is second.events.ts
    other = dataclasses.replace(population, ts={1.0: population.ts[1.0] + 1.0})
    assert (other.null(1.0, 1.0).drawn.events.ts == first.events.ts + 1.0).all()
    learned = population.with_scores({1.0: 2 * population.ts[1.0]})
    assert (learned.null(1.0, 1.0).drawn.events.ts == 2 * first.events.ts).all()
    assert len(pickle.dumps(population)) == len(pickle.dumps(make_population()))


def test_a_pool_without_which_nothing_is_said_has_no_error(make_population):
    """No tail event and no signal: the median is 0, p is 1 and Z minus infinity in every replicate."""
    population = make_population(expected=(1e-3, 1e-4))
    choice = Choice(None, count, Options())
    assert z_pool_error(population, choice, np.zeros(len(population.pool.kind)), 1.0) is None


def test_the_jack_knife_sees_that_a_pool_knows_b_to_its_own_events_alone(make_pool, make_population):
    """A fifth of the events pass, so that B has the error of their number: over pools, and by the groups of each.

    The median experiment has 300 events beyond a fifth of 6003, whatever the pool takes for B.
    """
    choice, found = Choice(None, count, Options()), []
    for seed in range(40):
        pool = make_pool(500, seed)
        kept = np.random.default_rng((seed, 7)).random(len(pool.kind)) < 0.2
        population = make_population(pool.only(kept), np.arange(np.count_nonzero(kept)), expected=(6000.0, 3.0))
        weights = signal_weights(population, 300.0)
        null = choice.prepare(population.null(None, 1.0)).background
        z = z_one_sided(null.sf(np.array([6003 / 5 + 300]))[0])
        found.append((z, z_pool_error(population, choice, weights, 1.0)))
    z, error = np.array(found).T
    assert error.min() > 0 and 0.65 < np.sqrt(np.mean(error**2)) / z.std() < 1.5


def test_of_p_a_part_is_a_deficit_where_q_is_two_sided_in_n(population, cells_of):
    """With ln f0 the same everywhere `centred` is c(N) alone, and N is Poisson: p and its part are sums over N."""
    flat = SimpleNamespace(ln=lambda ts: np.full(len(ts), -3.0))
    population, blocks = dataclasses.replace(population, f0={1.0: flat}), 20
    choices = [Choice(1.0, centred, Options()), TAIL, COUNT]
    ((cell, *others),) = cells_of(population, choices, ("deficit",), [SIGNAL], blocks=blocks)
    n, b = np.arange(300), population.n_background(1.0)
    q = 2 * (b + gammaln(n + 1) - n * np.log(b))
    reached, law = q >= cell.significance.q_median - 1e-9, stats.poisson(b).pmf(n)
    expected, p = law[reached & (n < b)].sum(), law[reached].sum()
    assert cell.p_deficit == pytest.approx(expected, abs=3 * np.sqrt(expected / (1000 * blocks))) and expected > 5e-3
    assert cell.significance.p - cell.p_deficit == pytest.approx(p - expected, abs=3 * np.sqrt(p / (1000 * blocks)))
    assert cell.columns["p_deficit"] == cell.p_deficit and [one.p_deficit for one in others] == [None, None]
