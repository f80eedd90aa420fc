"""The way through the stages, from a study to its tables; what exists stays."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType

import pyarrow as pa

from engine import lineage, stages
from engine.assembly import foresight
from engine.assembly.inputs import Inputs
from engine.assembly.results import Result
from engine.errors import CorruptPart
from engine.inference.population import Population
from engine.plan.event_plan import EventPlan
from engine.plan.members import plan_of
from engine.plan.plan import Plan
from engine.progress import Silent
from engine.run import refine, request
from engine.run.executors import Executor, executor
from engine.run.sharing import InShares, Share
from engine.run.state import Price, Run, to_its_end
from engine.stages import STAGES, cells, events, exact, models, scores, tables
from engine.store import heartbeat
from engine.store.parts import Part, encode
from engine.store.store import Ledger, Store
from engine.study import Study

FIRST = (events, models, scores)  # the way to scored events, one for all members of a comparison


@dataclass(frozen=True)
class Outcome:
    """A finished scan: what every stage gives to a reader by the stage's name, and what was done for it.

    failed: by stage, item -> why it has no answer; the table is partial if there are any.
    """

    plan: Plan
    population: Population
    ledger: Ledger
    results: dict[str, object]
    computed: dict[str, int]
    set_aside: list[str]
    failed: dict[str, dict[str, str]] = field(default_factory=dict)

    def __getitem__(self, stage: str):
        return self.results[stage]

    @property
    def table(self) -> pa.Table:
        """The study's table (`engine.schemas.results`)."""
        return self["tables"].table

    @property
    def path(self) -> str:
        """Where it is."""
        return self["tables"].path

    @property
    def n_failed(self) -> int:
        """Items without an answer."""
        return sum(map(len, self.failed.values()))


def run(
    study: Study,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    share: Share | None = None,
    progress: Silent | None = None,
    price: Price | None = None,
    name: str = "study",
    on: Executor | None = None,
) -> Outcome:
    """`engine.scan` of a study without a comparison, with all that is known at its end; raises the same.

    on: what does the work, and stays open; by default one of this scan's own, by address and workers.
    """
    plan = plan_of(study)
    with opened(
        plan, store, address=address, workers=workers, share=share, progress=progress, price=price, on=on
    ) as state:
        request.keep(store, name, plan)
        return to_its_end(state, lambda run: whole(run, study))


def whole(run: Run, study: Study) -> Outcome:
    """All stages of a study."""
    score(run)
    return evaluate(run.under(Plan(study)))


@contextmanager
def opened(
    plan: EventPlan,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    share: Share | None = None,
    progress: Silent | None = None,
    price: Price | None = None,
    on: Executor | None = None,
) -> Iterator[Run]:
    """A pass over a plan, whose ledger and executor are closed at its end; raises BadInput before any work.

    share: of several processes that do the same pass, which one this is; on: see `run`.
    """
    foresight.refuse_full_toys(plan.study)
    foresight.refuse_store(plan.study, store.uri)
    foresight.refuse_compiling(plan.study)
    store.check_writable()
    progress = progress or Silent()
    ledger = Ledger(store)
    ledger.compact()
    made = stages.items(plan)
    progress.ahead([stage.NAME for stage in STAGES if hasattr(stage, "work") and made.get(stage.NAME)])
    does = on or executor(address, workers, progress.note)
    for line in foresight.remarks(plan.study):
        progress.note(line)
    with ExitStack() as ends:  # the last one first, and all of them, whatever one says
        for end in (*(() if on else (does.close,)), progress.close, ledger.flush):
            ends.callback(end)
        warn = Silent().note if share else progress.note  # of the others it is known
        beat = ends.enter_context(heartbeat.beating(store, lineage.digest("driver", 1, plan.study), warn))
        yield Run(plan, store, ledger, progress, InShares(share, ledger, beat) if share else does, price=price)


def score(run: Run) -> None:
    """The way to scored events: simulate, fit, score."""
    run.repair()
    for stage in FIRST:
        run.stage(stage)


def evaluate(run: Run) -> Outcome:
    """The way from scored events to tables."""
    own = [stage for stage in STAGES if hasattr(stage, "work") and not stages.trait(stage, "OF_ALL")]
    for number, stage in enumerate(own, start=1):
        run.stage(stage, ahead=_ahead(run, own[number:]))
        for sibling in run.plan.siblings:
            of_seed = run.under(sibling)
            if sibling.has(stage.NAME) and of_seed.missing(stage.items(sibling)):
                of_seed.stage(stage)
        if stage is exact and not run.unanswered([*cells.items(run.plan), *exact.items(run.plan)]):
            refine.spend(run)
    run.shared.clear()
    return _outcome(run)


def _ahead(run: Run, following: list[ModuleType]) -> Iterator[ModuleType]:
    """The stages that may begin while the one before them ends: those that wait for scored events alone, up to the
    first that waits for more. None where a seed or a round of refinement is to come in between."""
    if run.plan.siblings or run.plan.study.grid.refine:
        return
    for stage in following:
        if stages.trait(stage, "OF_SCORES"):
            yield stage
        elif run.plan.has(stage.NAME) and run.missing(stage.items(run.plan)):
            return


def _outcome(run: Run) -> Outcome:
    failed = {stage.NAME: run.unanswered(_leaves(run.plan, stage)) for stage in STAGES
              if stages.trait(stage, "MAY_FAIL")}  # fmt: skip
    results = {stage.NAME: _result(run, stage, failed) for stage in stages.shown()}
    return Outcome(run.plan, run.population, run.ledger, results, run.computed, run.set_aside, failed)


def _leaves(plan: Plan, stage: ModuleType) -> list[str]:
    """The items of a stage, those of other seeds too: their spread is a column."""
    return [item for one in (plan, *plan.siblings) if one.has(stage.NAME) for item in stage.items(one)]


def _result(run: Run, stage: ModuleType, failed: dict[str, dict[str, str]]) -> object:
    """What a stage gives to a reader, its table made where it is missing; nothing while its rows have failed."""
    if stage is tables:
        return _table(run, {item: why for name in tables.OF for item, why in failed[name].items()})
    if failed.get(stage.NAME):
        return stages.empty(stage, run.plan) if hasattr(stage, "TABLES") else None
    if hasattr(stage, "table_item"):
        _commit_table(run, stage)
    return stages.result(stage, run)


def _commit_table(run: Run, stage: ModuleType) -> None:
    item = stage.table_item(run.plan)
    missing = run.missing([] if item is None else [item])
    run.computed[stage.TABLES] = run.computed.get(stage.TABLES, 0) + len(missing)
    for item in missing:
        run.commit(Part(f"{stage.TABLES}/{item}.parquet", (item,), stage.table(run.plan, run.ledger)))


def _table(run: Run, failed: dict[str, str]) -> Result:
    """The study's table; where items failed, one that may be written again, in a place of its own."""
    if not failed:
        _commit_table(run, tables)
        return stages.result(tables, run)
    table, path = tables.table(run.plan, run.ledger, failed), f"partial/{run.plan.table}.parquet"
    run.computed[tables.TABLES] = 0
    run.store.put(path, encode(Part(path, (), table)))
    return Result(table, run.store.where(path))


def finished(study: Study, store: Store) -> Outcome | None:
    """A study's results as they are in the store, or None when the scan has not ended there."""
    ledger = Ledger(store)
    plan, is_settled = refine.replay(study, ledger)
    made = stages.items(plan)
    if not is_settled or any(item not in ledger.entries for items in made.values() for item in items):
        return None
    reread = {folder for stage in STAGES if stages.trait(stage, "REREAD") for folder in (stage.NAME,)}
    reread |= {stage.TABLES for stage in STAGES if hasattr(stage, "TABLES")}
    if ledger.check(item for folder in reread for item in made.get(folder, ())):
        return None
    inputs = Inputs(plan, store, ledger)
    try:
        results = {stage.NAME: stages.result(stage, inputs) for stage in stages.shown()}
        return Outcome(plan, inputs.population, ledger, results, {}, [])
    except CorruptPart:  # a part that is not read again everywhere; a scan makes it anew
        return None
