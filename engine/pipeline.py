"""The corridor: simulate -> fit -> score -> toys -> cells -> laws -> reach, limits -> table. What exists stays."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType

import numpy as np
import pyarrow as pa

from engine import assemble, checkpoints, limits, reach, systematics, work
from engine.cluster import fan_out, trainer
from engine.cluster.store import Entry, Ledger, Part, Store, encode, sha256
from engine.diagnostics import Diagnostics
from engine.inference.population import Population
from engine.plan import HYPOTHESES, SLOTS, Plan
from engine.progress import Silent
from engine.study import Study, load

BLOCKS_PER_TASK = 2
EXACT_PER_TASK = 200  # points; a law is prepared once per task


@dataclass
class Run:
    """One pass over a study: what it found, made and set aside. The cluster starts when work is missing."""

    plan: Plan
    store: Store
    ledger: Ledger
    progress: Silent
    address: str | None = None
    workers: int | None = None
    computed: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    resources: ExitStack = field(default_factory=ExitStack)
    cpus: int = 0

    def stage(
        self,
        name: str,
        items: list[str],
        work: Callable,
        tasks: Callable[[set[str]], Iterable[tuple]],
        spread: Callable[..., Iterable[list[Entry]]] = fan_out.fan_out,
    ) -> None:
        """Computes the items that are missing: `tasks(missing)` gives the arguments of each call of `work`."""
        missing = {item for item in items if item not in self.ledger.entries}
        self.computed[name] = len(missing)
        self.progress.stage(name, len(items), len(items) - len(missing))
        if missing:
            self._start()
            for entries in spread(work, tasks(missing), self.store, self.cpus):
                self.ledger.add(entries)
                self.progress.advance(sum(item in missing for entry in entries for item in entry.items))
            self.ledger.flush()
        self.progress.done()

    def _start(self) -> None:
        if not self.cpus:
            self.cpus = self.resources.enter_context(fan_out.cluster(self.address, self.workers))

    def share(self, value: object) -> object:
        """Puts a big input where all tasks can read it."""
        self._start()
        return fan_out.share(value)

    def commit(self, part: Part) -> None:
        """A part that the driver itself made."""
        data = encode(part)
        self.store.put_new(part.path, data)
        self.ledger.add([Entry(part.path, sha256(data), part.items)])
        self.ledger.flush()

    def repair(self) -> None:
        """Adopts what was committed but not noted, and sets aside what does not verify."""
        for path in self.ledger.unreadable:
            self.put_aside(Entry(path, "", ()))
        for stage, items in self.plan.items.items():
            whole, damaged = self.ledger.orphans(f"{stage}/")
            self.ledger.add(whole)
            for path in damaged:
                self.put_aside(Entry(path, "", ()))
            for entry in self.ledger.check(items):
                self.put_aside(entry)
        self.ledger.flush()

    def put_aside(self, entry: Entry) -> None:
        """A part that does not verify: kept for inspection, its items are missing from now on."""
        self.ledger.set_aside(entry)
        self.set_aside.append(entry.path)
        self.progress.note(f"corrupt: {entry.path} does not verify; set aside, its items are computed again")


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
    run.stage("events", plan.items["events"], work.simulate, lambda missing: _simulations(run, missing))
    run.stage("models", plan.items["models"], work.fit, lambda missing: _fits(run, missing), _trainer(plan))
    checkpoints.discard(run.store, plan.items["models"])
    run.stage("scores", plan.items["scores"], work.score, lambda missing: _scorings(run, missing))


def _run(run: Run) -> Outcome:
    score(run)
    plan = run.plan
    population = assemble.population(plan, run.ledger)
    rows = (plan.cells | plan.exact).items()
    signals = assemble.signals(plan, population, (place[0] for item, place in rows if item not in run.ledger.entries))
    run.stage("nulls", plan.items["nulls"], work.background_toys, lambda missing: _nulls(run, population, missing))
    run.stage("cells", plan.items["cells"], work.cells, lambda missing: _cells(run, population, signals, missing))
    run.stage("exact", plan.items["exact"], work.exact, lambda missing: _exact(run, population, signals, missing))
    # a search is a task of many laws, any of which may take its time: no stall limit
    patient = partial(fan_out.fan_out, stall_s=None)
    run.stage("reach", plan.items["reach"], reach.seek, lambda missing: _reach(run, population, missing), patient)
    run.stage("limits", plan.items["limits"], limits.compute, lambda missing: _limits(run, population, missing))
    if plan.systematics:
        tasks = partial(_systematics, run, population)
        run.stage("systematics", plan.items["systematics"], systematics.compute, tasks)
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


def _simulations(run: Run, missing: set[str]) -> Iterable[tuple]:
    plan = run.share(run.plan)
    return [(plan, shard) for shard in run.plan.shards["train"] if shard.item in missing]


def _fits(run: Run, missing: set[str]) -> Iterable[tuple]:
    for slot in SLOTS:
        if run.plan.models[slot] in missing:
            model = getattr(run.plan.study.models, slot)
            entries = [run.ledger.entries[shard.item] for shard in run.plan.training(model)]
            yield run.plan, slot, run.store, entries


def _scorings(run: Run, missing: set[str]) -> Iterable[tuple]:
    plan, shared = run.plan, run.share(run.plan)
    models = run.share({slot: run.ledger.read(plan.models[slot]) for slot in SLOTS})
    shards = [shard for purpose in plan.scored for shard in plan.shards[purpose]]
    for shard in (*shards, *plan.varied_shards):
        slots = [slot for slot in SLOTS if plan.score_item(shard, slot) in missing]
        if slots or shard.item in missing:
            yield shared, shard, slots, models


def _nulls(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    for exposure in plan.study.grid.exposure_ty.points():
        for hypothesis in HYPOTHESES:
            blocks = [
                block
                for block in range(plan.n_blocks(hypothesis))
                if any(plan.null_item(exposure, hypothesis, block, *pair) in missing for pair in plan.by_toys)
            ]
            for start in range(0, len(blocks), BLOCKS_PER_TASK):
                yield *inputs, exposure, hypothesis, blocks[start : start + BLOCKS_PER_TASK]


def _cells(
    run: Run, population: Population, signals: dict[float | None, np.ndarray], missing: set[str]
) -> Iterable[tuple]:
    plan, inputs = run.plan, (run.share(run.plan), run.share(population))
    shared = {mass: run.share(weights) for mass, weights in signals.items()}
    wanted: dict[float, dict[float | None, set[float]]] = {}
    for item, (point, _, _) in plan.cells.items():
        if item in missing:
            masses = wanted.setdefault(point.exposure_ty, {})
            masses.setdefault(point.m_chi_GeV, set()).add(point.size)
    for exposure, masses in wanted.items():
        toys = run.share({name: assemble.toys(plan, run.ledger, exposure, name) for name in HYPOTHESES})
        for mass, sizes in masses.items():
            yield *inputs, toys, shared[mass], exposure, mass, sorted(sizes)


def _exact(run: Run, population: Population, signals: dict, missing: set[str]) -> Iterable[tuple]:
    inputs, weights = (run.share(run.plan), run.share(population)), run.share(signals)
    q_median = _medians(run)
    wanted: dict[tuple, list[tuple]] = {}
    for item, (point, *pair) in run.plan.exact.items():
        if item in missing:
            wanted.setdefault((point.exposure_ty, tuple(pair)), []).append((point, q_median.get((point, *pair))))
    for (exposure, pair), points in wanted.items():
        for start in range(0, len(points), EXACT_PER_TASK):
            yield *inputs, exposure, pair, weights, points[start : start + EXACT_PER_TASK]


def _reach(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    inputs = run.share(run.plan), run.share(population)
    shared = {mass: run.share(weights) for mass, weights in reach.signals(run.plan, population, missing).items()}
    for item, sought in reach.wanted(run.plan, missing):
        yield *inputs, shared[sought[2]], item, sought


def _limits(run: Run, population: Population, missing: set[str]) -> Iterable[tuple]:
    inputs = run.share(run.plan), run.share(population), run.share(limits.signals(run.plan, population, missing))
    return [(*inputs, exposure, masses) for exposure, masses in limits.wanted(run.plan, missing).items()]


def _systematics(run: Run, nominal: Population, missing: set[str]) -> Iterable[tuple]:
    plan, signal = run.plan, systematics.benchmark(run.plan, nominal)
    shared, wanted = (run.share(plan), run.share(nominal)), {}
    for item, (variation, exposure, *pair) in plan.systematics.items():
        if item in missing:
            wanted.setdefault(variation, {}).setdefault(exposure, []).append(tuple(pair))
    for variation, exposures in wanted.items():
        varied = systematics.population(plan, run.ledger, nominal, variation.shift)
        inputs = run.share(varied), run.share((signal, systematics.benchmark(plan, varied)))
        for exposure, pairs in exposures.items():
            for pair in pairs:
                yield *shared, *inputs, variation, exposure, pair


def _medians(run: Run) -> dict[tuple, float]:
    """q_median of the toys by cell."""
    items = list(run.plan.cells)
    rows = run.ledger.rows(items, "lineage") if items else None
    pairs = zip(rows["lineage"].to_pylist(), rows["q_median"].to_pylist(), strict=True) if items else ()
    return {run.plan.cells[item]: q for item, q in pairs}


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
