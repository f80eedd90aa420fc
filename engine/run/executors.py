"""Where units of work are done: on Ray, or one after the other in this process. The bytes are the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from threadpoolctl import threadpool_limits

from engine.cluster.grain import TARGET_S
from engine.errors import AS_IT_IS, BadInput
from engine.store.parts import Entry, Failure
from engine.store.units import Done, Job, Unit, ended, perform

if TYPE_CHECKING:
    from engine.cluster.fan_out import Flow  # imports Ray

AT_ONCE = 32  # units that one process does together, at most: those with equal arguments share what is made of them


class Executor(Protocol):
    """Does jobs."""

    width: int  # units that are done at the same time; 0 while it is not known
    looks_ahead: bool  # whether jobs begin before their turn

    def share(self, value: object) -> object:
        """Puts a big input where all units can read it; returns what they are to be handed."""

    def do(self, job: Job, ahead: Sequence[Job] = ()) -> Iterator[list[Entry | Failure]]:
        """Does every unit and yields what was committed, as it comes; raises AS_IT_IS and TaskFailed.

        ahead: jobs whose turn comes next, in this order, and which may begin now; what they commit is yielded too, what
        they raise is raised in their turn.
        """

    def map(self, function: Callable[..., Any], *arguments: Iterable) -> Iterator[Any]:
        """As the builtin `map`, of what stores nothing; side by side on a cluster that has started."""

    def close(self) -> None:
        """Frees what was started."""


class InProcess:
    """One unit after the other, here: a breakpoint anywhere in their work stops the scan."""

    width, looks_ahead = 1, False

    def share(self, value: object) -> object:
        """The value itself."""
        return value

    def do(self, job: Job, ahead: Sequence[Job] = ()) -> Iterator[list[Entry | Failure]]:
        """As an executor does, but nothing ahead; one thread, as tasks on Ray have, so that the bytes are theirs."""
        if job.group:
            raise BadInput(f"training.workers = {job.group.workers}, training.gpus_per_worker = "
                           f"{job.group.gpus_per_worker} need Ray: give --workers 1 or more")  # fmt: skip
        if job.gpus:
            raise BadInput(f"score.gpus_per_task = {job.gpus:g} needs Ray: give --workers 1 or more")
        source, n_units = iter(job.units), 1  # the first tells how long one takes: what has not ended a kill would cost
        while units := list(islice(source, n_units)):
            done = self._done(job, units)
            yield [*done.entries, *done.failures]
            n_units = min(max(int(TARGET_S * len(units) / max(done.seconds, 1e-9)), 1), AT_ONCE)

    def _done(self, job: Job, units: list[Unit]) -> Done:
        try:
            with threadpool_limits(1):
                return perform(job.work, job.store, units, (), job.tolerant)
        except AS_IT_IS:
            raise
        except Exception as error:
            raise ended(units, error) from error

    def map(self, function: Callable[..., Any], *arguments: Iterable) -> Iterator[Any]:
        """The builtin."""
        return map(function, *arguments)

    def close(self) -> None:
        """Nothing was started."""


@dataclass
class OnRay:
    """A cluster that starts when the first work is missing: a local one of n processes, or the one at `address`."""

    address: str | None = None
    n: int | None = None
    note: Callable[[str], object] = str
    resources: ExitStack = field(default_factory=ExitStack)
    cpus: int = 0
    looks_ahead: bool = True
    flow: "Flow | None" = None  # when Ray is there

    @property
    def width(self) -> int:
        """Processors of the cluster, once it is there."""
        return self.cpus

    def _start(self) -> int:
        from engine.cluster import fan_out, nodes  # Ray takes seconds to import: who has work pays

        if not self.cpus:
            self.cpus = self.resources.enter_context(nodes.cluster(self.address, self.n, self.note))
            self.flow = fan_out.Flow(self.cpus)
            self.resources.callback(self.flow.close)
        return self.cpus

    def share(self, value: object) -> object:
        """A reference into the cluster's object store."""
        from engine.cluster import nodes

        self._start()
        return nodes.share(value)

    def do(self, job: Job, ahead: Sequence[Job] = ()) -> Iterator[list[Entry | Failure]]:
        """As an executor does, in tasks or, of a job with a group, in groups of processes."""
        self._start()
        if job.group:
            from engine.cluster import trainer

            return trainer.train(job.work, job.units, job.store, job.group)
        return self.flow.do(job, ahead)

    def map(self, function: Callable[..., Any], *arguments: Iterable) -> Iterator[Any]:
        """In tasks; here where nothing has started a cluster."""
        if not self.cpus:
            return map(function, *arguments)
        from engine.cluster import fan_out

        return fan_out.mapped(function, *arguments)

    def close(self) -> None:
        """Ends a local Ray, leaves another's cluster."""
        self.resources.close()


def executor(address: str | None, workers: int | None, note: Callable[[str], object] = str) -> Executor:
    """What does the work: of no workers this process. Raises BadInput where nobody listens at an address.

    note: told when a local Ray starts, which takes seconds and on a busy host minutes.
    """
    if workers == 0:
        if address:
            raise BadInput("--workers 0 works in this process, --address on a cluster: give one")
        return InProcess()
    if address:
        from engine.cluster import nodes

        nodes.check_address(address)
    return OnRay(address, workers, note)
