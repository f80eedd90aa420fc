"""One pass over a plan: stages whose missing items are computed, by an executor that starts when work is missing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType
from typing import TypeVar

from engine import stages
from engine.assembly.inputs import Inputs
from engine.errors import CorruptPart, StoreFault, TaskFailed
from engine.plan.event_plan import EventPlan
from engine.progress import Silent
from engine.run.executors import Executor, InProcess
from engine.run.watch import watching
from engine.store import tracebacks
from engine.store.parts import Entry, Failure, Part
from engine.store.units import Job, Unit, commit

REPAIRS = 20  # of one pass: a disk that damages more parts than that while it is read is no place for a store
WAITS = "waits for its toys"  # an exact law, which is held against toys that have failed

Made = TypeVar("Made")
Price = Callable[[ModuleType, EventPlan, set[str]], float]  # of a stage's items


@dataclass
class Begun:
    """A stage that is computed, or whose turn comes: its items, those that were missing when it began, its fits, what
    does them (None: nothing is missing), and how many came before its turn."""

    name: str
    n_items: int
    missing: set[str]
    fits: Iterable[str]
    job: Job | None
    n_early: int = 0


@dataclass
class Run(Inputs):
    """One pass over a plan: what it computed and set aside. price: what missing items cost, in seconds of a core."""

    progress: Silent = field(default_factory=Silent)
    executor: Executor = field(default_factory=InProcess)
    computed: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    price: Price | None = None
    others: dict[int, "Run"] = field(default_factory=dict)  # by the identity of their plans
    begun: dict[str, Begun] = field(default_factory=dict)  # by the name of the stage
    shared: dict[int, tuple[object, object]] = field(default_factory=dict)  # what `share` gave, by the value's identity

    def under(self, plan: EventPlan) -> "Run":
        """This pass over another plan; one object a plan, so that its population is made once."""
        if id(plan) not in self.others:
            self.others[id(plan)] = replace(self, plan=plan, begun={}, shared={})
        return self.others[id(plan)]

    def share(self, value: object) -> object:
        """Puts a big input where all units can read it: the plan and its population once for all stages."""
        if value is not self.plan and value is not vars(self).get("population"):
            return self.executor.share(value)
        if id(value) not in self.shared:
            self.shared[id(value)] = value, self.executor.share(value)  # with the value, so that its id stays its own
        return self.shared[id(value)][1]

    def stage(self, stage: ModuleType, name: str | None = None, ahead: Iterable[ModuleType] = ()) -> None:
        """Computes what a stage is missing; what has no answer is noted, if it may be so, and tried in the next pass.

        name: what it is called while it runs, where that is not its own. ahead: stages that are to follow, which may
        begin while this one's last tasks are under way.
        """
        if not self.plan.has(stage.NAME):
            return
        early = [other for other in ahead if self.executor.looks_ahead and self.plan.has(other.NAME)]
        behind = [self._of_stage(other) for other in early]
        price = self.price and partial(self.price, stage, self.plan)
        self._compute(self._of_stage(stage, name), [one for one in behind if one.job], price)
        if hasattr(stage, "finish"):
            stage.finish(self)

    def _of_stage(self, stage: ModuleType, name: str | None = None) -> Begun:
        items = stage.items(self.plan)
        return self._begin(
            name or stage.NAME, items, stage.work, lambda missing: stage.units(self, missing),
            items if stages.trait(stage, "FITS") else (), tolerant=stages.trait(stage, "MAY_FAIL"),
            stalls=stages.trait(stage, "STALLS"), group=stage.group(self.plan) if hasattr(stage, "group") else None,
            gpus=stage.gpus(self.plan) if hasattr(stage, "gpus") else 0.0,
        )  # fmt: skip

    def compute(
        self, name: str, items: list[str], work: Callable, units: Callable[[set[str]], Iterable[Unit]],
        fits: Iterable[str] = (), **how: object,
    ) -> None:  # fmt: skip
        """Computes the items that are missing; `units(missing)`: what `work` is called with; fits: items of those that
        are told of while it does; how: see `Job`."""
        self._compute(self._begin(name, items, work, units, fits, **how))

    def _begin(
        self, name: str, items: list[str], work: Callable, units: Callable[[set[str]], Iterable[Unit]],
        fits: Iterable[str] = (), **how: object,
    ) -> Begun:  # fmt: skip
        """What a stage is to compute; where it has begun before its turn, what that was."""
        if name not in self.begun:
            missing = self.missing(items)

            def made() -> Iterator[Unit]:  # not before the stage is told of
                yield from units(missing)

            job = Job(work, made(), self.store, len(missing), name, **how) if missing else None
            self.begun[name] = Begun(name, len(items), missing, fits, job)
            self.computed.setdefault(name, 0)
        return self.begun[name]

    def _compute(self, begun: Begun, behind: Sequence[Begun] = (), price: Price | None = None) -> None:
        """Computes what is missing, and of what is `behind` in these stages' order what finds room meanwhile."""
        name, missing = begun.name, begun.missing
        self.progress.stage(name, begun.n_items, begun.n_items - len(missing))
        if begun.n_early:
            self.progress.advance(begun.n_early)
        if begun.job:

            def expected_s() -> float | None:
                n = min(self.executor.width, len(missing))
                return price(self.missing(list(missing))) / n if price and n else None

            with watching(self.progress, self.store, begun.fits, self.ledger.entries, expected_s):
                self._do(begun, behind)
            self.ledger.flush()
        del self.begun[name]
        self.progress.done()

    def _do(self, begun: Begun, behind: Sequence[Begun]) -> None:
        try:
            for records in self.executor.do(begun.job, [one.job for one in behind]):
                self._forget_failures(records)
                self._put_derived_aside(records)
                self.ledger.add(records)
                self._note_failures(records)
                items = [item for record in records for item in record.items]
                for one in (begun, *behind):
                    n_items = sum(item in one.missing for item in items)
                    self.computed[one.name] += n_items
                    if one is begun:
                        self.progress.advance(n_items)
                    else:
                        one.n_early += n_items
        except TaskFailed as error:  # which ends the scan, and `status` is asked why
            self.ledger.add([error.failure] if error.failure else [])
            raise

    def _forget_failures(self, records: list[Entry | Failure]) -> None:
        """Removes the tracebacks of what has an answer now."""
        known = self.ledger.failures
        done = (item for record in records if isinstance(record, Entry) for item in record.items)
        tracebacks.discard(self.store, [known[item] for item in done if item in known])

    def _put_derived_aside(self, records: list[Entry | Failure]) -> None:
        """Sets aside what this plan has made of a fit that was lost and has other weights now, as on another processor
        or a GPU; before the fit is noted, so that a driver that dies in between does it again."""
        fits = [one for one in records if isinstance(one, Entry) and one.path.startswith(f"{stages.models.NAME}/")]
        for entry in filter(self.ledger.had_other_bytes, fits):
            known = self.ledger.entries
            derived = {known[item].path: known[item] for fit in entry.items
                       for item in stages.made_of(self.plan, fit) if item in known}  # fmt: skip
            for one in derived.values():
                self.ledger.set_aside(one)
                self.set_aside.append(one.path)
            self.progress.note(f"note: {entry.path} has other weights than the fit that was lost; {len(derived)} parts "
                               "that were made of that are set aside and computed again")  # fmt: skip

    def _note_failures(self, records: list[Entry | Failure]) -> None:
        for record in records:
            if isinstance(record, Failure):
                where = self.store.where(tracebacks.path(record))
                self.progress.note(f"failed: {record.words}; traceback: {where}; the scan goes on")

    def unanswered(self, items: Iterable[str]) -> dict[str, str]:
        """Why items that are missing when their stage has ended are missing: what was raised, or what they wait for."""
        known, missing = self.ledger.failures, [item for item in items if item not in self.ledger.entries]
        return {item: known[item].reason if item in known else WAITS for item in missing}

    def commit(self, part: Part) -> None:
        """A part that the driver itself made."""
        self.ledger.add(commit(self.store, [part]))
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
        """A part that does not verify: kept for inspection, its items are missing from now on. One that has other
        bytes, but is whole by its own seal and of the same items, is used as it is."""
        if twin := self.ledger.twin(entry):
            self._put_derived_aside([twin])
            self.ledger.add([twin])
            self.progress.note(f"note: {entry.path} has other bytes than were noted and is whole by its own seal, as "
                               "another kind of processor makes it; it is used")  # fmt: skip
            return
        self.ledger.set_aside(entry)
        self.set_aside.append(entry.path)
        self.progress.note(f"corrupt: {entry.path} does not verify; set aside, its items are computed again")


def to_its_end(run: Run, way: Callable[[Run], Made]) -> Made:
    """What a way through the stages makes. Where a part is found damaged under way, it is set aside, and the way gone
    again from its beginning, which computes what is missing. Raises StoreFault where there is no end of that."""
    for _ in range(REPAIRS):
        try:
            return way(run)
        except CorruptPart as damage:
            last = damage
            run.progress.close()
            run.ledger.doubt()
            for entry in run.ledger.check(damage.entry.items, thorough=True):
                run.put_aside(entry)
            run = replace(run, others={}, begun={}, shared={})  # without the populations that were made of it
    raise StoreFault(f"parts of the store {run.store.uri!r} were found damaged {REPAIRS} times, at last {last}")
