"""How far a scan over R or a search has come: its trials gone through again with what a ledger has of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.cluster import sampler, tuner
from engine.cluster.sampler import Told, Trial
from engine.plan.search_plan import SearchPlan, Values
from engine.plan.tune_plan import TunePlan
from engine.run.tuning import objectives, search, tuning
from engine.store.store import Ledger


@dataclass(frozen=True)
class Replayed:
    """Trials that have ended, of how many; items asked for so far; the best so far in words; the table's item.

    A round of a search is told whole: what some of its trials said counts when all of them have.
    """

    done: int
    of: int
    items: list[str]
    best: str | None
    table: str | None


class _Unknown(Exception):
    """What follows rests on something that is not there."""


def replay(plan: TunePlan, ledger: Ledger) -> Replayed:
    """Of either kind: both follow from the study and from what their trials said."""
    return _search(plan, ledger) if isinstance(plan, SearchPlan) else _weights(plan, ledger)


def _need(ledger: Ledger, items: Iterable[str]) -> None:
    if not all(_is_known(ledger, item) for item in items):
        raise _Unknown


def _is_known(ledger: Ledger, item: str) -> bool:
    return item in ledger.entries and not ledger.check([item])


def _weights(plan: TunePlan, ledger: Ledger) -> Replayed:
    asked: list[float] = []

    def evaluate(weights: list[float]) -> list[float]:
        asked.extend(R for R in weights if R not in asked)
        _need(ledger, map(plan.trial_item, weights))
        return [tuning.objective(ledger.table(plan.trial_item(R)), plan.tune.objective)[0] for R in weights]

    grid, more, table = list(plan.tune.R.points()), plan.tune.more_trials, None
    try:
        table = plan.tuned_item(sorted(tuner.maximise(evaluate, grid, more, plan.study.seed)))
    except _Unknown:
        pass  # as far as it goes
    ended = {R: ledger.table(plan.trial_item(R)) for R in asked if _is_known(ledger, plan.trial_item(R))}
    said, name = None, plan.tune.objective
    if ended:
        best = tuning.best({R: tuning.objective(trial, name) for R, trial in ended.items()})
        said = f"R = {best.R:.4g}: worst Z of {name} = {best.objective:.2f}"
    # a sampler may ask for the same R twice, which is one trial
    of = max(len(asked), len(grid) + more) if table is None else len(asked)
    return Replayed(len(ended), of, [plan.trial_item(R) for R in asked], said, table)


@dataclass
class _Ended(sampler.Copy):
    trials: list[Trial] = field(default_factory=list)

    def ended(self, trial: Trial) -> None:
        self.trials.append(trial)


def _search(plan: SearchPlan, ledger: Ledger) -> Replayed:
    ended, asked, table = _Ended(), [], None

    def evaluate(values: list[Values], rung: int) -> list[Told]:
        plans = [plan.of(one) for one in values]
        items = [one.rung_item(rung) for one in plans]
        asked.extend(item for item in items if item not in asked)
        _need(ledger, items)
        return [search.told(plan, ledger.table(item).to_pylist()[0]) for item in items]

    try:
        trials = sampler.Search(evaluate, plan.dimensions, plan.own, search.rules(plan), ended).run()
        table = plan.searched_item([plan.of(trial.values).rung_item(trial.last_rung) for trial in trials])
    except _Unknown:
        pass  # as far as it goes
    best = search.best_of(ended.trials, objectives.of(plan.tune.objective).LARGER_IS_BETTER)
    said = best and f"trial {best.number}, {best.values}: {search.word(plan)} = {best.value:.4g}"
    return Replayed(len(ended.trials), plan.tune.trials, asked, said, table)
