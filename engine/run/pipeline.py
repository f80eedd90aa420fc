"""The corridor: simulate -> fit -> score -> toys -> cells -> laws -> rounds -> reach, limits -> table.

What exists stays.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from engine import lineage
from engine.assembly import assemble
from engine.cluster import nodes, trainer
from engine.inference.population import Population
from engine.plan.event_plan import EventPlan
from engine.plan.members import plan_of
from engine.plan.plan import Plan
from engine.progress import Silent
from engine.run import refine, tasks
from engine.run import request as asked
from engine.run.state import Run, Workers
from engine.stages import compute, limits, reach, systematics, work
from engine.stages import diagnostics as report
from engine.stages.diagnostics import Diagnostics
from engine.store import checkpoints, heartbeat
from engine.store.parts import Entry, Part, encode
from engine.store.store import Ledger, Store
from engine.study import Study, load

LEAVES = ("cells", "exact", "reach", "limits", "systematics")  # stages that nothing else is made of


@dataclass(frozen=True)
class Outcome:
    """A finished scan: its table, where it is, and what was done for it."""

    plan: Plan
    table: pa.Table
    path: str
    computed: dict[str, int]
    set_aside: list[str]
    diagnostics: Diagnostics
    population: Population
    ledger: Ledger
    reach: pa.Table
    reach_path: str | None
    systematics: pa.Table | None = None
    limits: pa.Table | None = None
    limits_path: str | None = None
    failed: dict[str, dict[str, str]] = field(default_factory=dict)  # by stage: item -> why it has no answer

    @property
    def n_failed(self) -> int:
        """Items without an answer; the table is partial if there are any."""
        return sum(map(len, self.failed.values()))


def scan(study: Study | str, store: Store | str = "./recoilscan-store", **options: object) -> pa.Table:
    """The whole path for a study, resumed where it stands; returns the result table (`engine.schemas.RESULTS`).

    `study` is a parsed study, a TOML file or a shipped name. Options: `address` of a Ray cluster (default: a local
    one), `workers` of the local one, `progress`, `name` under which the store keeps what was asked. Raises BadInput
    before any work starts; for toys too full to be drawn, which the pool tells, before the first of them.
    """
    if isinstance(study, str):
        options, study = {"name": Path(study).stem} | options, load(study)
    store = Store(store) if isinstance(store, str) else store
    return run(study, store, **options).table


def run(
    study: Study,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    progress: Silent | None = None,
    name: str = "study",
) -> Outcome:
    """`scan` with everything that is known at its end; raises the same."""
    plan = plan_of(study)
    with opened(plan, store, address=address, workers=workers, progress=progress) as state:
        asked.keep(store, name, plan)
        score(state)
        of_study = state.under(Plan(study))
        of_study.count(state.computed)
        return evaluate(of_study)


@contextmanager
def opened(
    plan: EventPlan,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    progress: Silent | None = None,
) -> Iterator[Run]:
    """A pass over a plan, whose ledger and cluster are closed at its end; raises BadInput before any work."""
    store.check_writable()
    if address:
        nodes.check_address(address)
    state = Run(plan, store, Ledger(store), progress or Silent(), Workers(address, workers))
    try:
        driver = lineage.digest("driver", 1, plan.study)
        with heartbeat.beating(store, driver, state.progress.note), state.workers.resources:
            yield state
    finally:
        state.progress.close()
        state.ledger.flush()


def score(run: Run) -> None:
    """The way to scored events: simulate, fit, score."""
    run.repair()
    plan = run.plan
    run.stage("events", plan.items["events"], work.simulate, partial(tasks.simulations, run))
    run.stage("models", plan.items["models"], work.fit, partial(tasks.fits, run), spread=_trainer(plan), stall_s=None)
    checkpoints.discard(run.store, plan.items["models"])
    run.stage("scores", plan.items["scores"], work.score, partial(tasks.scorings, run))


def evaluate(run: Run) -> Outcome:
    """The way from scored events to tables."""
    plan = run.plan
    population = assemble.population(plan, run.ledger)
    rows = chain(plan.cells.items(), plan.exact.items())
    signals = assemble.signals(plan, population, (place[0] for item, place in rows if item not in run.ledger.entries))
    run.stage("nulls", plan.items["nulls"], work.background_toys, partial(tasks.nulls, run, population))
    # what nothing else is made of may have no answer here or there: the scan goes on, and says so at its end
    leaf = partial(run.stage, tolerant=True)
    leaf("cells", plan.items["cells"], work.cells, partial(tasks.cells, run, population, signals))
    leaf("exact", plan.items["exact"], work.exact, partial(tasks.exact, run, population, signals))
    if not run.unanswered(chain(plan.cells, plan.exact)):
        refine.spend(run, population)
        plan = run.plan
    _searches(run, population)
    for sibling in plan.siblings:
        _of_seed(run, run.under(sibling))
    leaf("limits", plan.items["limits"], limits.compute, partial(tasks.limit_masses, run, population))
    if plan.systematics:
        leaf("systematics", plan.items["systematics"], systematics.compute, partial(tasks.varied, run, population))
    run.stage("diagnostics", plan.items["diagnostics"], compute.compute, partial(tasks.diagnosed, run), stall_s=None)
    return _outcome(run, population)


def _searches(run: Run, population: Population) -> None:
    # a search is a task of many laws, any of which may take its time: no stall limit
    searches = partial(tasks.searches, run, population)
    run.stage("reach", run.plan.items["reach"], reach.seek, searches, tolerant=True, stall_s=None)


def _of_seed(run: Run, of_sibling: Run) -> None:
    """Laws of the same pair with another training seed, if any is missing."""
    plan = of_sibling.plan
    if any(item not in run.ledger.entries for items in plan.items.values() for item in items):
        population = assemble.population(plan, run.ledger)
        signals = assemble.signals(plan, population, plan.points)
        laws = partial(tasks.exact, of_sibling, population, signals)
        of_sibling.stage("exact", plan.items["exact"], work.exact, laws, tolerant=True)
        _searches(of_sibling, population)
    run.count(of_sibling.computed)


def _outcome(run: Run, population: Population) -> Outcome:
    plan = run.plan
    failed = {stage: run.unanswered(_leaves(plan, stage)) for stage in LEAVES}
    table, path = _table(run, failed["cells"] | failed["exact"])
    diagnostics = _side_table(run, "diagnostic_tables", report, {})
    reached = _side_table(run, "reach_tables", reach, failed["reach"])
    limited = _side_table(run, "limit_tables", limits, failed["limits"])
    varied = systematics.table(plan, run.ledger) if not failed["systematics"] else None
    return Outcome(plan, table, path, run.computed, run.set_aside, diagnostics, population, run.ledger,
                   *reached, varied, *limited, failed=failed)  # fmt: skip


def _leaves(plan: Plan, stage: str) -> list[str]:
    """The items of a stage, those of other seeds too: their spread is a column."""
    return [item for one in (plan, *plan.siblings) for item in one.items.get(stage, ())]


def _trainer(plan: EventPlan) -> Callable[..., Iterable[list[Entry]]] | None:
    """What spreads fits over a group of processes each; None where a fit is one task."""
    training = plan.study.training
    if training.in_process:
        return None
    return partial(
        trainer.train, workers=training.workers, gpus_per_worker=training.gpus_per_worker,
        name=lambda task: plan.models[task[1]],
    )  # fmt: skip


def _table(run: Run, failed: dict[str, str]) -> tuple[pa.Table, str]:
    """The study's table; where items failed, one that may be written again, in a place of its own."""
    item = run.plan.table
    if failed:
        table, path = assemble.table(run.plan, run.ledger, failed), f"partial/{item}.parquet"
        run.computed["tables"] = 0
        run.store.put(path, encode(Part(path, (), table)))
        return table, run.store.where(path)
    path = f"tables/{item}.parquet"
    run.computed["tables"] = int(item not in run.ledger.entries)
    if run.computed["tables"]:
        run.commit(Part(path, (item,), assemble.table(run.plan, run.ledger)))
    return run.ledger.table(item), run.store.where(path)


def _side_table(run: Run, stage: str, of: ModuleType, failed: dict[str, str]) -> tuple[pa.Table, str | None]:
    """A table beside the main one, made by the module that made its rows; an empty one while rows have failed."""
    if failed:
        run.computed[stage] = 0
        return of.EMPTY, None
    missing = [item for item in run.plan.items[stage] if item not in run.ledger.entries]
    run.computed[stage] = len(missing)
    for item in missing:
        run.commit(Part(of.path(item), (item,), of.table(run.plan, run.ledger)))
    return of.stored(run.plan, run.ledger, run.store)


def finished(study: Study, store: Store) -> Outcome | None:
    """A study's results as they are in the store, or None when the scan has not ended there."""
    ledger = Ledger(store)
    plan, is_settled = refine.replay(study, ledger)
    beside = [*plan.items["reach_tables"], *plan.items["limit_tables"]]
    beside += [*plan.items["diagnostics"], plan.diagnostic_table]
    needed = [plan.table, *beside, *plan.items["scores"], *plan.items["nulls"], *plan.systematics]
    if not is_settled or any(item not in ledger.entries for item in needed) or ledger.check(needed):
        return None
    population, diagnostics = assemble.population(plan, ledger), report.stored(plan, ledger, store)
    path = store.where(ledger.entries[plan.table].path)
    reached, varied = reach.stored(plan, ledger, store), systematics.table(plan, ledger)
    limited = limits.stored(plan, ledger, store)
    return Outcome(plan, ledger.table(plan.table), path, {}, [], diagnostics, population, ledger, *reached, varied,
                   *limited)  # fmt: skip
