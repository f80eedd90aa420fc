"""Tuning: a pool of its own, trials that a sampler asks for, a task for each -> a table and the best trial.

A scan over R is a search in one dimension, whose first trials are the grid. What a trial is, a module says: `trials` of
an R, `rungs` of the models' fields. Both follow from the study and from what their trials said, so that a second pass
asks for the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType

import pyarrow as pa

from engine.cluster import storage
from engine.cluster.sampler import COMPLETE, DIVERGED, Copy, Objective, Rules, Search, Trial
from engine.errors import TaskFailed
from engine.plan.search_plan import SearchPlan, tuning_plan
from engine.plan.tune_plan import TunePlan, Values
from engine.run import pipeline
from engine.run.state import Run, to_its_end
from engine.run.status import StageStatus, Status, counts, damaged_parts, reasons
from engine.run.tuning import objectives, rungs, trials
from engine.stages import items
from engine.store import checkpoints, tracebacks
from engine.store.parts import Part
from engine.store.store import Ledger, Store
from engine.store.units import Unit
from engine.study import Study


@dataclass(frozen=True)
class Tuned:
    """A finished tuning: the table of its trials, where it is, the best and the first trial, what was done for it."""

    plan: TunePlan
    item: str
    table: pa.Table
    path: str
    best: Values
    first: Values
    computed: dict[str, int]


def kind_of(plan: TunePlan) -> ModuleType:
    """What a trial of a plan is."""
    return rungs if isinstance(plan, SearchPlan) else trials


def run(study: Study, store: Store, storage_url: str | None = None, **options: object) -> Tuned:
    """The whole tuning, resumed where it stands; options and errors are those of `engine.run.pipeline.run`.

    storage_url: where Optuna keeps a copy of the trials, see `engine.cluster.storage`. Raises TaskFailed where no trial
    reached the end.
    """
    plan = tuning_plan(study)
    plan.check()
    optuna_storage = storage.opened(storage_url, store.folder())
    with pipeline.opened(plan, store, **options) as state:
        return to_its_end(state, lambda run: _whole(run, optuna_storage))


def _whole(run: Run, optuna_storage: storage.BaseStorage | None) -> Tuned:
    plan = run.plan
    evaluation = Evaluation(run, kind_of(plan).prepare(run))
    search = Search(evaluation, plan.dimensions, plan.first, rules(plan))
    if optuna_storage is not None:
        search.copy = storage.StoredSearch(optuna_storage, f"recoilscan-{plan.search_item}", search)
    ended = search.run()
    evaluation.forget()
    return _finish(run, ended)


def rules(plan: TunePlan) -> Rules:
    """How the search of a study goes."""
    pruning = plan.tune.pruning
    chosen = pruning.model_dump(include={"pruner", "startup_trials", "reduction_factor"}) if pruning else {}
    better = objectives.of(plan.tune.objective).LARGER_IS_BETTER
    return Rules(plan.n_trials, plan.study.seed, better, rungs=kind_of(plan).n_rungs(plan), **chosen)


@dataclass
class Evaluation:
    """What several trials are worth at a rung: a task for each that the store does not have."""

    run: Run
    inputs: object
    shared: list = field(default_factory=list)
    begun: set[str] = field(default_factory=set)

    def __call__(self, values: list[Values], rung: int) -> list[Objective]:
        """What the sampler is told of every trial, in order. Checkpoints are kept until the next round begins."""
        plan, ledger, kind = self.run.plan, self.run.ledger, kind_of(self.run.plan)
        if rung == 0:
            self.forget()
        self.begun = self.begun.union(*(kind.fits(plan, one) for one in values))
        of_item = {plan.trial_item(one, rung): one for one in values}
        for entry in ledger.check([*of_item, *self.begun]):
            self.run.put_aside(entry)
        self.run.compute(kind.NAME, list(of_item), kind.work, lambda missing: self._units(of_item, rung, missing),
                         self.begun, stalls=kind.STALLS, group=kind.group(plan))  # fmt: skip
        return [kind.evaluated(plan, ledger.table(plan.trial_item(one, rung))) for one in values]

    def forget(self) -> None:
        """Removes the checkpoints of what has ended."""
        if self.begun:
            checkpoints.discard(self.run.store, self.begun)
        self.begun = set()

    def _units(self, of_item: dict[str, Values], rung: int, missing: set[str]) -> Iterable[Unit]:
        self.shared = self.shared or [self.run.share(self.inputs)]
        for item, values in of_item.items():
            if item in missing:
                arguments = *self.shared, *kind_of(self.run.plan).arguments(self.run, values, rung)
                yield Unit(arguments, items=(item,), name=f"trial of {words(values)}, rung {rung}")


def words(values: Values) -> str:
    """The values of a trial, field by field."""
    return ", ".join(f"{key} = {value}" for key, value in values.items())


def _finish(run: Run, ended: list[Trial]) -> Tuned:
    plan, ledger, kind = run.plan, run.ledger, kind_of(run.plan)
    last = [plan.trial_item(trial.values, trial.last_rung) for trial in ended]
    best = best_of(ended, objectives.of(plan.tune.objective).LARGER_IS_BETTER)
    if best is None:
        raise TaskFailed(f"none of {len(ended)} trials ended: {kind.reason(ledger.table(last[0]))}")
    item = plan.table_of(last)
    path = f"tables/{item}.parquet"
    missing = item not in ledger.entries or bool(ledger.check([item]))
    run.computed["tables"], parts = int(missing), [ledger.table(one) for one in last]
    if missing:
        run.commit(Part(path, (item,), kind.table(plan, ended, parts, best)))
    kept = kind.chosen(plan, ended, parts, best)
    return Tuned(plan, item, ledger.table(item), run.store.where(path), kept.values, ended[0].values, run.computed)


def best_of(ended: list[Trial], larger_is_better: bool) -> Trial | None:
    """The trial with the best value; of equal ones the middle one in the order of their values, if these are numbers
    of one field, else the first; None if none ended."""
    complete = [trial for trial in ended if trial.state == COMPLETE]
    if not complete:
        return None
    top = (max if larger_is_better else min)(trial.value for trial in complete)
    equal = [trial for trial in complete if trial.value == top]
    if all(len(trial.values) == 1 for trial in equal):
        by_value = {tuple(trial.values.values()): trial for trial in reversed(equal)}
        return by_value[sorted(by_value)[(len(by_value) - 1) // 2]]
    return equal[0]


class _Unknown(Exception):
    """What follows rests on something that is not there."""


@dataclass
class _Ended(Copy):
    trials: list[Trial] = field(default_factory=list)
    underway: list[Trial] = field(default_factory=list)

    def begun(self, trial: Trial, drawn: dict) -> None:
        """A trial began."""
        self.underway.append(trial)

    def ended(self, trial: Trial) -> None:
        """One of the trials under way ended."""
        self.underway.remove(trial)
        self.trials.append(trial)

    def part(self, results: list[Objective | None]) -> None:
        """What the trials under way said, in their order, of a round that is not whole: None of who said nothing."""
        for trial, objective in zip(list(self.underway), results, strict=True):
            if objective and objective.intermediate is None:
                trial.state, trial.value = DIVERGED if objective.value is None else COMPLETE, objective.value
                self.ended(trial)


@dataclass(frozen=True)
class Replayed:
    """Trials that have ended, items asked for so far, the table's item if all have.

    A round is told whole: what some of its trials said moves the search when all of them have.
    """

    ended: list[Trial]
    items: list[str]
    table: str | None


def replay(plan: TunePlan, ledger: Ledger) -> Replayed:
    """The trials gone through again with what a ledger has of them."""
    copy, requested, table, kind = _Ended(), [], None, kind_of(plan)

    def evaluate(values: list[Values], rung: int) -> list[Objective]:
        of_trials = [plan.trial_item(one, rung) for one in values]
        requested.extend(item for item in of_trials if item not in requested)
        broken = {item for entry in ledger.check(of_trials) for item in entry.items}
        known = [item in ledger.entries and item not in broken for item in of_trials]
        results = [kind.evaluated(plan, ledger.table(item)) if there else None
                   for item, there in zip(of_trials, known, strict=True)]  # fmt: skip
        if not all(known):
            copy.part(results)
            raise _Unknown
        return results

    try:
        ended = Search(evaluate, plan.dimensions, plan.first, rules(plan), copy).run()
        table = plan.table_of([plan.trial_item(trial.values, trial.last_rung) for trial in ended])
    except _Unknown:
        pass  # as far as it goes
    return Replayed(copy.trials, requested, table)


def status(study: Study, store: Store, verify: bool = False) -> Status:
    """The tuning of a study as it is in the store. Raises BadInput where the study cannot be tuned."""
    plan, ledger = tuning_plan(study), Ledger(store)
    plan.check()
    damaged, kind = damaged_parts(plan, ledger, verify), kind_of(plan)
    beforehand = {folder: made for folder, made in items(plan).items() if folder not in (kind.NAME, "tables")}
    by_stage, _, failed = counts(beforehand, ledger, damaged)
    replayed = replay(plan, ledger)
    without = reasons(ledger.failures, (item for item in replayed.items if item not in ledger.entries))
    broken = [entry.path for entry in ledger.check(replayed.items)]
    by_stage["trials"] = StageStatus(len(replayed.ended), plan.n_trials, len(without), len(broken), 0)
    table = store.where(ledger.entries[replayed.table].path) if replayed.table in ledger.entries else None
    corrupt = [*ledger.unreadable, *dict.fromkeys([*damaged, *broken])]
    best = best_of(replayed.ended, objectives.of(plan.tune.objective).LARGER_IS_BETTER)
    best_words = best and f"trial {best.number}, {words(best.values)}: {objectives.words(plan)} = {best.value:.4g}"
    details = tracebacks.kept(store, ledger.failures.values())
    return Status(
        store.exists, by_stage, corrupt, failed | without, None, table, [], best=best_words,
        details={name: where for name, where in details.items() if name in failed | without},
    )  # fmt: skip
