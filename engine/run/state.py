"""One pass over a plan: stages whose missing items are computed, by an executor that starts when work is missing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import ModuleType

from engine import stages
from engine.assembly.inputs import Inputs
from engine.plan.event_plan import EventPlan
from engine.progress import Silent
from engine.run.executors import Executor, InProcess, Job
from engine.store.parts import Entry, Failure, Part, encode, sha256
from engine.store.units import Unit

WAITS = "waits for its toys"  # an exact law, which is held against toys that have failed


@dataclass
class Run(Inputs):
    """One pass over a plan: what it computed and set aside."""

    progress: Silent = field(default_factory=Silent)
    executor: Executor = field(default_factory=InProcess)
    computed: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    others: dict[int, "Run"] = field(default_factory=dict)  # by the identity of their plans

    def under(self, plan: EventPlan) -> "Run":
        """This pass over another plan; one object a plan, so that its population is made once."""
        if id(plan) not in self.others:
            self.others[id(plan)] = replace(self, plan=plan)
        return self.others[id(plan)]

    def share(self, value: object) -> object:
        """Puts a big input where all units can read it."""
        return self.executor.share(value)

    def stage(self, stage: ModuleType, name: str | None = None) -> None:
        """Computes what a stage is missing; what has no answer is noted, if it may be so, and tried in the next pass.

        name: what it is called while it runs, where that is not its own.
        """
        if not self.plan.has(stage.NAME):
            return
        group = stage.group(self.plan) if hasattr(stage, "group") else None
        self.compute(
            name or stage.NAME, stage.items(self.plan), stage.work, lambda missing: stage.units(self, missing),
            tolerant=stages.trait(stage, "MAY_FAIL"), stalls=stages.trait(stage, "STALLS"), group=group,
        )  # fmt: skip
        if hasattr(stage, "finish"):
            stage.finish(self)

    def compute(
        self, name: str, items: list[str], work: Callable, units: Callable[[set[str]], Iterable[Unit]], **how: object
    ) -> None:
        """Computes the items that are missing; `units(missing)`: what `work` is called with; how: see `Job`."""
        missing = self.missing(items)
        self.computed[name] = self.computed.get(name, 0) + len(missing)
        self.progress.stage(name, len(items), len(items) - len(missing))
        if missing:
            job = Job(work, units(missing), self.store, len(missing), **how)
            for records in self.executor.do(job):
                self.ledger.add(records)
                self._note_failures(records)
                self.progress.advance(sum(item in missing for record in records for item in record.items))
            self.ledger.flush()
        self.progress.done()

    def _note_failures(self, records: list[Entry | Failure]) -> None:
        for record in records:
            if isinstance(record, Failure):
                self.progress.note(f"failed: {record.name}: {record.reason}; the scan goes on")

    def unanswered(self, items: Iterable[str]) -> dict[str, str]:
        """Why items that are missing when their stage has ended are missing: what was raised, or what they wait for."""
        known, missing = self.ledger.failures, [item for item in items if item not in self.ledger.entries]
        return {item: known[item].reason if item in known else WAITS for item in missing}

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
        for folder, items in stages.items(self.plan).items():
            whole, damaged = self.ledger.orphans(f"{folder}/")
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
