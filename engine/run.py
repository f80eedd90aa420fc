"""One pass over a plan: stages whose missing items are computed, on a cluster that starts when work is missing."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from engine.cluster import fan_out
from engine.cluster.parts import Entry, Part, encode, sha256
from engine.cluster.store import Ledger, Store
from engine.plan import Plan
from engine.progress import Silent


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
