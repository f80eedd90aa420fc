"""Models chosen by a battery: events of its own, what a trial is worth beside searches one by one, and resuming."""

import numpy as np
import pytest

import zoo
from engine import study
from engine.assembly.battery import Arena
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.inference import reach
from engine.plan.plan import Plan
from engine.plan.search_plan import SearchPlan
from engine.report import tuned
from engine.run.state import Run
from engine.run.tuning import objectives, rungs, search
from engine.store.scratch import Scratch
from engine.store.store import Ledger, read

SIGNALS = {
    "wimp": {"spectrum": "wimp_si", "m_chi_GeV": 50, "size": 1e-47},
    "neutrons": {"spectrum": "neutrons", "size": 200},
    "nothing": {"spectrum": "b8", "size": 1e-3},
}
STUDY = {
    "representation": {"name": "summary"},
    "models": {"vae": {"name": "dense_vae", "hidden": [8], "latent": 2, "epochs": 1, "batch_size": 50},
               "classifier": {"name": "summary_classifier", "epochs": 5}},
    "events": {"train_per_kind": 400}, "score": {"R": [100.0]}, "pool": {"er_events": 2000, "nr_events": 1000},
    "backgrounds": {"components": ["pp", "pb214", "atm"], "rates": "idealised"},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-46]}, "exposure_ty": {"values": [1]}},
    "toys": {"statistics": ["tail_count"], "options": {"tail_count": {"b0": 2.0, "exposure_ty": 5.0}}},
    "reach": {"exposure_ty": [0.5, 64], "p": 0.01, "groups": 2},
    "tune": {"R": {"values": [100.0, 1e5]}, "objective": "battery", "exposure_ty": 4, "trials": 2,
             "search": {"models.vae.beta": {"log": [0.1, 100]}}},
    "battery": {"signals": SIGNALS, "events": 400},
}  # fmt: skip


def of(**changed) -> study.Study:
    return study.parse(STUDY | changed)


@pytest.fixture(scope="module")
def finished():
    """A store in which models were chosen, and what came of it."""
    store = Scratch()
    return store, search.run(of(), store, workers=0)


def test_no_event_is_one_that_the_scan_scores():
    mine, scan = SearchPlan(of()), Plan(of())
    assert [s.kind for s in mine.battery_shards] == [s.kind for s in scan.battery_shards] == list(SIGNALS)
    assert not {s.item for s in mine.pool} & {s.item for purpose in ("pool", "test") for s in scan.shards[purpose]}
    for one, other in zip(mine.battery_shards, scan.battery_shards, strict=True):
        (a, _), (b, _) = sample(mine, one), sample(scan, other)
        assert one.item != other.item and not np.isin(a["cs2_pe"], b["cs2_pe"]).any()
        assert one.kind != "wimp" or not a["selected"].all(), "the window of the scan holds for the tuning too"


def test_a_trial_is_worth_the_median_of_what_each_signal_takes_by_itself(finished):
    store, found = finished
    ledger = Ledger(store)
    inputs = rungs.prepare(Run(found.plan, store, ledger))
    assert set(inputs.signals.oracle_ty) == {"wimp", "neutrons"}, "what no oracle finds has no ratio"
    for row in found.table.to_pylist():
        plan = found.plan.of({"models.vae.beta": row["models.vae.beta"]})
        fitted = {role: zoo.load(read(store, ledger.entries[item]), plan.family(role))
                  for role in plan.searched for item in plan.fits_of(role)}  # fmt: skip
        terms = inputs.population.pool.terms | rungs._terms(plan, fitted, store, inputs.features)
        arena = Arena(inputs.population, inputs.signals.alternatives).on(row["R"], plan.ts(terms, row["R"]))
        aim = reach.Aim(0.01, 0.5)
        z = {name: reach.read(arena.population, plan.choice(row["R"]), one.weights,
                              row["objective"] * inputs.signals.oracle_ty[name], aim).smooth_z
             for name, one in arena.alternatives.items()}  # fmt: skip
        assert row["state"] == "complete" and max(z.values()) == pytest.approx(aim.z, abs=0.15)
        assert min(z.values()) < aim.z, "of two it is the lower: the other signal takes longer than this ratio"
        assert 0 < row["objective_error"] < row["objective"] and row["m_chi_GeV"] is None


def test_it_is_said_what_models_were_chosen_on(finished):
    _, found = finished
    assert "median t3 of tail_count over the oracle's" in tuned.words(found)
    assert "3 signals of the battery" in tuned.tuned_on(found)
    assert not objectives.of("battery").LARGER_IS_BETTER


def test_again_it_computes_nothing_and_a_lost_oracle_alone(finished):
    store, found = finished
    assert found.computed["battery"] == 3 and found.computed["rungs"] == 2
    again = search.run(of(), store, workers=0)
    assert set(again.computed.values()) == {0} and again.table.equals(found.table)
    item = next(iter(found.plan.oracles))
    store.delete([Ledger(store).entries[item].path])
    again = search.run(of(), store, workers=0)
    assert {name: n for name, n in again.computed.items() if n} == {"battery": 1} and again.item == found.item


def test_what_a_trial_follows_from():
    plan, values = SearchPlan(of()), {"models.vae.beta": 3.0}
    for changed in ({"events": 600}, {"signals": SIGNALS | {"wimp": SIGNALS["wimp"] | {"size": 2e-47}}}):
        other = SearchPlan(of(battery=STUDY["battery"] | changed))
        assert other.of(values).rung_item(0) != plan.of(values).rung_item(0)
        assert other.oracles.keys() != plan.oracles.keys()
    assert plan.of(values).oracles.keys() == plan.oracles.keys(), "no model is in them"
    by_leakage = STUDY["tune"] | {"objective": "er_leakage"}
    assert SearchPlan(of(tune=by_leakage)).battery_shards == [] == list(SearchPlan(of(tune=by_leakage)).oracles)


def test_what_cannot_be_chosen_by_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"the study has no \[battery\]"):
        of(battery=None)
    with pytest.raises(BadInput, match="tune.objective: no 'battery'|'battery'"):
        of(tune={"R": STUDY["tune"]["R"], "objective": "battery"})
    with pytest.raises(BadInput, match=r"the oracle finds none of nothing within reach.exposure_ty = \[0.5, 64\]"):
        search.run(of(battery=STUDY["battery"] | {"signals": {"nothing": SIGNALS["nothing"]}}), Scratch(), workers=0)
