"""What leaks and how well it is known: the line, the factor's laws, what they make of a null by toys and exactly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from engine.errors import BadInput
from engine.inference import cells, leakage
from engine.inference.cells import Choice
from engine.inference.exact.averaged import Averaged
from engine.inference.leakage import LeakagePrior
from engine.inference.teststats import count, excess_scan, extended_poisson, known_signal, tail_count
from engine.options import configure

R = 1.0


@pytest.fixture(name="leaky", scope="module")
def _leaky():
    """60 ER events a year and next to no NR, a tenth of which leaks: those of the highest scores."""
    from tests.inference.conftest import make_pool, make_population, make_scores

    pool = make_pool(n_per_kind=20_000)
    population = make_population(pool, make_scores(pool), expected=(60.0, 1e-12), relative_uncertainty=(0.05, 0.0))
    ts = population.ts[R]
    leaks = (pool.kind == 0) & (ts > np.quantile(ts[pool.kind == 0], 0.9))
    return replace(population, leaks=leaks)


def known_to(population, factor):
    return replace(population, leakage=LeakagePrior(factor))


def choice(module, **options):
    return Choice(R if "score" in module.NEEDS else None, module, configure(module, options))


CHOICES = [choice(tail_count, b0=3.0), choice(excess_scan, thresholds=12), choice(extended_poisson), choice(count)]
NAMES = [one.module.__name__.rpartition(".")[-1] for one in CHOICES]


def signal_of(population, n=8.0):
    events = population.null(R, 1.0).drawn.events
    signal = np.where(events.kind == 1, 1.0, 0.0)
    return n * signal / signal.sum()


class TestLine:
    def test_it_keeps_its_share_of_nuclear_recoils_at_every_cs1(self):
        rng = np.random.default_rng(1)
        cs1 = rng.uniform(5, 80, 60_000)
        is_nr = np.arange(60_000) % 2 == 0
        cs2 = cs1 * 10 ** np.where(is_nr, rng.normal(1.5 - cs1 / 200, 0.1), rng.normal(2.2 - cs1 / 200, 0.1))
        below = leakage.beyond(cs1, cs2, is_nr, np.ones(60_000, bool))
        for low in (8, 20, 40, 60):
            here = is_nr & (cs1 > low) & (cs1 < low + 15)
            assert below[here].mean() == pytest.approx(leakage.NR_ACCEPTANCE, abs=4 * np.sqrt(0.21 / here.sum()))
        expected = stats.norm.cdf(stats.norm.ppf(leakage.NR_ACCEPTANCE) - 7)
        assert below[~is_nr].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 30_000) + 1e-9)

    def test_an_event_without_charge_or_of_another_kind_does_not_leak(self):
        cs1, cs2 = np.array([10.0, 0.0, 10.0, 10.0]), np.array([100.0, 100.0, 0.0, 1.0])
        is_nr, asked = np.array([True, False, False, False]), np.array([False, True, True, False])
        assert not leakage.beyond(cs1, cs2, is_nr, asked).any()
        assert leakage.beyond(cs1, cs2, is_nr, ~is_nr).tolist() == [False, False, False, True]

    def test_without_nuclear_recoils_there_is_no_line(self):
        nobody = np.zeros(3, bool)
        assert not leakage.beyond(np.ones(3), np.ones(3), nobody, ~nobody).any()


class TestFactor:
    def test_of_a_log_normal(self):
        z = np.array([-2.0, 0.0, 1.0])
        assert LeakagePrior(1.5).at(z) == pytest.approx(1.5**z)
        assert LeakagePrior(1.5).known_to == 1.5 and not LeakagePrior(1.5).is_known
        assert LeakagePrior().is_known and LeakagePrior().known_to == 1.0

    def test_of_a_calibration_it_is_the_gamma_posterior(self):
        z = np.random.default_rng(3).standard_normal(200_000)
        factor = LeakagePrior(leaked=9.0).at(z)
        assert stats.kstest(9 * factor[:20_000], stats.gamma(10).cdf).pvalue > 1e-3
        assert np.exp(np.log(factor).std()) == pytest.approx(LeakagePrior(leaked=9.0).known_to, rel=5e-3)
        assert LeakagePrior(leaked=1e6).known_to == pytest.approx(1.001, abs=1e-5)

    def test_the_outermost_factors_are_numbers(self):
        assert (np.diff(LeakagePrior(leaked=3.0).at(np.linspace(-30, 30, 61))) > 0).all()


@pytest.mark.parametrize("factor", [1.2, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("b", [0.3, 6.0, 60.0])
def test_the_average_is_the_integral_over_the_factor(factor, b):
    """Poisson counts of which all leaks: a direct quadrature of 8000 laws is the slow twin."""

    class Law:
        smallest_p = 1e-300

        def __init__(self, mean):
            self.mean = mean

        def sf(self, q):
            return np.maximum(stats.poisson.sf(np.asarray(q) - 1, self.mean), 1e-300)

    known = LeakagePrior(factor)
    made = []
    law = Averaged(lambda z: made.append(z) or Law(b * known.at(z)), known.step(b))
    z = np.linspace(-12, 14, 8001)
    for n in sorted({max(1, int(b)), int(b + 3 * np.sqrt(b)) + 1, int(2 * b) + 8, int(4 * b) + 20}):
        tails = stats.poisson.sf(n - 1, b * known.at(z))
        expected = np.trapezoid(stats.norm.pdf(z) * tails, z)
        assert law.sf(np.array([n]))[0] == pytest.approx(expected, rel=1e-3 if factor < 1.3 else 5e-3), n
    assert len(made) < 80


@pytest.mark.parametrize("one", CHOICES, ids=NAMES)
class TestNull:
    def test_exactly_known_is_the_statistics_own_law(self, leaky, one):
        null, signal = leaky.null(one.R, 1.0), signal_of(leaky)
        averaged, nominal = one.laws(null).distributions(signal), one.prepare(null).distributions(signal)
        q = np.array([nominal[1].median()])
        assert [law.sf(q)[0] for law in averaged] == [law.sf(q)[0] for law in nominal]

    def test_toys_have_the_exact_law(self, leaky, one):
        population = known_to(leaky, 2.0)
        law, _ = one.laws(population.null(one.R, 1.0)).distributions(signal_of(leaky))
        statistic, n_toys = one.prepare(population.null(one.R, 1.0)), 20_000
        (drawn,) = cells.background_toys(population, 1.0, "null", [one], n_toys)
        q = np.sort(statistic.q(drawn.n_events, drawn.totals))
        for p in (0.3, 0.03, 3e-3):
            value = q[int((1 - p) * n_toys)]
            counted, exact = np.mean(q >= value), law.sf(np.array([value]))[0]
            assert abs(counted - exact) < 4 * np.sqrt(exact / n_toys) + 0.02 * exact

    def test_the_less_is_known_the_larger_the_p(self, leaky, one):
        p = []
        for factor in (1.0, 1.2, 1.5, 2.0):
            null, alternative = one.laws(known_to(leaky, factor).null(one.R, 1.0)).distributions(signal_of(leaky))
            p.append(float(null.sf(np.array([alternative.median()]))[0]))
        assert (np.diff(p) > 0).all()

    def test_toys_that_carry_a_signal_have_the_nominal_leakage(self, leaky, one):
        nominal, other = (
            cells.background_toys(known_to(leaky, factor), 1.0, "background", [one], 1000)[0] for factor in (1.0, 2.0)
        )
        assert (nominal.n_events == other.n_events).all() and (nominal.totals == other.totals).all()


def test_the_oracles_null_knows_the_signal_and_the_leakage(leaky):
    oracle = choice(known_signal)
    events = leaky.null(R, 1.0).drawn.events
    signal = np.where(events.kind == 0, events.ts**2, 0.0)  # as background, but for more of its high scores
    signal *= 20 / signal.sum()
    null, alternative = oracle.laws(known_to(leaky, 1.5).null(R, 1.0)).distributions(signal)
    q = np.array([alternative.median()])
    assert null.sf(q)[0] > oracle.prepare(leaky.null(R, 1.0)).distributions(signal)[0].sf(q)[0]


def test_counts_have_a_threshold(leaky):
    law, _ = CHOICES[0].laws(known_to(leaky, 1.5).null(R, 1.0)).distributions(signal_of(leaky))
    n = law.threshold(1e-3)
    assert law.sf(np.array([n]))[0] <= 1e-3 < law.sf(np.array([n - 1]))[0]


def test_a_calibration_without_a_leak_says_nothing():
    from engine.inference.population import Background, populate
    from tests.inference.conftest import ENERGY_KEV, flat, make_pool, make_scores

    pool = make_pool(200)
    pool = replace(pool, cs2_pe=np.where(pool.kind == 0, 1e9, pool.cs2_pe))
    backgrounds = [Background(k.lower(), k, flat(1 / ENERGY_KEV[k]), 0.0) for k in ENERGY_KEV]
    with pytest.raises(BadInput, match="calibration_events = 1000.*200 electron recoils leaks; raise pool.er_events"):
        populate(pool, {R: make_scores(pool)}, backgrounds, idealised=True, bandwidth=1.0, relative_floor=1e-12,
                 stream_key=("test",), calibration_events=1e3)  # fmt: skip


def test_captures_leak_and_a_calibration_by_betas_has_none_of_them():
    """What has events of its own and is an electron recoil leaks as others do; what is none does not."""
    from engine.inference.population import Background, populate
    from tests.inference.conftest import ENERGY_KEV, flat, make_pool, make_scores

    pool, kinds = make_pool(4000), ("ER", "NR", "capture")
    own = (pool.kind == 0) & (np.arange(len(pool.kind)) % 4 < 2)
    leaky = (pool.kind == 0) & (np.arange(len(pool.kind)) % 40 < 3)  # of either
    pool = replace(pool, kind=np.where(own, 2, pool.kind), kinds=kinds, n_thrown=np.array([2000, 4000, 2000]),
                   cs2_pe=np.where(leaky, 1.0, pool.cs2_pe))  # fmt: skip
    backgrounds = [Background(kind, kind, flat(1 / ENERGY_KEV.get(kind, ENERGY_KEV["ER"])), 0.0) for kind in kinds]

    def populated(**options):
        return populate(pool, {R: make_scores(pool)}, backgrounds, idealised=True, bandwidth=1.0, relative_floor=1e-12,
                        stream_key=("test",), calibration_events=1e3, **options)  # fmt: skip

    betas, with_captures = populated(), populated(er_kinds=("ER", "capture"))
    assert betas.leaks.any() and not betas.leaks[own].any() and with_captures.leaks[own].any()
    np.testing.assert_array_equal(betas.leaks[~own], with_captures.leaks[~own])
    assert with_captures.leakage == betas.leakage == leakage.LeakagePrior(leaked=1e3 * betas.er_leakage)
    assert with_captures.er_leakage == pytest.approx((with_captures.weights[:, with_captures.leaks].sum())
                                                     / with_captures.weights[:, pool.kind != 1].sum())  # fmt: skip


def test_rates_that_share_a_nuisance_move_together():
    """Table 3: 7Be and pp are one solar rate; a count of both has the sum's spread, and not the roots of squares."""
    from engine.inference.population import Background, populate
    from tests.inference.conftest import flat, make_pool, make_scores

    pool = make_pool(2000)
    backgrounds = [Background(name, "ER", flat(50.0), 0.1) for name in ("pp", "be7")]
    population = populate(
        pool, {R: make_scores(pool)}, backgrounds, idealised=False, bandwidth=1.0, relative_floor=1e-12,
        stream_key=("test",),
    )  # fmt: skip
    assert population.null(None, 1.0).drawn.grouped.names == ("er_solar",)
    law = count.prepare(population.null(None, 1.0), configure(count, {})).distributions(np.zeros(2000))[0]
    (drawn,) = cells.background_toys(population, 1.0, "null", [choice(count)], 20_000)
    mean, variance = 1000.0, 1000.0 + 100.0**2
    assert drawn.n_events.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 20_000))
    assert drawn.n_events.var() == pytest.approx(variance, rel=0.04)
    n, theta = int(mean + 2 * np.sqrt(variance)), np.linspace(0.2, 1.8, 2001)
    expected = np.trapezoid(stats.norm.pdf(theta, 1, 0.1) * stats.poisson.sf(n - 1, mean * theta), theta)
    assert law.sf(np.array([n]))[0] == pytest.approx(expected, rel=1e-6)
