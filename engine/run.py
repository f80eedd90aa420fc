"""One pass over a plan: stages whose missing items are computed, on a cluster that starts when work is missing."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from engine.cluster import nodes
from engine.cluster.fan_out import STALL_S, fan_out
from engine.cluster.parts import Entry, Failure, Part, encode, sha256
from engine.cluster.store import Ledger, Store
from engine.cluster.units import Unit
from engine.plan import Plan
from engine.progress import Silent

WAITS = "waits for its toys"  # an exact law, which is held against toys that have failed


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
            self._start()
            spread = spread or partial(fan_out, n_items=len(missing), tolerant=tolerant, stall_s=stall_s)
            for records in spread(work, units(missing), self.store, self.cpus):
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

    def _start(self) -> None:
        if not self.cpus:
            self.cpus = self.resources.enter_context(nodes.cluster(self.address, self.workers))

    def share(self, value: object) -> object:
        """Puts a big input where all tasks can read it."""
        self._start()
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
