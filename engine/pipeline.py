"""The corridor: simulate -> fit -> score -> toys -> cells -> laws -> reach, limits -> table. What exists stays."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import pyarrow as pa

from engine import assemble, checkpoints, limits, reach, systematics, tasks, work
from engine.cluster import fan_out, trainer
from engine.cluster.parts import Entry, Part
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


def scan(study: Study | str, store: Store | str = "./recoilscan-store", **options: object) -> pa.Table:
    """The whole path for a study, resumed where it stands; returns the result table (`engine.schemas.RESULTS`).

    `study` is a parsed study, a TOML file or a shipped name. Options: `address` of a Ray cluster (default: a local
    one), `workers` of the local one, `progress`. Raises BadInput before any work starts; for toys too full to be drawn,
    which the pool tells, before the first of them.
    """
    study = load(study) if isinstance(study, str) else study
    store = Store(store) if isinstance(store, str) else store
    return run(study, store, **options).table


def run(
    study: Study,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    progress: Silent | None = None,
) -> Outcome:
    """`scan` with everything that is known at its end; raises the same."""
    with opened(Plan(study), store, address=address, workers=workers, progress=progress) as state:
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
        fan_out.check_address(address)
    state = Run(plan, store, Ledger(store), progress or Silent(), address, workers)
    try:
        with state.resources:
            yield state
    finally:
        state.progress.close()
        state.ledger.flush()


def score(run: Run) -> None:
    """The way to scored events: simulate, fit, score."""
    run.repair()
    plan = run.plan
    run.stage("events", plan.items["events"], work.simulate, partial(tasks.simulations, run))
    run.stage("models", plan.items["models"], work.fit, partial(tasks.fits, run), _trainer(plan))
    checkpoints.discard(run.store, plan.items["models"])
    run.stage("scores", plan.items["scores"], work.score, partial(tasks.scorings, run))


def _run(run: Run) -> Outcome:
    score(run)
    plan = run.plan
    population = assemble.population(plan, run.ledger)
    rows = (plan.cells | plan.exact).items()
    signals = assemble.signals(plan, population, (place[0] for item, place in rows if item not in run.ledger.entries))
    run.stage("nulls", plan.items["nulls"], work.background_toys, partial(tasks.nulls, run, population))
    run.stage("cells", plan.items["cells"], work.cells, partial(tasks.cells, run, population, signals))
    run.stage("exact", plan.items["exact"], work.exact, partial(tasks.exact, run, population, signals))
    # a search is a task of many laws, any of which may take its time: no stall limit
    patient = partial(fan_out.fan_out, stall_s=None)
    run.stage("reach", plan.items["reach"], reach.seek, partial(tasks.searches, run, population), patient)
    run.stage("limits", plan.items["limits"], limits.compute, partial(tasks.limit_masses, run, population))
    if plan.systematics:
        of_variations = partial(tasks.varied, run, population)
        run.stage("systematics", plan.items["systematics"], systematics.compute, of_variations)
    diagnostics = assemble.diagnostics(plan, run.ledger)
    table, path = _table(run)
    reached, limited = _side_table(run, "reach_tables", reach), _side_table(run, "limit_tables", limits)
    varied = systematics.table(plan, run.ledger)
    return Outcome(plan, table, path, run.computed, run.set_aside, diagnostics, population, *reached, varied, *limited)


def _trainer(plan: Plan) -> Callable[..., Iterable[list[Entry]]]:
    """What spreads fits over the cluster: one task each, or a group of processes each."""
    training = plan.study.training
    if training.in_process:
        return partial(fan_out.fan_out, stall_s=None)  # a fit is one task, and Table 1 takes an hour
    return partial(
        trainer.train, workers=training.workers, gpus_per_worker=training.gpus_per_worker,
        name=lambda task: plan.models[task[1]],
    )  # fmt: skip


def _table(run: Run) -> tuple[pa.Table, str]:
    item = run.plan.table
    path = f"tables/{item}.parquet"
    run.computed["tables"] = int(item not in run.ledger.entries)
    if run.computed["tables"]:
        run.commit(Part(path, (item,), assemble.table(run.plan, run.ledger)))
    return run.ledger.table(item), run.store.where(path)


def _side_table(run: Run, stage: str, of: ModuleType) -> tuple[pa.Table, str | None]:
    """A table beside the main one, made by the module that made its rows."""
    missing = [item for item in run.plan.items[stage] if item not in run.ledger.entries]
    run.computed[stage] = len(missing)
    for item in missing:
        run.commit(Part(of.path(item), (item,), of.table(run.plan, run.ledger)))
    return of.stored(run.plan, run.ledger, run.store)


@dataclass(frozen=True)
class Status:
    """How far a study is in a store; `missing` includes what is corrupt."""

    done: int
    missing: int
    corrupt: list[str]
    by_stage: dict[str, tuple[int, int]]
    table: str | None


def status(study: Study, store: Store) -> Status:
    """Counts a study's items; changes nothing in the store."""
    plan, ledger = Plan(study), Ledger(store)
    corrupt, by_stage, table = list(ledger.unreadable), {}, None
    for stage, items in plan.items.items():
        whole, damaged = ledger.orphans(f"{stage}/")
        ledger.know(whole)
        damaged += [entry.path for entry in ledger.check(items)]
        corrupt += damaged
        good = [item for item in items if item in ledger.entries and ledger.entries[item].path not in damaged]
        by_stage[stage] = len(good), len(items)
        if stage == "tables" and good:
            table = store.where(ledger.entries[plan.table].path)
    done, total = (sum(counts) for counts in zip(*by_stage.values(), strict=True))
    return Status(done, total - done, corrupt, by_stage, table)


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
