"""One study done by several processes that know of each other by the store alone: no head, and nobody to wait for.

Each begins with its own share of a stage's units and goes on with whatever nobody has done or is doing. Who is doing
what stands beside the signs of life (`engine.store.heartbeat`): the units of a process that died are free again. Two
that take the same unit at once cost work and no result.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.cluster.grain import Grain
from engine.errors import BadInput, shown
from engine.run.executors import InProcess
from engine.store.heartbeat import Beat
from engine.store.parts import Entry, Failure
from engine.store.store import Ledger
from engine.store.units import Job, Unit

MOST = 1000  # processes, each of which reads the others' records while it waits
POLL_S = 1.0  # between two looks at what the others do
EACH_S = 0.1  # more for each of them, so that a hundred do not crowd the store


@dataclass(frozen=True)
class Share:
    """The `number`-th, from 1, of `of` processes."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Of `2/4`; raises BadInput."""
        match = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", text)
        share = cls(*map(int, match.groups())) if match else None
        if share is None or share.number > share.of or share.of > MOST:
            raise BadInput(f"--share {shown(text)}: expected I/N, such as 2/4 for the second of four; N at most {MOST}")
        return share

    def has(self, unit: Unit) -> bool:
        """Whether a unit, by its digest, is this one's to begin with."""
        return int(unit.items[0][:8], 16) % self.of == self.number - 1


@dataclass
class InShares(InProcess):
    """An executor that does what the other processes leave to it, in this one."""

    part: Share
    ledger: Ledger
    beat: Beat
    failed: set[str] = field(default_factory=set)  # that have no answer, as was found since this process began

    def do(self, job: Job, ahead: Sequence[Job] = ()) -> Iterator[list[Entry | Failure]]:
        """As an executor does; ends when all units are done, by whomever, and yields its own and nothing else."""
        if job.group or job.gpus:
            yield from super().do(job)  # says that it needs Ray
        left, grain = list(job.units), Grain(self.part.of, job.n_items)
        while left := self._open(left):
            units = self._next(left, grain.size)
            if units:
                self.beat.at(item for unit in units for item in unit.items)
                done = self._done(job, units)
                grain.learn(len(units), sum(len(unit.items) for unit in units), done.seconds)
                self._note(done.failures)
            yield [*done.entries, *done.failures] if units else []  # nothing: yet what is noted becomes durable
            if not units:
                time.sleep(POLL_S + EACH_S * self.part.of)
        self.beat.at(())

    def _open(self, units: list[Unit]) -> list[Unit]:
        """Those of which something is missing."""
        self._note(self.ledger.refresh())
        known = self.ledger.entries
        return [unit for unit in units if any(item not in known and item not in self.failed for item in unit.items)]

    def _note(self, records: list[Entry | Failure]) -> None:
        self.failed.update(item for record in records if isinstance(record, Failure) for item in record.items)

    def _next(self, left: list[Unit], n_units: int) -> list[Unit]:
        """Of its own share the first; of the others', where nobody is at work on them, the last."""
        if own := [unit for unit in left if self.part.has(unit)]:
            return own[:n_units]
        taken = self.beat.taken()
        free = [unit for unit in left if not taken.intersection(unit.items)]
        return free[-n_units:]
