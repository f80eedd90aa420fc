"""Functions over a cluster: a bounded window of tasks, each of which commits its own parts."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

import ray

from engine.cluster import nodes
from engine.cluster.grain import Grain
from engine.errors import AS_IT_IS, BadInput, ScanStalled, StoreFault, TaskFailed, said
from engine.store.parts import Entry, Failure
from engine.store.store import Store
from engine.store.units import Done, Job, Shared, Unit, Work, called, ended, perform

STALL_S = 900.0
MAPPED_S = 120.0  # for what takes seconds
WAIT_S = 0.5  # between two looks at Ray, whose own end may end this process within seconds
WINDOW_PER_CPU = 2
AT_ONCE = 100  # tasks that ended which are dealt with before the window is filled again
BIG_BYTES = 2**30  # a process that held more has its memory declared, so that two such tasks meet only where they fit
TOO_BIG = (ray.exceptions.OutOfMemoryError, ray.exceptions.WorkerCrashedError)  # the kernel's killer says nothing


HOW = {"num_cpus": 1, "max_retries": 20, "retry_exceptions": [OSError, StoreFault], "scheduling_strategy": "SPREAD"}


@ray.remote(**HOW)
def _attempt(work: Callable, store: Store, units: list[Unit], tolerant: bool, shared: list[ray.ObjectRef]) -> Done:
    return perform(work, store, units, _fetched(shared), tolerant)


# one task a process: it keeps to the GPU that it was first given, and keeps memory there
_attempt_on_gpu = ray.remote(**HOW, max_calls=1)(_attempt._function)


_last: dict[ray.ObjectRef, object] = {}  # what the last task of this process shared with others


def _fetched(references: list[ray.ObjectRef]) -> tuple:
    """The values of references; those that the last task had are the same objects, with all that was made of them."""
    if not references:
        return ()
    known = {reference: _last[reference] for reference in references if reference in _last}
    new = [reference for reference in references if reference not in known]
    _last.clear()
    _last.update(known | dict(zip(new, ray.get(new), strict=True)))
    return tuple(_last[reference] for reference in references)


@ray.remote(num_cpus=1, max_retries=20)
def _call(function: Callable[..., Any], *arguments: object) -> object:
    return function(*arguments)


def mapped(function: Callable[..., Any], *arguments: Iterable) -> Iterator[Any]:
    """As the builtin `map`, in tasks that are all begun at once; here where a cluster has no room for one or loses it.
    Raises what the function raised."""
    tasks = [(_call.remote(function, *some), some) for some in zip(*arguments, strict=False)]
    for reference, some in tasks:
        try:
            yield ray.get(reference, timeout=MAPPED_S)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError:
            ray.cancel(reference, force=True)
            yield function(*(ray.get(one) if isinstance(one, ray.ObjectRef) else one for one in some))


def fan_out(
    work: Work,
    units: Iterable[Unit],
    store: Store,
    cpus: int,
    *,
    stage: str = "",
    n_items: int = 0,
    gpus: float = 0.0,
    tolerant: bool = False,
    stall_s: float | None = STALL_S,
    nodes_s: float = nodes.NODES_S,
) -> Iterator[list[Entry | Failure]]:
    """Does one job as a `Flow` of its own does it; raises the same."""
    flow = Flow(cpus, STALL_S if stall_s is None else stall_s, nodes_s)
    try:
        job = Job(work, units, store, n_items, stage, tolerant, stall_s is not None, gpus=gpus)
        yield from flow.do(job)
    finally:
        flow.close()


class Flow:
    """The tasks of one job after the other, of which the next may begin while the last tasks of one are under way.

    A task carries as many units as `Grain` says of a stage of n_items items (0: one each). Tasks may run more than once
    (a worker dies); their commits are idempotent. At most WINDOW_PER_CPU tasks per CPU are in flight, and units are
    made as the window empties; Ray calls them by the stage and their first unit. Each asks for a CPU and `gpus` of a
    GPU. A task that its host kills for its memory is halved. If `tolerant`, a unit without an answer
    (`errors.UNANSWERED`) is a Failure beside the entries.
    """

    def __init__(self, cpus: int, stall_s: float = STALL_S, nodes_s: float = nodes.NODES_S):
        self.cpus, self.window = cpus, WINDOW_PER_CPU * cpus
        self.stall_s, self.nodes_s = stall_s, nodes_s
        self.begun: dict[Job, _Tasks] = {}  # in the order of their turns
        self.ended: SimpleQueue[ray.ObjectRef] = SimpleQueue()  # tasks, told by Ray: to ask costs all in flight

    def do(self, job: Job, ahead: Sequence[Job] = ()) -> Iterator[list[Entry | Failure]]:
        """Does every unit of a job and yields what each task committed, as they come; of the jobs `ahead`, which go on
        in their turn, as many as find room.

        Raises BadInput where no node of a cluster that cannot grow has as much of a GPU; ScanStalled when nothing ends
        within `stall_s` (of a job that does not stall: a task may take as long as it takes), or when for `nodes_s` no
        node could run a task; what of AS_IT_IS its work raised, and TaskFailed with what else.
        """
        if job.gpus and not nodes.may_grow() and all(node.get("GPU", 0) < job.gpus for node in nodes.alive()):
            raise BadInput(f"score.gpus_per_task = {job.gpus:g}: the cluster has no GPU; give 0, which scores on CPUs")
        for one in self.begun.keys() - {job, *ahead}:  # of a pass that ended before their turn
            self._drop(one)
        self.begun = {one: self.begun.get(one) or _Tasks(one, self.cpus, self.ended) for one in (job, *ahead)}
        mine, watch = self.begun[job], nodes.RayWatch()
        limits = _Patience(self.stall_s if job.stalls else None, self.nodes_s)
        watch.look()
        try:
            while self._fill(mine):
                done = self._done(min(WAIT_S, *limits.finite))
                watch.look()
                if done:
                    limits.restart()
                else:
                    limits.check(mine, all(one.stalls for one, tasks in self.begun.items() if tasks.running))
                for reference in done:
                    yield from self._result(reference, mine)
            del self.begun[job]
        except BaseException:
            self.close()
            raise

    def _fill(self, mine: "_Tasks") -> bool:
        """Starts tasks until the window is full or nothing is left to begin; whether any of this job is under way."""
        if mine.error:
            raise mine.error
        while not mine.running or sum(len(tasks.running) for tasks in self.begun.values()) < self.window:
            if not any(tasks.start(raises=tasks is mine) for tasks in self._may_start(mine)):
                break
        return bool(mine.running)

    def _may_start(self, mine: "_Tasks") -> Iterator["_Tasks"]:
        """This job and then those ahead, as long as no task of one before waits for a CPU: Ray keeps no order among
        tasks that ask for different amounts of memory."""
        yield mine
        n_running = len(mine.running)
        for tasks in self.begun.values():
            if n_running > self.cpus:
                return
            if tasks is not mine:
                yield tasks
                n_running += len(tasks.running)

    def _done(self, timeout_s: float) -> list[ray.ObjectRef]:
        """Tasks that have ended since the last call, at most AT_ONCE, in the order in which they did; none where none
        does within timeout_s. What it costs is the same for every task, however many are in flight."""
        found: list[ray.ObjectRef] = []
        with suppress(Empty):
            found.append(self.ended.get(timeout=timeout_s))
            while len(found) < AT_ONCE:
                found.append(self.ended.get_nowait())
        return found

    def _result(self, reference: ray.ObjectRef, mine: "_Tasks") -> Iterator[list[Entry | Failure]]:
        """What a task that ended committed; what one of another job raised waits for that job's turn."""
        tasks = next((tasks for tasks in self.begun.values() if reference in tasks.running), None)
        if tasks is None:  # cancelled
            return
        try:
            yield from tasks.result(reference)
        except (*AS_IT_IS, TaskFailed, ScanStalled) as error:
            if tasks is mine:
                raise
            tasks.error = error

    def close(self) -> None:
        """Ends all tasks."""
        for job in list(self.begun):
            self._drop(job)

    def _drop(self, job: Job) -> None:
        for reference in self.begun.pop(job).running:
            ray.cancel(reference, force=True)


class _Patience:
    """How long nothing may end, and for how long no node may be able to run a task."""

    def __init__(self, stall_s: float | None, nodes_s: float):
        self.stall_s, self.nodes_s = stall_s, nodes_s
        self.restart()

    @property
    def finite(self) -> list[float]:
        """Seconds after which one of the two patiences may have ended."""
        return [self.nodes_s + 0.1] + ([] if self.stall_s is None else [self.stall_s])

    def restart(self) -> None:
        """A task ended."""
        self.since = self.able = time.monotonic()

    def check(self, tasks: "_Tasks", stalls: bool) -> None:
        """Nothing ended for a while. stalls: whether no task is under way that may take as long as it takes."""
        now = time.monotonic()
        try:
            nodes.check(tasks.request)
            self.able = now
        except ScanStalled:
            if now - self.able >= self.nodes_s:
                raise
        if stalls and self.stall_s is not None and now - self.since >= self.stall_s:
            raise ScanStalled(f"no task ended within {self.stall_s:g} s, {len(tasks.running)} in flight")


class _Tasks:
    """The tasks of a job in flight, and the halves of those that were too big. ended: where those go that did."""

    def __init__(self, job: Job, cpus: int, ended: "SimpleQueue[ray.ObjectRef]"):
        self.job, self.ended, self.grain = job, ended, Grain(cpus, job.n_items)
        self.source = iter(job.units)
        self.memory_bytes = 0.0  # what tasks were seen to need, if much
        self.running: dict[ray.ObjectRef, list[Unit]] = {}
        self.halves: deque[list[Unit]] = deque()
        self.error: Exception | None = None  # that ends the scan when it is this job's turn

    @property
    def request(self) -> dict[str, float]:
        """What one task asks of a node."""
        beside = {"GPU": self.job.gpus, "memory": self.memory_bytes}
        return {"CPU": 1.0} | {name: amount for name, amount in beside.items() if amount}

    def start(self, raises: bool) -> bool:
        """Starts a task, if there is anything to begin. raises: what making its units raises, else it is kept."""
        if self.error:
            return False
        try:
            units = self.halves.popleft() if self.halves else list(islice(self.source, self.grain.size))
        except Exception as error:
            if raises:
                raise
            self.error = error
            return False
        if units:
            self._start(units)
        return bool(units)

    def _start(self, units: list[Unit]) -> None:
        light, shared = packed(units)
        asked = {"memory": self.memory_bytes} if self.memory_bytes else {}
        gpus = self.job.gpus
        function, asked = (_attempt_on_gpu, asked | {"num_gpus": gpus}) if gpus else (_attempt, asked)
        attempt = function.options(name=": ".join(filter(None, (self.job.stage, called(units)))), **asked)
        reference = attempt.remote(self.job.work, self.job.store, light, self.job.tolerant, shared)
        self.running[reference] = units
        reference.future().add_done_callback(lambda _: self.ended.put(reference))

    def result(self, reference: ray.ObjectRef) -> Iterator[list[Entry | Failure]]:
        """What a task that ended committed; nothing where it is done again by halves."""
        units = self.running.pop(reference)
        try:
            done = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, AS_IT_IS):
                raise error.cause from error
            raise ended(units, error.cause) from error
        except TOO_BIG as error:
            self._halve(units, error)
            return
        except ray.exceptions.RayError as error:
            nodes.RayWatch().look()
            raise ended(units, error) from error
        self._learn(len(units), done)
        yield [*done.entries, *done.failures]

    def _halve(self, units: list[Unit], error: Exception) -> None:
        if len(units) == 1:
            what = "needs more memory than its host has" if isinstance(error, TOO_BIG[0]) else "kills its process"
            name = units[0].name or str(units[0].items or units[0].piece)
            failure = Failure(units[0].items, name, f"{what} ({said(error)})")
            raise TaskFailed(failure.words, failure) from error
        half = len(units) // 2
        self.halves += [units[:half], units[half:]]

    def _learn(self, n_units: int, done: Done) -> None:
        n_items = sum(len(record.items) for record in (*done.entries, *done.failures))
        self.grain.learn(n_units, n_items, done.seconds)
        if done.peak_bytes > max(self.memory_bytes, BIG_BYTES):
            self.memory_bytes = min(float(done.peak_bytes), nodes.largest_memory())


def packed(units: list[Unit]) -> tuple[list[Unit], list[ray.ObjectRef]]:
    """The units with Shared for each object reference, and the references, each once."""
    references: dict[ray.ObjectRef, Shared] = {}

    def known(argument: object) -> object:
        if not isinstance(argument, ray.ObjectRef):
            return argument
        return references.setdefault(argument, Shared(len(references)))

    return [replace(unit, arguments=tuple(map(known, unit.arguments))) for unit in units], list(references)
