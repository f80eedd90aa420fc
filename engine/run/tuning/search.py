"""The search over the models' fields: one pool for all, a task for every trial and rung -> table and the best trial."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from engine import schemas
from engine.assembly import assemble
from engine.cluster import storage
from engine.cluster.sampler import Rules, Search, Told, Trial
from engine.errors import TaskFailed
from engine.plan.search_plan import SearchPlan, Values
from engine.run import pipeline, tasks
from engine.run.pipeline import Run
from engine.run.tuning import objectives, rungs, search_tables
from engine.run.tuning.rungs import COMPLETE, DIVERGED
from engine.stages import work
from engine.store import checkpoints
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Unit
from engine.study import Study
from engine.study.tune import ER_LEAKAGE, T3


@dataclass(frozen=True)
class Searched:
    """A finished search: its table (`search_tables`), where it is, the best trial, the first, what was done."""

    plan: SearchPlan
    item: str
    table: pa.Table
    path: str
    best: dict
    first: dict
    computed: dict[str, int]


def run(study: Study, store: Store, storage_url: str | None = None, **options: object) -> Searched:
    """The whole search, resumed where it stands; options and errors are those of `engine.run.pipeline.run`.

    storage_url: where Optuna keeps a copy of the trials, see `engine.cluster.storage`. Raises TaskFailed where no trial
    reached the end.
    """
    plan = SearchPlan(study)
    plan.check()
    place = storage.opened(storage_url, store.folder())
    with pipeline.opened(plan, store, **options) as state:
        evaluation = Evaluation(state, _prepared(state))
        search = Search(evaluation, plan.dimensions, plan.own, rules(plan))
        if place is not None:
            search.copy = storage.Stored(place, f"recoilscan-{plan.search_item}", search)
        trials = search.run()
        evaluation.forget()
        state.computed["rungs"] = evaluation.computed
        return _finish(state, trials)


def rules(plan: SearchPlan) -> Rules:
    """How the search of a study goes."""
    tune, pruning = plan.tune, plan.tune.pruning
    chosen = pruning.model_dump(include={"pruner", "startup_trials", "reduction_factor"}) if pruning else {}
    better = objectives.of(tune.objective).LARGER_IS_BETTER
    return Rules(tune.trials, plan.study.seed, better, rungs=len(plan.fractions), **chosen)


def _prepared(run: Run) -> rungs.Inputs:
    """What all trials share: training events, models that stay, the pool as networks see it and with their terms."""
    run.repair()
    plan, ledger = run.plan, run.ledger
    run.stage("events", plan.items["events"], work.simulate, partial(tasks.simulations, run))
    run.stage("models", plan.items["models"], work.fit, partial(tasks.fits, run), stall_s=None)
    pool = plan.items["scores"] + plan.items["features"]
    run.stage("features", pool, rungs.keep, partial(_shards, run))
    population = assemble.population(plan, ledger, "tune", (), slots=plan.fixed)
    return rungs.Inputs(
        plan,
        {slot: [ledger.entries[s.item] for s in plan.training(getattr(plan.study.models, slot))]
         for slot in plan.searched},
        {view: [ledger.entries[plan.feature_item(shard, view)] for shard in plan.shards["tune"]]
         for view in plan.views},
        population,
        assemble.signals(plan, population, plan.points),
    )  # fmt: skip


def _shards(run: Run, missing: set[str]) -> Iterable[Unit]:
    """Shards of the pool that lack their features, or the terms of a model that stays."""
    plan, shared = run.plan, run.share(run.plan)
    models = run.share({slot: run.ledger.read(plan.models[slot]) for slot in plan.fixed})
    for shard in plan.shards["tune"]:
        slots = [slot for slot in plan.fixed if plan.score_item(shard, slot) in missing]
        items = shard.item, *(plan.feature_item(shard, view) for view in plan.views)
        if slots or not missing.isdisjoint(items):
            items = *items, *(plan.score_item(shard, slot) for slot in slots)
            yield Unit((shared, shard, slots, models), items=items, name=f"tuning events of {shard.kind}")


@dataclass
class Evaluation:
    """What several trials are worth at a rung: a task for each that the store does not have."""

    run: Run
    inputs: rungs.Inputs
    computed: int = 0
    shared: list = field(default_factory=list)
    begun: set[str] = field(default_factory=set)

    def __call__(self, asked: list[Values], rung: int) -> list[Told]:
        """What the sampler is told of every trial, in order. Checkpoints are kept until the next round begins."""
        plan, ledger = self.run.plan, self.run.ledger
        plans = [plan.of(values) for values in asked]
        if rung == 0:
            self.forget()
        self.begun = {one.models[slot] for one in plans for slot in plan.searched} | self.begun
        of_item = {one.rung_item(rung): (one, values) for one, values in zip(plans, asked, strict=True)}
        for entry in ledger.check([*of_item, *(item for one in plans for item in one.models.values())]):
            self.run.put_aside(entry)
        self.run.stage("rungs", list(of_item), rungs.climb, partial(self._units, of_item, rung), stall_s=None)
        self.computed += self.run.computed["rungs"]
        rows = [ledger.table(one.rung_item(rung)).to_pylist()[0] for one in plans]
        return [told(plan, row) for row in rows]

    def forget(self) -> None:
        """Removes the checkpoints of what has ended."""
        if self.begun:
            checkpoints.discard(self.run.store, self.begun)
        self.begun = set()

    def _units(self, of_item: dict[str, tuple[SearchPlan, Values]], rung: int, missing: set[str]) -> Iterable[Unit]:
        if not self.shared:
            self.shared = [self.run.share(self.inputs)]
        for item, (plan, values) in of_item.items():
            if item in missing:
                known = {slot: self.run.ledger.entries.get(plan.models[slot]) for slot in plan.searched}
                finished = {slot: entry for slot, entry in known.items() if entry}
                arguments = *self.shared, self.run.store, values, rung, finished
                yield Unit(arguments, items=(item,), name=f"trial of {values}, rung {rung}")


def told(plan: SearchPlan, row: dict) -> Told:
    """A row as the sampler takes it: of a large objective the report is minus the leakage, so that large is good."""
    if row["state"] == DIVERGED:
        return Told(None, None)
    if row["state"] == COMPLETE:
        return Told(None, row["objective"])
    better = objectives.of(plan.tune.objective).LARGER_IS_BETTER
    return Told(-row["er_leakage"] if better else row["er_leakage"], None)


def _finish(run: Run, trials: list[Trial]) -> Searched:
    plan, ledger = run.plan, run.ledger
    last = [plan.of(trial.values).rung_item(trial.last_rung) for trial in trials]
    item = plan.searched_item(last)
    path = f"tables/{item}.parquet"
    run.computed["tables"] = int(item not in ledger.entries or bool(ledger.check([item])))
    if run.computed["tables"]:
        rows = [ledger.table(one).to_pylist()[0] for one in last]
        run.commit(Part(path, (item,), table(plan, trials, rows)))
    found = ledger.table(item)
    rows = found.to_pylist()
    best = next(row for row in rows if row["best"])
    return Searched(plan, item, found, run.store.where(path), best, rows[0], run.computed)


def table(plan: SearchPlan, trials: list[Trial], rows: list[dict]) -> pa.Table:
    """All trials by number, with a column per field; rows: what was said of each at its last rung.

    Raises TaskFailed where none reached the end.
    """
    best, better = best_of(trials, objectives.of(plan.tune.objective).LARGER_IS_BETTER), word(plan)
    beside = [{"trial": t.number, "best": t is best, "objective_is": better, "rungs": len(t.reports), "state": t.state}
              for t in trials]  # fmt: skip
    if best is None:
        raise TaskFailed(f"none of {len(trials)} trials ended: {rows[0]['reason']}")
    found = [row | mine for row, mine in zip(rows, beside, strict=True)]
    values = {one.key: [cell(t.values[one.key]) for t in trials] for one in plan.dimensions}
    columns = {name: [row[name] for row in found] for name in search_tables.SEARCHED.names}
    return schemas.table(search_tables.searched(values), columns | values)


def best_of(trials: list[Trial], larger_is_better: bool) -> Trial | None:
    """The trial with the best value, of equal ones the first; None if none ended."""
    ended = [trial for trial in trials if trial.state == COMPLETE]
    return min(ended, key=lambda trial: -trial.value if larger_is_better else trial.value, default=None)


def word(plan: SearchPlan) -> str:
    """What the objective is, for a column."""
    tune = plan.tune
    named = {ER_LEAKAGE: "er_leakage", T3: f"t3 of {tune.t3_of} (t y)"}
    return named.get(tune.objective, f"worst Z of {tune.objective} (sigma)")


def cell(value: object) -> object:
    """A value in a table: lists are words."""
    return json.dumps(value) if isinstance(value, list | tuple) else value
