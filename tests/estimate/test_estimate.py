"""What a scan says of itself before it starts: the right counts, costs of the right size, and nothing left behind."""

import json
import shutil
from dataclasses import replace

import pytest
from studies import PAIRS, TINY

import zoo
from engine import estimate, plugins, stages, study
from engine.estimate import calibration, costs, measure
from engine.estimate.costs import Cost, Costs
from engine.estimate.estimate import of_stage
from engine.plan.members import plan_of
from engine.plan.plan import Plan
from engine.stages import STAGES
from engine.store.store import Ledger, Store

CHEAP = ("toys.exact=none", "limits.enabled=false", "toys.statistics=['count']")
FEW = ("events.train_per_kind=100", "pool.er_events=400", "pool.nr_events=400", "toys.null=1000", "toys.signal=1000")


def load(*settings, path=TINY):
    return study.load(str(path), settings)


@pytest.fixture(scope="module")
def known() -> Costs:
    """The costs that ship, at the pace of the machine that they are from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "pace", lambda: 1.0)
        return costs.shipped()


@pytest.fixture
def of(known, tmp_path):
    """The stages of an estimate for an empty store, by name."""

    def make(parsed, store=None):
        return {stage.name: stage for stage in estimate.estimate(parsed, store or none(tmp_path), known).stages}

    return make


def none(folder) -> Store:
    return Store(str(folder / "none"), create=False)


class TestCounts:
    def test_items_are_the_plans_and_none_is_done(self, of, tmp_path):
        found = of(load(*CHEAP))
        items = stages.items(Plan(load(*CHEAP)))
        assert {name: stage.items for name, stage in found.items()} == {name: len(some) for name, some in items.items()}
        assert not any(stage.done for stage in found.values()) and not (tmp_path / "none").exists()

    def test_a_finished_store_misses_nothing(self, reference, tmp_path, of):
        store = tmp_path / "store"
        shutil.copytree(reference.store, store)
        before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
        found = of(load(), Store(str(store), create=False))
        assert all((stage.done, stage.core_s, stage.n_bytes) == (stage.items, 0, 0) for stage in found.values())
        assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
        (plan, ledger) = Plan(load()), Ledger(Store(str(store)))
        (store / ledger.entries[plan.shards["train"][0].item].path).unlink()
        events = of(load(), Store(str(store), create=False))["events"]
        assert (events.items - events.done, events.core_s > 0) == (1, True)

    def test_what_is_missing_costs_something(self, of):
        tables = {stage.TABLES for stage in STAGES if hasattr(stage, "TABLES")}
        for name, stage in of(load("reach.enabled=true", "systematics.rates=true")).items():
            assert (stage.core_s > 0) == (stage.n_bytes > 0) == (stage.items > 0 and name not in tables), name
            assert not stage.priced_as

    def test_of_two_seeds_all_items_are_counted_once(self, of):
        seeds, one = of(load("training.n_seeds=2")), of(load())
        joint = stages.items(plan_of(load("training.n_seeds=2")))
        assert {name: stage.items for name, stage in seeds.items()} == {name: len(some) for name, some in joint.items()}
        assert seeds["models"].core_s == pytest.approx(2 * one["models"].core_s)
        assert seeds["cells"].core_s == one["cells"].core_s and seeds["exact"].core_s > one["exact"].core_s

    def test_of_a_comparison_members_share_events_and_no_cells(self, of):
        found, plan = of(load(path=PAIRS)), plan_of(load(path=PAIRS))
        assert found["cells"].items == sum(len(one.cells) for one in plan.members.values())
        assert found["events"].items == len(plan.shards["train"]) and found["paired"].core_s > 0

    def test_rounds_of_refinement_are_at_most_what_halving_takes(self, of):
        rounds = of(load(*CHEAP, "grid.refine={log10_sigma=0.3}"))["rounds"]
        assert rounds.items == 3 * 2 * 2 * 2 and rounds.core_s > 0  # a decade: halved twice


class TestPrice:
    def test_it_is_linear_in_what_is_missing(self, of):
        one, more = of(load(*CHEAP)), of(load(*CHEAP, "toys.signal=3000", "pool.er_events=10000"))
        assert more["cells"].core_s == pytest.approx(2 * one["cells"].core_s)
        assert more["scores"].core_s > one["scores"].core_s

    def test_every_choice_that_ships_has_a_cost(self, known):
        plain = "reach.enabled=true", "systematics.rates=true"
        for path, settings in ((TINY, plain), (PAIRS, ())):
            plan = plan_of(load(*settings, path=path))
            for stage in STAGES:
                for part in [plan, *getattr(plan, "parts", [])]:
                    if hasattr(stage, "items") and part.has(stage.NAME) and hasattr(part, "cells"):
                        amounts = of_stage(stage, part, set(stage.items(part)))
                        assert not known.of(stage.NAME, amounts, 1)[1], stage.NAME

    def test_every_representation_and_family_has_a_cost(self, known):
        views = {*plugins.names("engine.physics.representations"), "events"}
        assert views - {"events"} == set(known.known["events"]) and views - {"events"} < set(known.known["scores"])
        kinds = {name: zoo.declared(name).KIND for name in zoo.names()}
        unsized = {name for name in kinds if not hasattr(zoo.declared(name), "size")}
        for stage in ("models", "scores"):
            alone = {name for name in known.known[stage] if " " not in name} - views - {"thrown"}
            assert alone == {name for name in unsized if kinds[name] != "regressor"}

    def test_a_fit_is_priced_by_steps_and_by_how_large_it_is(self, of):
        def models(**vae):
            whole = {"name": "dense_vae", "hidden": [2000, 500], "latent": 128, "batch_size": 10, "epochs": 30} | vae
            changed = [f"models.vae.{key}={json.dumps(value)}" for key, value in whole.items()]
            return of(load(*CHEAP, "events.train_per_kind=20000", *changed))

        printed = models()
        assert not printed["models"].priced_as and not printed["scores"].priced_as
        for smaller in ({"batch_size": 100}, {"hidden": [256, 64]}):
            assert models(**smaller)["models"].core_s < 0.5 * printed["models"].core_s
        bent = models(activation="relu")["scores"].core_s
        assert models(activation="relu", hidden=[256, 64])["scores"].core_s < 0.5 * bent
        # without activations all layers are scored as one
        assert models(hidden=[256, 64])["scores"].core_s == printed["scores"].core_s < 0.5 * bent
        watched, less = models(watch_nr=True)["models"], models(epochs=15)["models"]
        assert less.core_s < printed["models"].core_s < watched.core_s < 2 * printed["models"].core_s

    def test_what_has_no_cost_is_priced_as_the_dearest_and_said(self, known):
        known = replace(known, known={"exact": {"a": 1.0, "b": 2.0, "a by toys": 50.0}}, item_bytes={"exact": 8.0})
        cost, unknown = known.of("exact", {"a": 3.0, "mine": 1.0}, 4)
        assert (cost, unknown) == (Cost(5.0, 32.0), ("mine",))
        assert known.of("exact", {"mine by toys": 1.0}, 1)[0].core_s == 50

    def test_a_slower_machine_takes_longer_and_writes_as_much(self, known, monkeypatch):
        monkeypatch.setattr(costs, "pace", lambda: 0.5)
        cells, twice = (one.known["cells"]["count"] for one in (known, costs.shipped()))
        assert twice == 2 * cells

    def test_the_pace_is_measured(self):
        assert costs.pace(0.05) > 0


class TestCalibration:
    def test_the_copy_is_small_and_asks_the_same(self):
        raw = study.read(str(TINY), ("toys.statistics=['tail_count','count']", "training.n_seeds=2"))
        small = study.parse(calibration.shrunk(raw, study.parse(raw)))
        assert small.toys.statistics == ("tail_count", "count") and small.training.n_seeds == 2
        assert small.grid.exposure_ty.points() == (20, 50) and len(small.grid.m_chi_GeV.points()) == 1
        assert small.events.train_per_kind == 300 and small.toys.null == 1500

    def test_of_a_comparison_every_member_is_fitted_shortly(self):
        raw = study.read(str(PAIRS))
        small = study.parse(calibration.shrunk(raw, study.parse(raw)))
        configs = [model.config for some in small.compare.alternatives.values() for model in some.values()]
        assert [config["epochs"] for config in configs] == [2] * 3 and len(small.members) == 2

    def test_a_family_that_nobody_named_is_fitted_shortly(self):
        raw = {name: section for name, section in study.read(str(TINY)).items() if name != "models"}
        small = study.parse(calibration.shrunk(raw, study.parse(raw)))
        assert [model.config["epochs"] for model in small.models.values()] == [2, 2]

    def test_factors_are_those_of_a_copy_in_memory(self, known, tmp_path):
        raw = study.read(str(TINY), (*CHEAP, *FEW))
        half = replace(known, known={stage: {name: core_s * 0.01 for name, core_s in rows.items()}
                                     for stage, rows in known.known.items()})  # fmt: skip
        parsed, store = study.parse(raw), none(tmp_path)
        first, second = (calibration.calibrated(raw, parsed, one) for one in (known, half))
        prices = [estimate.estimate(parsed, store, one) for one in (first, second)]
        assert prices[0].n_bytes == pytest.approx(prices[1].n_bytes, rel=0.1)  # whatever the costs were
        assert {"events", "models", "scores", "nulls", "cells"} <= first.factors.keys()
        assert "small copy" in prices[0].how and not (tmp_path / "none").exists()


def test_costs_are_solved_from_stages_that_do_several_things():
    rows = [
        ({"a": 2.0}, 1, Cost(2.0, 8)),
        ({"a": 1.0, "b": 1.0}, 1, Cost(4.0, 8)),
        ({"c": 1.0, "d": 1.0}, 1, Cost(2.0, 8)),
    ]
    assert measure.solved(rows) == pytest.approx({"a": 1, "b": 3, "c": 1, "d": 1}, rel=0.01)


def test_the_command_says_it_for_people_and_machines(run_here, tmp_path):
    said = run_here("scan", TINY, "--store", "nowhere", "--plan").stdout
    assert "core-hours" in said and "nothing was written" in said and not (tmp_path / "nowhere").exists()
    found = json.loads(run_here("scan", TINY, "--store", "nowhere", "--plan", "--json").stdout)
    assert found["core_h"] == pytest.approx(sum(stage["core_s"] for stage in found["stages"]) / 3600)
    assert "--plan" in run_here("scan", TINY, "--calibrate", check=2).stderr
