"""A study's systematics from its section to its table: what is thrown anew, what is not, and what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest
from scanned import scored
from studies import TINY

from engine import schemas, study
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.inference.significance import z_one_sided
from engine.physics.spectra.wimp_si import SIZE
from engine.plan.plan import Plan
from engine.plan.variations import DOWN, UP, Variation, variations
from engine.plots.systematics import inflation
from engine.report import figures
from engine.run import pipeline
from engine.stages import items, systematics, tables
from engine.store.store import Ledger, Store

ASKED = (
    "systematics.leakage_factor=2.0", "systematics.rates=true",
    "systematics.constants={ g1 = 0.05, electron_lifetime_us = 0.0 }",
)  # fmt: skip
SHORT = (
    'toys.statistics=["tail_count", "count"]', "toys.options.tail_count={ b0 = 300.0 }", 'toys.exact="none"',
    "grid.exposure_ty={ values = [20] }", "grid.m_chi_GeV={ values = [50] }", "grid.sigma_si_cm2={ values = [1e-47] }",
    "toys.null=200", "toys.signal=200",
)  # fmt: skip


def tiny(*settings: str) -> study.Study:
    return study.load(str(TINY), settings)


@pytest.fixture(scope="module")
def outcome(reference, tmp_path_factory):
    store = scored(reference, tmp_path_factory.mktemp("systematics") / "store")
    return pipeline.run(tiny(*SHORT, *ASKED), Store(str(store)), workers=0), store


SEEDED = (
    *SHORT, "systematics.rates=true", 'toys.exact="benchmark"', "training.n_seeds=3", "events.train_per_kind=100",
    "benchmark.sigma_si_cm2=3e-47", "pool.er_events=2000", "pool.nr_events=2000",
)  # fmt: skip


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    store = tmp_path_factory.mktemp("seeds") / "store"
    return pipeline.run(tiny(*SEEDED), Store(str(store)), workers=0), store


@pytest.fixture(scope="module")
def rows(outcome):
    return {(r["nuisance"], r["direction"], r["statistic"]): r for r in outcome[0]["systematics"].table.to_pylist()}


class TestPlan:
    def test_without_the_section_nothing_is_asked(self):
        plan = Plan(tiny())
        assert variations(plan.study) == () and plan.varied_shards == [] and systematics.places(plan) == {}
        assert items(plan)["systematics"] == []

    def test_the_section_changes_no_item_of_the_scan(self):
        plain, asked = Plan(tiny()), Plan(tiny(*ASKED))
        assert asked.table == plain.table and asked.stream_key == plain.stream_key
        assert set(items(plain)["scores"]) < set(items(asked)["scores"])

    def test_only_shifted_constants_throw_a_pool(self):
        plan = Plan(tiny(*ASKED))
        n_pool = len(plan.shards["pool"])
        assert {shard.shift for shard in plan.varied_shards} == {(("g1", 0.05),), (("g1", -0.05),)}
        assert len({shard.item for shard in plan.varied_shards}) == 2 * n_pool

    def test_a_shift_of_zero_is_the_nominal_pool(self):
        plan = Plan(tiny(*ASKED))
        for direction in (UP, DOWN):
            shift = Variation("electron_lifetime_us", direction, 0.0).shift
            assert plan.pool_shards("pool", shift) == plan.shards["pool"]

    def test_rows_follow_what_makes_them(self):
        rows = [
            set(systematics.items(Plan(tiny(*ASKED, *more))))
            for more in ((), ("systematics.leakage_factor=3.0",), ("benchmark.m_chi_GeV=40.0",))
        ]
        factor, mass = rows[0] ^ rows[1], rows[0] & rows[2]
        assert len(factor) == 2 * 3 * 2 * 2  # three directions, two exposures, two statistics, before and after
        assert not mass


class TestEvents:
    def test_a_shift_of_zero_simulates_the_same_bytes(self):
        plan = Plan(tiny())
        shard = replace(plan.shards["pool"][0], n_thrown=200)
        columns, features = sample(plan, shard, ["vector"])
        unmoved = replace(shard, shift=(("g1", 0.0), ("drift_field_V_cm", 0.0)))
        again, same = sample(plan, unmoved, ["vector"])
        assert features["vector"].tobytes() == same["vector"].tobytes()
        assert all((columns[name] == again[name]).all() for name in columns)

    def test_a_shifted_constant_is_an_error_of_reconstruction(self):
        plan = Plan(tiny())
        shard = replace(plan.shards["pool"][0], n_thrown=2000)
        nominal, _ = sample(plan, shard)
        brighter, _ = sample(plan, replace(shard, shift=(("g1", 0.1),)))
        shorter, _ = sample(plan, replace(shard, shift=(("electron_lifetime_us", -0.3),)))
        assert (brighter["energy_keV"] == nominal["energy_keV"]).all()
        assert brighter["cs1_pe"].mean() / nominal["cs1_pe"].mean() == pytest.approx(1.1, abs=0.01)
        late = nominal["drift_us"] > 1200
        tpc = plan.study.detector.constants
        lost = np.exp(-nominal["drift_us"][late] / tpc.electron_lifetime_us * (1 / 0.7 - 1)).mean()
        assert shorter["cs2_pe"][late].mean() / nominal["cs2_pe"][late].mean() == pytest.approx(lost, abs=0.01)
        assert lost < 0.96


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("systematics.constants={ g2 = 0.1 }", "unknown detector constant to vary 'g2'"),
        ("systematics.constants={ s1_coincidence = 0.1 }", "unknown detector constant to vary 's1_coincidence'"),
        ("systematics.constants={ g1 = -0.1 }", "systematics.constants.g1"),
        ("systematics.constants={ g1 = 0.5 }", "systematics.constants.g1"),
        ("systematics.leakage_factor=0.5", "systematics.leakage_factor"),
        ("systematics.leak=2.0", "unknown key 'leak'"),
    ],
)
def test_a_mistake_is_named(setting, said):
    with pytest.raises(BadInput, match=said):
        tiny(setting)


def test_what_the_rest_of_the_study_does_not_carry_is_refused():
    with pytest.raises(BadInput, match="systematics.constants.extraction = 0.3: .* is not valid"):
        tiny("detector.extraction=0.9", "systematics.constants={ extraction = 0.3 }")
    with pytest.raises(BadInput, match="template_likelihood have no exact law.*toys.null = 1500, at least 5000"):
        tiny('toys.statistics=["template_likelihood"]', "systematics.rates=true")


class TestTable:
    def test_every_row_once_with_units(self, outcome):
        table = outcome[0]["systematics"].table
        assert table.schema.equals(schemas.systematics(SIZE), check_metadata=True)
        assert table["lineage"].to_pylist() == systematics.items(outcome[0].plan)
        assert len(table) == (3 + 1 + 2 * 2) * 2

    def test_a_shift_of_zero_changes_no_number(self, rows):
        for statistic in ("tail_count", "count"):
            row = rows["electron_lifetime_us", UP, statistic]
            assert (row["inflation"], row["threshold_shift"], row["inflation_error"]) == (1.0, 0.0, 0.0)
            assert row["n_background_varied"] == row["n_background"]
            assert row["power_varied"] == row["power"]

    def test_the_leak_moves_b_by_itself(self, outcome, rows):
        leaked = outcome[0].population.null(None, 20.0).drawn.n_leaking
        up, down = rows["leakage", UP, "tail_count"], rows["leakage", DOWN, "tail_count"]
        assert up["n_background_varied"] - up["n_background"] == pytest.approx(leaked)
        assert down["n_background"] - down["n_background_varied"] == pytest.approx(leaked / 2)
        assert up["inflation"] >= 1 >= down["inflation"]

    def test_rates_are_drawn_against_known_ones(self, rows):
        row = rows["rates", "drawn", "count"]
        assert row["rates"] == "idealised" and rows["leakage", UP, "count"]["rates"] == "prior_predictive"
        assert row["inflation"] > 1.5  # 3 % of 666 events are 20, where Poisson's error is 26

    def test_figure_and_file_and_words(self, outcome):
        files = figures.draw(outcome[0].plan, outcome[0])
        assert {"systematics_20ty.png", "systematics.parquet"} <= set(files)
        lines = list(systematics.lines(outcome[0]["systematics"], outcome[0].plan.study))
        assert len(lines) == 2 and "leakage up x" in lines[0] and "20 t y" in lines[0]
        axes, beside = inflation(outcome[0]["systematics"].table, 20.0).axes
        assert len(axes.get_yticklabels()) == len(variations(outcome[0].plan.study))
        assert len(beside.lines) == 2 * 2  # the nominal power and the other, of two statistics


class TestSeeds:
    """Two further fits of small networks: their rows beside the scan's."""

    def test_every_further_fit_is_a_row_of_what_sees_its_score(self, seeded):
        rows = seeded[0]["systematics"].table.to_pylist()
        found = [(row["amount"], row["statistic"]) for row in rows if row["nuisance"] == "training_seed"]
        assert found == [(4.0, "tail_count"), (5.0, "tail_count")] and len(rows) == 2 + 2
        assert seeded[0]["systematics"].table.schema.equals(schemas.systematics(SIZE))

    def test_it_costs_no_fit_and_no_event(self, seeded):
        plan = seeded[0].plan
        without = Plan(tiny(*SEEDED, "systematics.rates=false"))
        assert [len(systematics.items(one)) for one in (plan, without)] == [4, 2]
        plans = [items(pipeline.plan_of(one.study)) for one in (plan, without)]
        assert all(plans[0][stage] == plans[1][stage] for stage in plans[0] if stage != "systematics")

    def test_z_is_that_of_the_laws_behind_the_seed_error(self, seeded):
        outcome, store = seeded
        plan, ledger = outcome.plan, Ledger(Store(str(store)))
        (first,) = [row for row in outcome.table.to_pylist()
                    if row["statistic"] == "tail_count" and row["point"] == "benchmark"]  # fmt: skip
        of_seeds = [
            z_one_sided(row["p_exact"])
            for sibling in plan.siblings
            for row in ledger.rows(list(sibling.exact), "lineage").to_pylist()
            if sibling.exact[row["lineage"]][2] == "tail_count"
        ]  # fmt: skip
        rows = [row for row in outcome["systematics"].table.to_pylist() if row["nuisance"] == "training_seed"]
        assert [row["z"] for row in rows] == pytest.approx([first["z_exact"]] * 2, rel=1e-12)
        assert [row["z_varied"] for row in rows] == pytest.approx(of_seeds, rel=1e-12)
        assert first["z_seed_error"] == pytest.approx(np.std([first["z_exact"], *of_seeds], ddof=1)) and of_seeds[0] > 0

    def test_what_cannot_be_carried_over_is_null(self, seeded):
        for row in seeded[0]["systematics"].table.to_pylist():
            of_seed = row["nuisance"] == "training_seed"
            assert all((row[name] is None) == of_seed for name in systematics.OF_TRUTHS)
            assert all((row[name] is None) != of_seed for name in systematics.OF_SEEDS)
            assert row["threshold_shift"] == row["threshold_varied"] - row["threshold"]  # of counts
            assert row["false_alarm"] <= 1.35e-3 and 0 < row["power_recalibrated"] <= 1

    def test_a_threshold_in_the_unit_of_a_score_is_not_shifted(self, seeded):
        plan = seeded[0].plan
        again = tiny(*SEEDED, 'toys.statistics=["extended_poisson"]', "toys.options={}", "systematics.rates=false")
        outcome = pipeline.run(again, Store(str(seeded[1])), workers=0)
        assert outcome.computed["scores"] == outcome.computed["models"] == 0 and plan.models == outcome.plan.models
        for row in outcome["systematics"].table.to_pylist():
            assert row["threshold_shift"] is None and row["threshold_varied"] != row["threshold"]

    def test_lines_and_figure_show_the_power(self, seeded):
        lines = systematics.lines(seeded[0]["systematics"], seeded[0].plan.study)
        (said,) = [line for line in lines if line.startswith("power at 3 sigma, 20 t y, tail_count")]
        assert "with seed 4, not" in said and "with seed 5, not" in said
        axes, beside = inflation(seeded[0]["systematics"].table, 20.0).axes
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            "rates drawn", "training seed 4", "training seed 5"]  # fmt: skip
        row = seeded[0]["systematics"].table.to_pylist()[-1]
        assert any(row["power_recalibrated"] in line.get_xdata() for line in beside.lines)

    def test_a_lost_row_comes_back_the_same(self, seeded, tmp_path):
        copy = shutil.copytree(seeded[1], tmp_path / "store")
        item = seeded[0]["systematics"].table["lineage"].to_pylist()[-1]
        path = copy / Ledger(Store(str(copy))).entries[item].path
        path.unlink()
        again = pipeline.run(seeded[0].plan.study, Store(str(copy)), workers=0)
        assert {stage: n for stage, n in again.computed.items() if n} == {"systematics": 1}
        assert path.read_bytes() == (seeded[1] / "systematics" / path.name).read_bytes()


class TestResume:
    def test_what_exists_is_not_computed_again(self, outcome):
        again = pipeline.run(outcome[0].plan.study, Store(str(outcome[1])), workers=0)
        assert set(again.computed.values()) == {0}
        assert again["systematics"].table.equals(outcome[0]["systematics"].table)
        finished = pipeline.finished(outcome[0].plan.study, Store(str(outcome[1])))
        assert finished["systematics"].table.equals(again["systematics"].table)

    def test_what_is_gone_comes_back_the_same(self, outcome, tmp_path):
        copy = shutil.copytree(outcome[1], tmp_path / "store")
        gone = sorted((copy / "systematics").iterdir())[:2]
        for path in gone:
            path.unlink()
        again = pipeline.run(outcome[0].plan.study, Store(str(copy)), workers=0)
        assert again.computed["systematics"] == 2 and again.computed["scores"] == 0
        for path in gone:
            assert path.read_bytes() == (outcome[1] / "systematics" / path.name).read_bytes()

    def test_a_way_without_an_answer_leaves_the_others(self, outcome, tmp_path, monkeypatch):
        copy = shutil.copytree(outcome[1], tmp_path / "store")
        for lost in ("systematics", "ledger"):  # what else is there is found without a ledger
            shutil.rmtree(copy / lost)
        known = systematics._varied

        def refuse(plan, variation, truth):
            if (variation.nuisance, variation.direction) == ("g1", DOWN):
                raise ValueError("no answer")
            return known(plan, variation, truth)

        monkeypatch.setattr(systematics, "_varied", refuse)
        pipeline.run(outcome[0].plan.study, Store(str(copy)), workers=0)
        ledger, whole = Ledger(Store(str(copy))), Ledger(Store(str(outcome[1])))
        assert {failure.name for failure in ledger.failures.values()} == {
            "g1, tail_count_R10000, 20 t y, down -0.05", "g1, count, 20 t y, down -0.05"}  # fmt: skip
        left = [item for item in systematics.items(outcome[0].plan) if item in ledger.entries]
        assert len(left) == len(systematics.items(outcome[0].plan)) - 2
        assert ledger.rows(left, "lineage").equals(whole.rows(left, "lineage"))

    def test_the_scan_alone_serves_the_section_later(self, outcome):
        plan = Plan(tiny(*SHORT))
        ledger = Ledger(Store(str(outcome[1])))
        assert all(item in ledger.entries for stage in items(plan).values() for item in stage)
        assert tables.table(plan, ledger).filter(pc.field("n_background") > 0).num_rows > 0


# The charge yield of 124Xe

CAPTURES = ("backgrounds.components=['pp','xe124_ec','atm']", "pool.component_events=2000",
            "systematics.components={ xe124_ec = { charge_yield_ratio_LL = [0.65, 0.87] } }")  # fmt: skip


def test_a_charge_yield_moves_the_captures_and_no_recoil():
    plan = Plan(tiny(*SHORT, *CAPTURES))
    up, down = variations(plan.study)
    assert [(v.nuisance, v.direction, v.amount) for v in (up, down)] == [
        ("xe124_ec.charge_yield_ratio_LL", UP, 0.87), ("xe124_ec.charge_yield_ratio_LL", DOWN, 0.65)]  # fmt: skip
    assert {shard.kind for shard in plan.varied_shards} == {"xe124_ec"} and len(plan.varied_shards) == 2
    nominal, moved = plan.pool_shards(), plan.pool_shards("pool", up.shift)
    assert [a.item == b.item for a, b in zip(nominal, moved, strict=True)] == [a.kind != "xe124_ec" for a in nominal]
    charge = {}
    for shard in (nominal[-1], *plan.varied_shards):
        columns, _ = sample(plan, shard)
        charge[dict(shard.shift).get(up.nuisance, 0.70)] = columns["cs2_pe"][columns["energy_keV"] > 8].mean()
    assert charge[0.87] / charge[0.70] == pytest.approx(0.87 / 0.70, rel=0.01)  # as many electrons, and as much light
    assert charge[0.65] / charge[0.70] == pytest.approx(0.65 / 0.70, rel=0.01)


def test_a_charge_yield_is_a_row_of_the_table(reference, tmp_path):
    store = scored(reference, tmp_path / "store")
    done = pipeline.run(tiny(*SHORT, *CAPTURES), Store(str(store)), workers=0)
    rows = done["systematics"].table.to_pylist()
    assert {(row["direction"], row["amount"]) for row in rows} == {(UP, 0.87), (DOWN, 0.65)}
    assert all(row["nuisance"] == "xe124_ec.charge_yield_ratio_LL" for row in rows)
    count = [row for row in rows if row["statistic"] == "count"]
    assert all(0.9 < row["n_background_varied"] / row["n_background"] < 1.1 for row in count)  # CES is what it was


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ("{ xe124 = {} }", "component to vary 'xe124'"),
        ("{ pp = { scale = [0.9, 1.0] } }", "option of 'pp' that moves its events 'scale'"),
        ("{ xe124_ec = { width_keV = [0.1, 0.3] } }", "option of 'xe124_ec' that moves its events 'width_keV'"),
        ("{ xe124_ec = { charge_yield_ratio_LL = [0.65, 1.2] } }", "charge_yield_ratio_LL: .*less than or equal to 1"),
        ("{ xe124_ec = { charge_yield_ratio_LL = [0.87, 0.65] } }", "low < high"),
    ],
)
def test_what_cannot_be_moved_of_a_component_is_refused(components, said):
    with pytest.raises(BadInput, match=said):
        tiny(*SHORT, *CAPTURES[:2], f"systematics.components={components}")
