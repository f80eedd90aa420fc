"""The corridor: simulate -> fit -> score -> toys -> cells -> laws -> reach, limits -> table. What exists stays."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from engine import asked, assemble, checkpoints, limits, lineage, reach, systematics, tasks, work
from engine.cluster import heartbeat, nodes, trainer
from engine.cluster.parts import Entry, Part, encode
from engine.cluster.store import Ledger, Store
from engine.diagnostics import Diagnostics
from engine.inference.population import Population
from engine.plan import Plan
from engine.progress import Silent
from engine.run import Run
from engine.study import Study, load


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
    plan = Plan(study)
    with opened(plan, store, address=address, workers=workers, progress=progress) as state:
        asked.keep(store, name, plan)
        return _run(state)


@contextmanager
def opened(
    plan: Plan,
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
    state = Run(plan, store, Ledger(store), progress or Silent(), address, workers)
    try:
        with heartbeat.beating(store, lineage.digest("driver", 1, plan.study), state.progress.note), state.resources:
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


def _run(run: Run) -> Outcome:
    score(run)
    plan = run.plan
    population = assemble.population(plan, run.ledger)
    rows = (plan.cells | plan.exact).items()
    signals = assemble.signals(plan, population, (place[0] for item, place in rows if item not in run.ledger.entries))
    run.stage("nulls", plan.items["nulls"], work.background_toys, partial(tasks.nulls, run, population))
    # what nothing else is made of may have no answer here or there: the scan goes on, and says so at its end
    leaf = partial(run.stage, tolerant=True)
    leaf("cells", plan.items["cells"], work.cells, partial(tasks.cells, run, population, signals))
    leaf("exact", plan.items["exact"], work.exact, partial(tasks.exact, run, population, signals))
    # a search is a task of many laws, any of which may take its time: no stall limit
    searches = partial(tasks.searches, run, population)
    leaf("reach", plan.items["reach"], reach.seek, searches, stall_s=None)
    leaf("limits", plan.items["limits"], limits.compute, partial(tasks.limit_masses, run, population))
    if plan.systematics:
        leaf("systematics", plan.items["systematics"], systematics.compute, partial(tasks.varied, run, population))
    return _outcome(run, population)


LEAVES = ("cells", "exact", "reach", "limits", "systematics")


def _outcome(run: Run, population: Population) -> Outcome:
    plan = run.plan
    failed = {stage: run.unanswered(plan.items.get(stage, ())) for stage in LEAVES}
    diagnostics = assemble.diagnostics(plan, run.ledger)
    table, path = _table(run, failed["cells"] | failed["exact"])
    reached = _side_table(run, "reach_tables", reach, failed["reach"])
    limited = _side_table(run, "limit_tables", limits, failed["limits"])
    varied = systematics.table(plan, run.ledger) if not failed["systematics"] else None
    return Outcome(plan, table, path, run.computed, run.set_aside, diagnostics, population, *reached, varied, *limited,
                   failed=failed)  # fmt: skip


def _trainer(plan: Plan) -> Callable[..., Iterable[list[Entry]]] | None:
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
    plan, ledger = Plan(study), Ledger(store)
    beside = [*plan.items["reach_tables"], *plan.items["limit_tables"]]
    needed = [plan.table, *beside, *plan.items["scores"], *plan.systematics]
    if any(item not in ledger.entries for item in needed) or ledger.check(needed):
        return None
    population, diagnostics = assemble.population(plan, ledger), assemble.diagnostics(plan, ledger)
    path = store.where(ledger.entries[plan.table].path)
    reached, varied = reach.stored(plan, ledger, store), systematics.table(plan, ledger)
    limited = limits.stored(plan, ledger, store)
    return Outcome(plan, ledger.table(plan.table), path, {}, [], diagnostics, population, *reached, varied, *limited)
