"""One pass over a plan: stages whose missing items are computed, on a cluster that starts when work is missing."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from engine.cluster import nodes
from engine.cluster.fan_out import STALL_S, fan_out
from engine.plan.event_plan import EventPlan
from engine.progress import Silent
from engine.store.parts import Entry, Failure, Part, encode, sha256
from engine.store.store import Ledger, Store
from engine.store.units import Unit

WAITS = "waits for its toys"  # an exact law, which is held against toys that have failed


@dataclass
class Workers:
    """A cluster that starts when work is missing: a local one of `n` processes, or the one at `address`."""

    address: str | None = None
    n: int | None = None
    resources: ExitStack = field(default_factory=ExitStack)
    cpus: int = 0

    def start(self) -> int:
        """The number of CPUs of the cluster, which runs from now on."""
        if not self.cpus:
            self.cpus = self.resources.enter_context(nodes.cluster(self.address, self.n))
        return self.cpus


@dataclass
class Run:
    """One pass over a plan: what it found, made and set aside."""

    plan: EventPlan
    store: Store
    ledger: Ledger
    progress: Silent
    workers: Workers = field(default_factory=Workers)
    computed: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)

    def under(self, plan: EventPlan) -> "Run":
        """The same pass over another plan, on the same cluster, with a count of its own."""
        return replace(self, plan=plan, computed={})

    def count(self, computed: dict[str, int]) -> None:
        """Adds what was done under another plan."""
        for stage, n in computed.items():
            self.computed[stage] = self.computed.get(stage, 0) + n

    def stage(
        self,
        name: str,
        items: list[str],
        work: Callable,
        units: Callable[[set[str]], Iterable[Unit]],
        *,
        spread: Callable[..., Iterable[list[Entry | Failure]]] | None = None,
        tolerant: bool = False,
        stall_s: float | None = STALL_S,
    ) -> None:
        """Computes the items that are missing: `units(missing)` says what each unit of `work` is called with.

        tolerant: what has no answer is noted, and the stage goes on; tried again in the next pass.
        """
        missing = {item for item in items if item not in self.ledger.entries}
        self.computed[name] = len(missing)
        self.progress.stage(name, len(items), len(items) - len(missing))
        if missing:
            spread = spread or partial(fan_out, n_items=len(missing), tolerant=tolerant, stall_s=stall_s)
            for records in spread(work, units(missing), self.store, self.workers.start()):
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

    def share(self, value: object) -> object:
        """Puts a big input where all tasks can read it."""
        self.workers.start()
        return nodes.share(value)

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
