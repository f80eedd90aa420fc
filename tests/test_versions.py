"""Beside each stage's version, the hash of its output on a tiny input: a forgotten version bump fails here.

When a hash changes on purpose, raise the stage's version in `engine.plan.plan.VERSIONS` and put the new pair here.
Floats are rounded to six significant digits first, since another CPU type may differ in the last bits. Training
amplifies those, so fitted models and their scores are held by the means of their columns, to three digits; and
toys and cells run on terms made from the truth, so that no network moves them.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from studies import TINY

from engine import study
from engine.assembly import assemble
from engine.plan import asked
from engine.plan.event_plan import VERSIONS
from engine.plan.plan import Plan
from engine.plan.tune_plan import TunePlan
from engine.run.tuning import trials
from engine.stages import compute, work
from engine.store.parts import Entry, Part, encode, sha256
from engine.store.store import Ledger, Store

KNOWN = {
    "events": (1, "202fa8"),
    "scores": ((1, 1), "5becc5"),
    "nulls": (2, "9d6130"),
    "cells": (2, "9d23d2"),
    "trials": (2, "88a691"),
    "diagnostics": (1, "b1410d"),
}

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=400", "pool.nr_events=400",
    "toys.null=1000", "toys.signal=1000", "grid.exposure_ty.values=[5]", "grid.m_chi_GeV.values=[50]",
    "models.vae.epochs=1", "models.classifier.epochs=1",
    "tune.R={values=[1,100]}", "tune.exposure_ty=5", "tune.m_chi_GeV=[50]",
)  # fmt: skip


class Bench:
    """Runs the stages' own functions one after the other, without a cluster."""

    def __init__(self, folder, study_path):
        self.plan = Plan(study.load(str(study_path), SMALL))
        self.store = Store(str(folder))
        self.ledger = Ledger(self.store)
        self.output = {}

    def add(self, stage: str, parts: list) -> None:
        for part in parts:
            data = encode(part)
            self.store.put_new(part.path, data)
            self.ledger.add([Entry(part.path, sha256(data), part.items)])
            self.output.setdefault(stage, []).append(part.content)

    def simulate_and_fit(self) -> None:
        plan = self.plan
        for shard in plan.shards["train"]:
            self.add("events", work.simulate(plan, shard))
        for slot in plan.models:
            model = getattr(plan.study.models, slot)
            entries = [self.ledger.entries[shard.item] for shard in plan.training(model)]
            self.add("models", work.fit(plan, slot, self.store, entries))
        models = {slot: self.ledger.read(item) for slot, item in plan.models.items()}
        for shard in plan.shards["test"] + plan.shards["pool"]:
            events, *scored = work.score(plan, shard, list(plan.models), models)
            self.add("unscored", [events])
            self.add("scores", scored)

    def diagnose(self) -> None:
        plan, entries, populations = self.plan, self.ledger.entries, asked.populations(self.plan)
        scored = {name: [(entries[shard.item], entries[plan.score_item(shard, "classifier")]) for shard in shards]
                  for name, shards in populations.items()}  # fmt: skip
        events = {name: [entries[shard.item] for shard in shards] for name, shards in populations.items()}
        training = [entries[shard.item] for shard in plan.shards["train"]]
        self.add("diagnostics", compute.classifier(plan, self.store, scored))
        self.add("diagnostics", compute.floor(plan, self.store, training, events))
        model = self.ledger.read(plan.models["vae"])
        self.add("diagnostics", compute.network(plan, model, asked.sampled(plan)))

    def add_truth(self, purpose: str) -> None:
        plan = self.plan
        for shard in plan.shards[purpose]:
            self.add("truth", work.score(plan, shard, [], {}))
            for slot in plan.models:
                item = plan.score_item(shard, slot)
                self.add("terms", [Part(f"scores/{item}.parquet", (item,), terms(self.ledger.table(shard.item), slot))])

    def throw_toys(self) -> None:
        plan = self.plan
        self.add_truth("pool")
        population = assemble.population(plan, self.ledger)
        for hypothesis in ("null", "background"):
            self.add("nulls", work.background_toys(plan, population, 5.0, hypothesis, [0]))
        toys = {name: assemble.toys(plan, self.ledger, 5.0, name) for name in ("null", "background")}
        weights = assemble.signal_weights(plan.study.signal, population, 50.0)
        sigmas = list(plan.study.grid.sigma_si_cm2.points())
        self.add("cells", work.cells(plan, population, toys, weights, 5.0, 50.0, sigmas))

    def tune(self) -> None:
        plan = TunePlan(self.plan.study)
        self.add_truth("tune")
        population = assemble.population(plan, self.ledger, "tune", ())
        signals = assemble.signals(plan, population, plan.points)
        self.add("trials", trials.trial(plan, population, signals, 100.0))


def terms(truth: pa.Table, slot: str) -> pa.Table:
    """Terms as a network might give them, but made of the truth."""
    events = truth.filter(truth["selected"])
    cs1, cs2, ces, drift = (events[name].to_numpy() for name in ("cs1_pe", "cs2_pe", "ces_keVee", "drift_us"))
    if slot == "classifier":
        return pa.table({"logit": 20 * (2.3 - np.log10(cs2 / cs1))})
    return pa.table({"recon": -1e4 - 10 * ces, "kl": 20 + drift / 100})


def fingerprint(tables: list[pa.Table]) -> str:
    """Six hexadecimal digits of all numbers, rounded, and all words but the digests."""
    state = hashlib.sha256()
    for table in tables:
        for name in sorted(set(table.column_names) - {"lineage", "item"}):
            column = table[name].combine_chunks()
            column = column.flatten() if pa.types.is_list(column.type) else column
            if pa.types.is_floating(column.type):
                state.update(" ".join(f"{x:.6g}" for x in column.to_numpy(zero_copy_only=False)).encode())
            else:
                state.update(repr(column.to_pylist()).encode())
    return state.hexdigest()[:6]


def means(tables: list[pa.Table]) -> str:
    """Six hexadecimal digits of the columns' means, to three significant digits."""
    columns = {}
    for table in tables:
        for name in table.column_names:
            columns.setdefault(name, []).append(table[name].to_numpy())
    said = " ".join(f"{name} {np.nanmean(np.concatenate(columns[name])):.3g}" for name in sorted(columns))
    return hashlib.sha256(said.encode()).hexdigest()[:6]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    study_path = TINY
    fits, toys = (Bench(tmp_path_factory.mktemp(name), study_path) for name in ("fits", "toys"))
    fits.simulate_and_fit()
    fits.diagnose()
    toys.throw_toys()
    toys.tune()
    return fits.output | toys.output


@pytest.mark.parametrize("stage", ["events", "nulls", "cells", "trials"])
def test_a_stage_that_changed_has_a_new_version(output, stage):
    assert (VERSIONS[stage], fingerprint(output[stage])) == KNOWN[stage]


def test_models_that_changed_have_a_new_version(output):
    assert ((VERSIONS["models"], VERSIONS["scores"]), means(output["scores"])) == KNOWN["scores"]


def test_diagnostics_that_changed_have_a_new_version(output):
    """By what trained networks leave alike: a map of their latent space is as chaotic as they are."""
    held = {"auc", "accuracy", "precision_at_35_percent_nr", "n_er", "n_nr", "ppc_sd", "test_mean", "test_sd", "recon"}
    tables = [table.select(sorted(held & set(table.column_names))) for table in output["diagnostics"]]
    assert (VERSIONS["diagnostics"], means([table for table in tables if table.num_columns])) == KNOWN["diagnostics"]


def test_the_fingerprint_sees_a_changed_number(output):
    table = output["cells"][0]
    p = table["p_median"].to_numpy().copy()
    p[0] *= 1 + 1e-4
    changed = table.set_column(table.column_names.index("p_median"), table.schema.field("p_median"), pa.array(p))
    assert fingerprint([changed]) != fingerprint([table])
