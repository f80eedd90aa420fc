"""How far a study is in a store: what is done, missing, stale, corrupt or failed, and why; changes nothing there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine import stages
from engine.plan.event_plan import EventPlan
from engine.plan.members import JointPlan, plan_of
from engine.plan.plan import Plan
from engine.run import refine, request
from engine.run.coverage import LETTERS, STATES, Coverage, coverage
from engine.stages import models
from engine.store import fits, tracebacks
from engine.store.parts import Failure
from engine.store.store import Ledger, Store
from engine.study import Study


@dataclass(frozen=True)
class StageStatus:
    """Items of one stage; what failed or is corrupt is missing, too."""

    done: int
    of: int
    failed: int
    corrupt: int
    stale: int


@dataclass(frozen=True)
class Status:
    """How far a study is in a store; `missing` includes what failed or is corrupt.

    failed: what a user calls it -> why; details: the same -> where in the store its traceback is, if it was kept; fits:
    those under way, in words; stale_since: the first field that differs from the last scan's, None where
    nothing is stale; refine: what is known of its rounds, None without them; best: of the trials so far, in words.
    """

    exists: bool
    by_stage: dict[str, StageStatus]
    corrupt: list[str]
    failed: dict[str, str]
    stale_since: str | None
    table: str | None
    coverage: list[Coverage]
    refine: dict | None = None
    best: str | None = None
    details: dict[str, str] = field(default_factory=dict)
    fits: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Items that are there and verify."""
        return sum(stage.done for stage in self.by_stage.values())

    @property
    def missing(self) -> int:
        """Items that a scan would compute."""
        return sum(stage.of - stage.done for stage in self.by_stage.values())

    @property
    def stale(self) -> int:
        """Items of the last scan that are no longer asked for."""
        return sum(stage.stale for stage in self.by_stage.values())

    def as_json(self) -> dict:
        """As plain data, under names that stay."""
        return {
            "exists": self.exists, "done": self.done, "missing": self.missing, "stale": self.stale,
            "stale_since": self.stale_since, "corrupt": len(self.corrupt), "corrupt_paths": self.corrupt,
            "failed": self.failed, "details": self.details,
            "fits": self.fits, "table": self.table, "refine": self.refine, "best": self.best,
            "by_stage": {name: vars(stage) for name, stage in self.by_stage.items()},
            "coverage": [{"exposure_ty": one.exposure_ty, "points": one.counts, "m_chi_GeV": one.m_chi_GeV,
                          one.size.name: one.sizes, "map": one.lines} for one in self.coverage],
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """What a user reads below the table of stages."""
        yield from (f"corrupt: {path}" for path in self.corrupt)
        for name, reason in self.failed.items():
            yield f"failed: {name}: {reason}" + (f"; traceback: {self.details[name]}" if name in self.details else "")
        yield from (f"fit: {fit}" for fit in self.fits)
        if self.stale:
            yield f"stale: {self.stale} items of the last scan are no longer asked for: {self.stale_since}"
        if self.missing and self.done:
            yield from self._maps()
        for number, each in enumerate(self.refine["rounds"] if self.refine else (), start=1):
            yield f"round {number}: {each['points']} points, {each['rows_done']} of {each['rows']} rows done"
        if self.refine and not self.refine["settled"]:
            yield "further rounds follow from what these find"
        if self.best:
            yield f"best so far: {self.best}"
        yield (f"done {self.done}, missing {self.missing}, corrupt {len(self.corrupt)}, failed {len(self.failed)}, "
               f"stale {self.stale}")  # fmt: skip

    def _maps(self) -> Iterator[str]:
        legend = ", ".join(f"{letter} {name}" for letter, name in zip(LETTERS, STATES, strict=True))
        for one in self.coverage:
            yield f"{one.exposure_ty:g} t y, {one.size.name} upwards{', m_chi_GeV to the right' * one.size.has_mass}:"
            yield from one.lines
        yield legend


def status(study: Study, store: Store, name: str = "study", verify: bool = False) -> Status:
    """A study's items as they are in the store; `name`: the one it is scanned under; verify: by every byte."""
    ledger, plan, is_settled = Ledger(store), plan_of(study), True
    if study.grid.refine:
        plan, is_settled = refine.replay(study, ledger)
    made, damaged = stages.items(plan), damaged_parts(plan, ledger, verify)
    now, before = request.of_plan(plan), request.last(store, name)
    stale = request.stale(before, now)
    n_stale = {stage: len(items) for stage, items in stale.items()}
    by_stage, state_of, failed = counts(made, ledger, damaged, n_stale)
    table = _table(study, plan, ledger, store) if not any(item in state_of for item in made["tables"]) else None
    since = request.first_difference(before.fields, now.fields) if stale else None
    corrupt = [*ledger.unreadable, *damaged]
    covered = coverage(list(plan.members.values()) if isinstance(plan, JointPlan) else [plan], state_of)
    rounds = refine.progress(plan, ledger, is_settled)
    details = tracebacks.kept(store, (ledger.failures[item] for item in state_of if item in ledger.failures))
    fitted = [fit.as_found for fit in fits.under_way(store, models.items(plan)).values()]
    return Status(store.exists, by_stage, corrupt, failed, since, table, covered, rounds, None, details, fitted)


def counts(
    items_of: dict[str, list[str]], ledger: Ledger, damaged: list[str], stale: dict[str, int] | None = None
) -> tuple[dict[str, StageStatus], dict[str, str], dict[str, str]]:
    """Counts by stage, the state of every item that is not done, and why those that failed did."""
    by_stage, state_of, failed = {}, {}, {}
    for stage, items in items_of.items():
        for item in items:
            if state := _state(ledger, damaged, item):
                state_of[item] = state
        states = [state_of.get(item, "done") for item in items]
        counts = [states.count(state) for state in ("done", "failed", "corrupt")]
        by_stage[stage] = StageStatus(counts[0], len(items), *counts[1:], (stale or {}).get(stage, 0))
        failed |= reasons(ledger.failures, (item for item in items if state_of.get(item) == "failed"))
    return by_stage, state_of, failed


def _table(study: Study, plan: Plan | JointPlan, ledger: Ledger, store: Store) -> str | None:
    """Where the result is once all tables are there; a comparison is written after them."""
    if study.compare is None:
        return store.where(ledger.entries[stages.items(plan)["tables"][0]].path)
    path = f"{plan.folder}/comparison.parquet"
    return store.where(path) if path in store.list(plan.folder) else None


def damaged_parts(plan: EventPlan, ledger: Ledger, thorough: bool = False) -> list[str]:
    """Paths of parts that do not verify (`Ledger.check`); what does and was not noted, the ledger knows from now on."""
    damaged = []
    for stage, items in stages.items(plan).items():
        whole, broken = ledger.orphans(f"{stage}/")
        ledger.know(whole)
        damaged += broken + [entry.path for entry in ledger.check(items, thorough)]
    return damaged


def _state(ledger: Ledger, damaged: list[str], item: str) -> str | None:
    """Of an item that is not done."""
    if item in ledger.entries:
        return "corrupt" if ledger.entries[item].path in damaged else None
    return "failed" if item in ledger.failures else "missing"


def reasons(failures: dict[str, Failure], items: Iterable[str]) -> dict[str, str]:
    """Why these have no answer, by what a user calls them."""
    return {failures[item].name: failures[item].reason for item in items if item in failures}
