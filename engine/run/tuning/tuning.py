"""The scan over R: simulate -> fit -> score a pool of its own -> a trial for every R -> table and the best R."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine import schemas
from engine.assembly import assemble
from engine.cluster import tuner
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run import pipeline
from engine.run.pipeline import Run
from engine.run.tuning import trials
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Unit
from engine.study import Study


@dataclass(frozen=True)
class Best:
    """The R whose objective is largest, and the R around it that are as good within the objective's own error.

    Between R_low and R_high no trial lies more than `error` below the best; the ends are where a line between trials
    (in log R) falls below that, or the ends of the grid. `error` is the jack-knife's, of the finite pool, at the signal
    that the best R serves worst. Two R share their pool, so that their difference is better known than that: the
    interval is a cautious one.
    """

    R: float
    R_low: float
    R_high: float
    objective: float
    error: float
    m_chi_GeV: float | None


@dataclass(frozen=True)
class Tuned:
    """A finished scan over R: its table (`engine.schemas.TUNED`), where it is, and what was done for it."""

    plan: TunePlan
    item: str
    table: pa.Table
    path: str
    best: Best
    computed: dict[str, int]


def run(study: Study, store: Store, **options: object) -> Tuned:
    """The whole scan over R, resumed where it stands; options and errors are those of `engine.run.pipeline.run`."""
    plan = TunePlan(study)
    plan.check()
    with pipeline.opened(plan, store, **options) as state:
        pipeline.score(state)
        population = assemble.population(plan, state.ledger, "tune", ())
        signals = assemble.signals(plan, population, plan.points)
        evaluation = Evaluation(state, population, signals)
        grid = list(plan.tune.R.points())
        objectives = tuner.maximise(evaluation, grid, plan.tune.more_trials, study.seed)
        state.computed["trials"] = evaluation.computed
        return _finish(state, sorted(objectives))


@dataclass
class Evaluation:
    """Objectives of several R at once: a task for each that the store does not have."""

    run: Run
    population: Population
    signals: dict[float | None, np.ndarray]
    computed: int = 0
    shared: list = field(default_factory=list)

    def __call__(self, weights: list[float]) -> list[float]:
        """The objective of every R, in order."""
        plan, ledger = self.run.plan, self.run.ledger
        of_item = {plan.trial_item(R): R for R in weights}
        for entry in ledger.check(of_item):
            self.run.put_aside(entry)
        self.run.stage("trials", list(of_item), trials.trial, lambda missing: self._units(of_item, missing))
        self.computed += self.run.computed["trials"]
        return [objective(ledger.table(item), plan.tune.objective)[0] for item in map(plan.trial_item, weights)]

    def _units(self, of_item: dict[str, float], missing: set[str]) -> Iterable[Unit]:
        if not self.shared:
            self.shared = [self.run.share(value) for value in (self.run.plan, self.population, self.signals)]
        return [Unit((*self.shared, R), items=(item,), name=f"trial of R = {R:g}")
                for item, R in of_item.items() if item in missing]  # fmt: skip


def objective(trial: pa.Table, statistic: str) -> tuple[float, float | None, float | None]:
    """(worst Z over the signals, its error, the mass of that signal) of one R."""
    rows = trial.filter(pc.field("statistic") == statistic).to_pylist()
    worst = min(rows, key=lambda row: row["z_exact"])
    return worst["z_exact"], worst["z_pool_error"], worst["m_chi_GeV"]


def best(of_weight: dict[float, tuple[float, float | None, float | None]]) -> Best:
    """The best R of all trials: R -> (objective, error, mass); of equal ones the middle one."""
    weights = sorted(of_weight)
    values = np.array([of_weight[R][0] for R in weights])
    equal = np.flatnonzero(values == values.max())
    chosen = int(equal[(len(equal) - 1) // 2])
    value, error, mass = of_weight[weights[chosen]]
    error = np.inf if error is None else error
    R, level = np.array(weights), value - error
    low, high = (_reach(R[side], values[side], level) for side in (slice(chosen, None, -1), slice(chosen, None)))
    return Best(weights[chosen], low, high, value, error, mass)


def _reach(R: np.ndarray, values: np.ndarray, level: float) -> float:
    """Where the values, which begin at or above the level, first fall below it; the last R if they never do."""
    below = np.flatnonzero(values < level)
    if not len(below):
        return float(R[-1])
    after, before = below[0], below[0] - 1
    share = (values[before] - level) / (values[before] - values[after])  # 0 towards a Z of -inf
    return float(R[before] * (R[after] / R[before]) ** share)


def _finish(run: Run, weights: list[float]) -> Tuned:
    plan, ledger = run.plan, run.ledger
    of_weight = {R: ledger.table(plan.trial_item(R)) for R in weights}
    found = best({R: objective(trial, plan.tune.objective) for R, trial in of_weight.items()})
    item = plan.tuned_item(weights)
    path = f"tables/{item}.parquet"
    run.computed["tables"] = int(item not in ledger.entries or bool(ledger.check([item])))
    if run.computed["tables"]:
        run.commit(Part(path, (item,), _table(plan, of_weight, found.R)))
    return Tuned(plan, item, ledger.table(item), run.store.where(path), found, run.computed)


def _table(plan: TunePlan, of_weight: dict[float, pa.Table], best_R: float) -> pa.Table:
    """All trials in rising R, with what the choice among them stands on."""
    grid, name, rows = plan.tune.R.points(), plan.tune.objective, []
    for R, trial in of_weight.items():
        value, _, _ = objective(trial, name)
        of_trial = {"objective": value, "origin": "grid" if R in grid else "tpe", "best": R == best_R}
        rows += [row | of_trial | {"is_objective": row["statistic"] == name} for row in trial.to_pylist()]
    columns = {column: [row[column] for row in rows] for column in schemas.TUNED.names}
    order = [(column, "ascending") for column in ("R", "m_chi_GeV", "statistic")]
    return schemas.table(schemas.TUNED, columns).sort_by(order)
