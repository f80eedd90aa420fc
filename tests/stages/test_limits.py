"""Upper limits as a result of a scan: what is asked for, kept, said and drawn."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from studies import TINY

from engine import schemas, stages, study
from engine.assembly.inputs import Inputs
from engine.assembly.population import signal_weights
from engine.assembly.results import Result
from engine.errors import BadInput
from engine.inference import experiments
from engine.inference.pools import TOY_HALF
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.report.figures import draw
from engine.report.tracking import records
from engine.run import pipeline
from engine.size import STRENGTH
from engine.stages import limits
from engine.store.store import Ledger, Store
from engine.store.units import commit

SMALL = (
    "events.train_per_kind=300", "pool.er_events=4000", "pool.nr_events=4000", "toys.null=1000", "toys.signal=1000",
    "grid.exposure_ty.values=[20,80]", "grid.m_chi_GeV.values=[20,100]", "grid.sigma_si_cm2.values=[1e-47]",
    "models.vae.epochs=1", "toys.statistics=['count']", "reach.enabled=false",
)  # fmt: skip


def load(*settings, path=TINY):
    return study.load(str(path), settings)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("limits") / "store"))
    return pipeline.run(load(*SMALL), store, workers=0), store


@pytest.fixture(scope="module")
def found(scanned):
    return {(row["exposure_ty"], row["m_chi_GeV"]): row for row in scanned[0]["limits"].table.to_pylist()}


@pytest.fixture(scope="module")
def of_strength(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peak")
    (folder / "peak.csv").write_text("energy_keV,rate\n3,0\n5,1\n7,0\n")
    text = TINY.read_text()
    grid = text[text.index("m_chi_GeV =") : text.index("exposure_ty =")]
    text = text.replace(grid, "strength = { values = [1] }\n")
    text += f'[signal]\nname = "user_table"\noptions = {{ path = "{folder / "peak.csv"}", kind = "ER" }}\n'
    (folder / "own.toml").write_text(text)
    settings = [one for one in SMALL if "m_chi" not in one and "sigma_si" not in one]
    settings += ["pool.er_events=2000", "pool.nr_events=2000", "events.train_per_kind=100"]
    store = Store(str(folder / "store"))
    return pipeline.run(load(*settings, path=folder / "own.toml"), store, workers=0), store


def item_at(plan, *place):
    """The item of the limit at an exposure and mass."""
    return next(item for item, where in limits.places(plan).items() if where == place)


def named(row):
    """A row of a part under the names that the table has."""
    return {SIZE.named(name.removeprefix("limit_")) if name in schemas.LIMITS_ON_SIZE else name: value
            for name, value in row.items()}  # fmt: skip


def computed(plan, population, weights, place):
    """The row at a place, under the names that the table has."""
    (part,) = limits.work(plan, population, weights, place[0], [place[1]])
    return named(part.content.to_pylist()[0])


def alone(outcome, *settings):
    """The row at 20 t y and 50 GeV of another kind of limit on the same pool, and what is said of it."""
    plan = Plan(load(*SMALL, *settings))
    row = computed(plan, outcome.population, {50.0: signal_weights(plan.study.signal.at(50.0), outcome.population)},
                   (20.0, 50.0))  # fmt: skip
    table = pa.Table.from_pylist([row | {"m_chi_GeV": 50.0, "exposure_ty": 20.0}])
    return row, next(limits.lines(Result(table, None), plan.study))


class TestScan:
    def test_every_mass_has_a_limit_at_every_exposure(self, scanned, found):
        schema = scanned[0]["limits"].table.schema.remove_metadata()
        assert schema.equals(schemas.limits(SIZE), check_metadata=True)
        assert schemas.limits(SIZE).field("sigma_si_90_cm2").metadata[b"unit"] == b"cm2"
        assert list(found) == [(t, m) for t in (20.0, 80.0) for m in (20.0, 50.0, 100.0)]
        for row in found.values():
            assert row["sigma_si_low_cm2"] < row["sigma_si_90_cm2"] < row["sigma_si_high_cm2"]
            low = pytest.approx(row["sigma_si_low_cm2"], rel=0.1)  # 0.16 against 0.1587
            assert row["sigma_si_power_constrained_cm2"] == low and row["power"] == 0.16
            assert row["method"] == "neyman" and row["statistic"] == "profile_likelihood" and row["model_dependent"]
            assert row["interval"] == "upper" and row["sigma_si_lower_end_cm2"] is None and row["n_toys"] == 500
            assert 0.01 < row["sigma_si_90_error_cm2"] / row["sigma_si_90_cm2"] < 0.2

    def test_no_limit_is_below_the_count_that_coverage_needs(self, found):
        """In the median: see `tests/inference/test_neyman.py`; within two errors."""
        for row in found.values():
            assert row["n_signal"] > np.log(5) * (1 - 2 * row["sigma_si_90_error_cm2"] / row["sigma_si_90_cm2"])

    def test_a_limit_falls_with_exposure_but_never_faster_than_one_without_background(self, found):
        for mass in (20.0, 50.0, 100.0):
            assert 1 < found[20.0, mass]["sigma_si_90_cm2"] / found[80.0, mass]["sigma_si_90_cm2"] <= 4.01

    def test_discovery_is_told_where_the_benchmark_is(self, found):
        for (_, mass), row in found.items():
            assert all((row[name] is None) == (mass != 50.0) for name in limits.DISCOVERY)
        few, more = found[20.0, 50.0], found[80.0, 50.0]
        assert 1 < few["z_discovery_asymptotic"] < more["z_discovery_asymptotic"] < 2.01 * few["z_discovery_asymptotic"]
        assert more["discovery_tail"] == "bound" and more["z_discovery"] == pytest.approx(stats.norm.isf(1 / 501))

    def test_a_row_counts_what_is_expected(self, scanned, found):
        outcome, row = scanned[0], found[80.0, 50.0]
        assert row["n_background"] == pytest.approx(outcome.population.n_background(80.0))
        assert row["left_out"] == ""
        weights = signal_weights(outcome.plan.study.signal.at(50.0), outcome.population)
        assert row["n_signal"] == pytest.approx(80 * weights.sum() * row["sigma_si_90_cm2"] / 1e-45)
        assert row["pool_limited"] == (min(row["signal_pool_size"], row["background_pool_size"]) < 400)

    def test_what_exists_is_not_computed_again(self, scanned):
        outcome, store = scanned
        assert outcome.computed["limits"] == 6 and outcome.computed["limit_tables"] == 1
        again = pipeline.run(outcome.plan.study, store, workers=0)
        assert not any(again.computed.values())
        assert again["limits"].table.equals(outcome["limits"].table) and again["limits"].path == outcome["limits"].path
        assert pipeline.finished(outcome.plan.study, store)["limits"].table.equals(outcome["limits"].table)

    def test_lost_rows_are_computed_alone_and_come_out_the_same(self, scanned):
        outcome, store = scanned
        ledger = Ledger(store)
        lost = ledger.entries[item_at(outcome.plan, 80.0, 50.0)]  # a part may hold the masses of one exposure
        ledger.set_aside(lost)
        ledger.flush()
        again = pipeline.run(outcome.plan.study, store, workers=0)
        assert {name: n for name, n in again.computed.items() if n} == {"limits": len(lost.items)}
        assert len(lost.items) <= 3
        assert limits.table(again.plan, Ledger(store)).equals(outcome["limits"].table)

    def test_a_limit_does_not_depend_on_what_else_is_missing(self, scanned, found):
        """One mass by itself: the row that it has among others."""
        outcome, store = scanned
        item = item_at(outcome.plan, 80.0, 50.0)
        (unit,) = limits.units(Inputs(outcome.plan, store, outcome.ledger), {item})
        assert unit.items == (item,) and unit.name == "limit at 50 GeV, 80 t y"
        *_, weights, exposure_ty = unit.arguments
        assert list(weights) == [50.0] and exposure_ty == 80.0 and unit.piece == 50.0
        row = computed(outcome.plan, outcome.population, weights, (80.0, 50.0))
        assert row["lineage"] == item and {**found[80.0, 50.0], **row} == found[80.0, 50.0]

    def test_a_signal_that_the_pool_does_not_hold_has_no_limit(self, scanned, tmp_path):
        plan, population = scanned[0].plan, scanned[0].population
        store, masses = Store(str(tmp_path)), [20.0, 50.0, 100.0]
        ledger, nothing = Ledger(store), dict.fromkeys(masses, np.zeros(len(population.pool.kind)))
        for exposure_ty in plan.exposures:
            ledger.add(commit(store, limits.work(plan, population, nothing, exposure_ty, masses)))
        limited = Result(limits.table(plan, ledger), None)
        for row in limited.table.to_pylist():
            assert row["method"] == "none" and row["pool_limited"]
            assert [row[name] for name in (*named(dict.fromkeys(limits.LIMIT)), *limits.DISCOVERY)] == [None] * 10
        said = list(limits.lines(limited, plan.study))
        assert said[1] == "limit at 50 GeV, 80 t y: none, the pool has no signal event" and len(said) == 2
        assert limits.metrics(limited, plan.study) == {}

    def test_a_component_that_one_half_lacks_is_left_out_and_named(self, scanned, found):
        plan, population = scanned[0].plan, scanned[0].population
        weights = population.weights.copy()
        weights[population.names.index("atm"), population.pool.half == TOY_HALF] = 0.0
        lacking = replace(population, weights=weights)
        signal = {100.0: signal_weights(plan.study.signal.at(100.0), population)}
        row = computed(plan, lacking, signal, (80.0, 100.0))
        assert row["left_out"] == "atm" and row["n_background"] < found[80.0, 100.0]["n_background"]
        assert row["sigma_si_90_cm2"] < found[80.0, 100.0]["sigma_si_90_cm2"]

    def test_it_is_said_drawn_and_recorded(self, scanned, found):
        outcome, store = scanned
        said = list(limits.lines(outcome["limits"], outcome.plan.study))
        assert len(said) == 2
        row = found[20.0, 50.0]
        assert said[0].startswith(f"limit at 50 GeV, 20 t y: {row['sigma_si_90_cm2']:.3g} [")
        assert "median 90 % CL, profile likelihood, Neyman construction by 500 toys" in said[0]
        assert f"; discovery of 6.5e-48 cm2: Z > 2.88, {found[80.0, 50.0]['z_discovery_asymptotic']:.2f}" in said[1]
        assert draw(outcome.plan, outcome, every=True)["plane_count_20ty.png"][:4] == b"\x89PNG"
        (scan,) = records.records("tiny", outcome.plan, store, outcome, {})
        assert scan.metrics["limits/sigma_si_90_cm2_20ty"] == row["sigma_si_90_cm2"]
        assert scan.metrics["z/profile_likelihood_20ty"] == row["z_discovery"]

    def test_an_asymptotic_limit_is_made_without_toys_and_says_so(self, scanned):
        row, said = alone(scanned[0], "limits.method=asymptotic")
        assert row["method"] == "asymptotic" and row["n_toys"] is None and row["sigma_si_90_error_cm2"] is None
        assert row["z_discovery"] is None and row["z_discovery_asymptotic"] > 1
        assert "profile likelihood, asymptotic" in said and "discovery of 6.5e-48 cm2: Z = " in said

    def test_a_unified_interval_ends_above_the_upper_limit(self, scanned, found):
        row, said = alone(scanned[0], "limits.interval=unified")
        assert row["interval"] == "unified" and row["sigma_si_lower_end_cm2"] == 0
        assert 1 < row["sigma_si_90_cm2"] / found[20.0, 50.0]["sigma_si_90_cm2"] < 1.6
        assert "median upper end of the unified 90 % CL interval" in said


def test_background_like_signal_is_counted_above_the_signals_median():
    """Four rows with one background event each; the signal sits in the upper two, mostly in the last."""
    content = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.2], [1.0, 0.3]])
    where = experiments.Experiment(np.array([[1.0, 0.1], [1.0, 0.2], [1.0, 0.3], [1.0, 0.4]]), content, np.zeros(2))
    assert experiments.like_signal(where) == pytest.approx(1.0)


class TestPlan:
    def test_masses_are_those_of_grid_and_benchmark(self, tiny):
        places = limits.places(Plan(load("benchmark.m_chi_GeV=35", path=tiny))).values()
        assert sorted({mass for _, mass in places}) == [20.0, 35.0, 50.0]

    def test_they_can_be_left_out_and_nothing_else_changes(self, tiny):
        on, off = Plan(load(path=tiny)), Plan(load("limits.enabled=false", path=tiny))
        assert len(limits.places(on)) == 4 and limits.places(off) == {}
        assert stages.items(on) | {"limits": [], "limit_tables": []} == stages.items(off)

    def test_another_network_or_score_leaves_them_and_another_pool_does_not(self, tiny):
        plan = Plan(load(path=tiny))
        for setting in ("models.vae.epochs=3", "score.R=[1.0]", "grid.sigma_si_cm2.values=[1e-46]", "toys.null=2000"):
            assert limits.places(Plan(load(setting, path=tiny))) == limits.places(plan)
        for setting in ("pool.er_events=6000", "seed=4", "limits.power=0.3", "backgrounds.rates='idealised'"):
            assert set(limits.items(Plan(load(setting, path=tiny)))).isdisjoint(limits.items(plan))

    def test_toys_and_seed_change_those_by_toys_alone(self, tiny):
        asymptotic = "limits.method=asymptotic"
        for setting in ("limits.toys=600", "seed=4"):
            of = [[limits.places(Plan(load(*more, path=tiny))) for more in (kind, (*kind, setting))]
                  for kind in ((), (asymptotic,))]  # fmt: skip
            assert set(of[0][0]).isdisjoint(of[0][1])
            assert (set(of[1][0]) == set(of[1][1])) == (setting != "seed=4"), "a seed makes another pool"

    def test_another_benchmark_changes_its_own_mass_alone(self, tiny):
        a, b = (limits.places(Plan(load(*more, path=tiny))) for more in ((), ("benchmark.sigma_si_cm2=1e-47",)))
        assert {a[item] for item in set(a) & set(b)} == {(20.0, 20.0), (50.0, 20.0)} and len(a) == len(b) == 4

    def test_amounts_are_limits_and_their_toys(self, tiny):
        for setting, toys in (("limits.toys=600", 2400), ("limits.method=asymptotic", 0)):
            plan = Plan(load(setting, path=tiny))
            assert limits.amounts(plan, set(limits.items(plan))) == {"limits": 4, "toys": toys}


class TestWithoutMass:
    """A line of electron recoils, whose limit is on its strength."""

    def test_a_limit_on_strength_is_in_the_table_and_said(self, of_strength):
        outcome, store = of_strength
        limited = outcome["limits"]
        assert limited.table.schema.remove_metadata().equals(schemas.limits(STRENGTH), check_metadata=True)
        rows = limited.table.to_pylist()
        assert [(row["m_chi_GeV"], row["exposure_ty"]) for row in rows] == [(None, 20.0), (None, 80.0)]
        for row in rows:
            assert row["strength_low"] < row["strength_90"] < row["strength_high"] and row["z_discovery"] > 0
        said = list(limits.lines(limited, outcome.plan.study))
        assert said[0].startswith(f"limit at 20 t y: {rows[0]['strength_90']:.3g} [") and "], median 90 % CL" in said[0]
        (scan,) = records.records("own", outcome.plan, store, outcome, {})
        assert scan.metrics["limits/strength_90_20ty"] == rows[0]["strength_90"]

    def test_on_much_background_it_is_of_the_size_of_a_counts_error(self, of_strength):
        """Above the least that covers, and below twice the limit of a bare count of all background, 1.28 sqrt(B)."""
        row = of_strength[0]["limits"].table.to_pylist()[1]
        assert np.log(5) < row["n_signal"] < 2.56 * np.sqrt(row["n_background"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("method=exact", "'neyman' or 'asymptotic'"), ("interval=both", "'upper' or 'unified'"),
        ("toys=499", "greater than or equal to 500"), ("power=0.1", "greater than or equal to 0.12"),
        ("toy=500", "toys"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tiny, setting, said):
    with pytest.raises(BadInput, match=said):
        load(f"limits.{setting}", path=tiny)


def test_a_unified_interval_is_by_toys(tiny):
    with pytest.raises(BadInput, match="a unified interval is by toys"):
        load("limits.method=asymptotic", "limits.interval=unified", path=tiny)
