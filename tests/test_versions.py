"""Beside every version the hash of its output on a tiny input: a forgotten version bump fails here.

When a hash changes on purpose, raise the version and put the new pair here; of a figure, look at it.
Floats are rounded to six significant digits first, since another CPU type may differ in the last bits. Training
amplifies those, so fitted models and what follows from their scores are held by the means of columns, to three digits;
everything else runs on terms made from the truth, so that no network moves it. So are laws, whose roots end where an
iteration does.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from studies import PAIRS, TINY

from engine import stages, study
from engine.assembly import population
from engine.plan.event_plan import VERSIONS
from engine.plan.members import JointPlan, plan_of
from engine.plan.tune_plan import TunePlan
from engine.report import figures
from engine.run import pipeline
from engine.run.state import Run
from engine.run.tuning import search, trials
from engine.stages import STAGES, reach, scores
from engine.store.parts import Part
from engine.store.scratch import Scratch
from engine.store.store import Ledger

KNOWN = {
    "battery": (2, "92a30c"),
    "battery_tables": (1, "546f1d"),
    "cells": (5, "50eb97"),
    "combined": (1, "33eb9b"),
    "combined_tables": (1, "ffdb9f"),
    "diagnostic_tables": (5, "e1b141"),
    "diagnostics": (5, "3b4ecd"),
    "events": (2, "4479df"),
    "exact": (5, "1b6f09"),
    "leakage": (3, "d84b97"),
    "leakage_tables": (2, "53ab44"),
    "limit_tables": (3, "d1be92"),
    "limits": (3, "932238"),
    "nulls": (4, "0b0ad5"),
    "paired": (3, "030bb1"),
    "reach": ((6, 4), "4f3779"),
    "reach_tables": (6, "23d55c"),
    "rungs": ((4, 1), "a6c60a"),
    "scores": ((1, 1), "a0d82d"),
    "searched": (3, "d2b32e"),
    "systematics": (6, "512de5"),
    "tables": (6, "f735b8"),
    "together": (1, "03a894"),
    "trials": (5, "185ec6"),
    "tuned": (5, "99eebf"),
}
FIGURES = {
    "battery.png": "fe1288",
    "contours.csv": "38bea3",
    "leakage.png": "f372d2",
    "p_against_exposure.png": "cdbaa6",
    "plane_extended_poisson_R10000_5ty.png": "fe6fbb",
    "plane_tail_count_R10000_5ty.png": "6e0d2f",
    "q_extended_poisson_R10000_5ty.png": "5f5278",
    "q_tail_count_R10000_5ty.png": "7fc0c5", "pure_scores_R10000.png": "b104cb",
    "scores_R10000.png": "615358",
    "systematics_5ty.png": "8acc7c",
}

FEW = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=400", "pool.nr_events=400",
    "toys.null=1000", "toys.signal=1000", "grid.exposure_ty.values=[5]", "grid.m_chi_GeV.values=[50]",
)  # fmt: skip
SMALL = (
    *FEW, "toys.statistics=['tail_count','extended_poisson']", "limits.toys=500",
    "reach.enabled=true", "reach.by_toys=true", "reach.exposure_ty=[5,10]", "reach.p=0.05",
    "systematics.rates=true", "systematics.constants={g1=0.02}",
    "leakage_scan={factors=[1.0,1.5],calibration_events=[]}", "combined={}",
    "battery={signals={line={spectrum='line',options={at_keV=6.0,per_ty=8.0}}},events=200,scores=['elbo']}",
    "models.vae.epochs=1", "models.classifier.epochs=1",
    "tune.R={values=[1,100]}", "tune.exposure_ty=5", "tune.m_chi_GeV=[50]",
)  # fmt: skip
SEARCH = (
    *SMALL[:-3], "toys.statistics=['tail_count']", "reach.enabled=false", "systematics={}",
    "tune.R={values=[1,100]}", "tune.m_chi_GeV=[50]", "tune.exposure_ty=5", "tune.trials=2",
    "tune.search.models.classifier.learning_rate={log=[1e-4,1e-2]}",
)  # fmt: skip
COMPARED = (*FEW, "grid.sigma_si_cm2.values=[1e-47]", "reach.enabled=false", "training.n_seeds=1", "combined={}")
BY_SHAPE = {"diagnostic_tables", "rungs", "searched", "tuned"}  # a count that networks move is another number
BY_MEANS = {
    "battery",
    "battery_tables",
    "scores",
    "diagnostics",
    "exact",
    "reach",
    "reach_tables",
    "leakage",
    "leakage_tables",
    "limits",
    "limit_tables",
    "systematics",
    "tables",
    "trials",
}
HELD = {"auc", "accuracy", "precision_at_35_percent_nr", "n_er", "n_nr", "ppc_sd", "test_mean", "test_sd", "recon"}


def begun(path, settings, plan=plan_of) -> Run:
    """A pass in memory, whose stages are done one after the other in this process."""
    store = Scratch()
    return Run(plan(study.load(str(path), settings)), store, Ledger(store))


def add_truth(run: Run, purpose: str = "pool") -> None:
    """The events of a purpose, with terms that are made of them."""
    beside = [*run.plan.varied_shards, *run.plan.battery_shards] if purpose == "pool" else []
    for shard in [*run.plan.shards[purpose], *beside]:
        for part in scores.work(run.plan, shard, [], {}):
            run.commit(part)
        truth = run.ledger.table(shard.item)
        for role in run.plan.roles:
            item = run.plan.score_item(shard, role)
            run.commit(Part(f"scores/{item}.parquet", (item,), terms(truth, run.plan.family(role).KIND)))


def terms(truth: pa.Table, kind: str) -> pa.Table:
    """Terms as a network might give them, but made of the truth."""
    events = truth.filter(truth["selected"])
    cs1, cs2, ces, drift = (events[name].to_numpy() for name in ("cs1_pe", "cs2_pe", "ces_keVee", "drift_us"))
    if kind == "classifier":
        return pa.table({"logit": 20 * (2.3 - np.log10(cs2 / cs1))})
    return pa.table({"recon": -1e4 - 10 * ces, "kl": 20 + drift / 100})


def fingerprint(tables: list[pa.Table]) -> str:
    """Six hexadecimal digits of all numbers, rounded, all words but the digests, and what columns say they are."""
    state = hashlib.sha256()
    for table in tables:
        for name in sorted(set(table.column_names) - {"lineage", "item", "reason"}):
            field, column = table.schema.field(name), table[name].combine_chunks()
            state.update(repr((name, str(field.type), sorted((field.metadata or {}).items()))).encode())
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
            if pa.types.is_floating(table.schema.field(name).type) and table[name].null_count < len(table):
                columns.setdefault(name, []).append(table[name].to_numpy())
    said = " ".join(f"{name} {np.nanmean(np.concatenate(columns[name])):.3g}" for name in sorted(columns))
    return hashlib.sha256(said.encode()).hexdigest()[:6]


def shape(tables: list[pa.Table]) -> str:
    """Six hexadecimal digits of how many rows there are of which columns, with their units and meanings."""
    said = [(len(table), [(f.name, str(f.type), sorted((f.metadata or {}).items())) for f in table.schema])
            for table in tables]  # fmt: skip
    return hashlib.sha256(repr(said).encode()).hexdigest()[:6]


def drawn(figure) -> str:
    """What a figure shows: means of lines, points and colours to three digits, and words."""
    numbers, words = [], []
    for axes in figure.axes:
        numbers += [np.ravel(line.get_xydata()) for line in axes.lines]
        for one in axes.collections:
            numbers += [np.ravel(np.ma.filled(np.ma.asarray(part, float), np.nan))
                        for part in (one.get_offsets(), one.get_array()) if part is not None]  # fmt: skip
        words += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()]
        words += [text.get_text() for text in axes.texts] + axes.get_legend_handles_labels()[1]
    numbers = [some[np.isfinite(some)] for some in numbers]
    return repr(([f"{len(some)} {some.mean():.3g}" for some in numbers if len(some)], words))


@pytest.fixture(scope="module")
def fits():
    """A tiny scan as far as networks go."""
    run = begun(TINY, SMALL)
    pipeline.score(run)
    run.stage(stages.diagnostics)
    return run


@pytest.fixture(scope="module")
def toys(fits):
    """A tiny scan from scored events on, whose terms no network has made."""
    run = begun(TINY, SMALL)
    add_truth(run)
    return run


@pytest.fixture(scope="module")
def outcome(toys, fits):
    """The end of that scan; what is said of networks is that of the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.diagnostics, "units", lambda inputs, missing: ())
        patch.setattr(stages.diagnostics, "table_item", lambda plan: None)
        patch.setattr(stages.diagnostics, "result", lambda inputs: None)
        return pipeline.evaluate(toys)


@pytest.fixture(scope="module")
def pairs():
    run = begun(PAIRS, COMPARED, JointPlan)
    add_truth(run)
    run.stage(stages.paired)
    for member in run.plan.members.values():
        run.under(member).stage(stages.nulls)
    run.stage(stages.together)
    return run


def rows_of(ledger, item: str) -> pa.Table:
    """Those of an item, with whichever others it was made."""
    table = ledger.table(item)
    return table.filter(pc.field("lineage") == item) if "lineage" in table.column_names else table


@pytest.fixture(scope="module")
def output(fits, toys, outcome, pairs):
    """All tables, by what has a version: [version, tables]."""
    made = {}
    for stage in STAGES:
        run = fits if stage in (*pipeline.FIRST, stages.diagnostics) else toys
        run = pairs if stage in (stages.paired, stages.together) else run
        if hasattr(stage, "items") and stage is not stages.models:
            made[stage.NAME] = stage.VERSION, [rows_of(run.ledger, item) for item in stage.items(run.plan)]
        if hasattr(stage, "table_item"):
            made[stage.TABLES] = getattr(stage, "TABLE_VERSION", stage.VERSION), [stage.table(run.plan, run.ledger)]
    some = [table.select(sorted(HELD & set(table.column_names))) for table in made["diagnostics"][1]]
    made["diagnostics"] = made["diagnostics"][0], [table for table in some if table.num_columns]  # no map of events
    made["scores"] = (VERSIONS["models"], VERSIONS["scores"]), made["scores"][1]
    made["reach"] = (reach.VERSION, reach.TOYS_VERSION), made["reach"][1]
    tune = begun(TINY, SMALL, TunePlan)
    add_truth(tune, "tune")
    pool = population.population(tune.plan, tune.ledger, "tune", ())
    inputs = trials.TrialInputs(tune.plan, pool, population.signals(tune.plan, pool, tune.plan.points))
    made["trials"] = VERSIONS["trials"], [part.content for part in trials.work(inputs, 100.0)]
    return made | searched()


def searched() -> dict:
    """A scan over R and a search over a field, each with its table."""
    made = {}
    for name, rung, settings in (("tuned", None, SMALL), ("searched", "rungs", SEARCH)):
        store = Scratch()
        tuned = search.run(study.load(str(TINY), settings), store, workers=0)
        made[name] = VERSIONS[name], [tuned.table]
        if rung:
            items = [item for item, entry in Ledger(store).entries.items() if entry.path.startswith(f"{rung}/")]
            made[rung] = (VERSIONS[rung], VERSIONS["features"]), [Ledger(store).table(item) for item in items]
    return made


def test_what_changed_has_a_new_version(output):
    of = dict.fromkeys(BY_SHAPE, shape) | dict.fromkeys(BY_MEANS, means)
    held = {name: (version, of.get(name, fingerprint)(tables)) for name, (version, tables) in output.items()}
    assert held == KNOWN


def test_every_version_is_held(output):
    named = {"table": "tables", "models": "scores", "features": "rungs"}
    assert {named.get(name, name) for name in VERSIONS} <= output.keys()


def test_figures_are_those_that_were_looked_at(outcome, monkeypatch):
    seen = {}
    monkeypatch.setattr(figures, "diagnosed", lambda *_: iter(()))
    monkeypatch.setattr(figures, "_losses", lambda _: figures.plots.canvas()[0])  # of fits, which are not here
    monkeypatch.setattr(figures.plots, "render", lambda figure, format: drawn(figure).encode())
    for name, data in figures.draw(outcome.plan, outcome, every=True).items():
        if not name.endswith((".parquet", "losses.png")):  # a stage's table, held above
            seen[name] = hashlib.sha256(data).hexdigest()[:6]
    assert seen == FIGURES


def test_the_fingerprint_sees_a_changed_number(output):
    table = output["cells"][1][0]
    p = table["p_median"].to_numpy().copy()
    p[0] *= 1 + 1e-4
    changed = table.set_column(table.column_names.index("p_median"), table.schema.field("p_median"), pa.array(p))
    assert fingerprint([changed]) != fingerprint([table])
