"""Fits on several processes or GPUs: Ray Train starts them, groups them for torch, and starts them anew.

It costs 6 to 11 s per fit before the first step, so that a fit of one process never comes here. The fit keeps its
state in the run's store by itself, and each new start goes on from there: nothing is reported to Ray Train, whose
controller would take up one report per poll.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.cluster import nodes
from engine.cluster.nodes import LOOK_S, RayWatch
from engine.errors import BadInput, CorruptPart, ScanStalled, TaskFailed, said
from engine.store.parts import Entry, Failure, Part
from engine.store.store import Store
from engine.store.units import Group, Told, Unit, commit, told

FOLDER = "checkpoints/ray"  # in the store: Ray Train's own notes, which must lie where every host can write
MAX_FAILURES = 20  # as often as a task of `fan_out` is tried again
GROUP_TIMEOUT_S = 300  # torch's half an hour is how long a dead peer would hang a fit
POLL_S = "0.5"  # of Ray Train's controller, which takes 2 s by default

Outcome = list[Entry] | Told | CorruptPart  # of a fit: what was committed, or what was wrong


def train(
    work: Callable[..., Iterable[Part]],
    units: Iterable[Unit],
    store: Store,
    group: Group,
    *,
    nodes_s: float = nodes.NODES_S,
) -> Iterator[list[Entry]]:
    """Runs `work(*arguments, device=...)` of each unit on all members of a process group, as many units side by side as
    the cluster has room for; yields what the rank 0 of each committed, as it comes. Parts are made by all members.

    The unit's item names the run: it follows from all that makes the result. A member that dies has its whole group
    started anew, up to MAX_FAILURES times. Nodes that an autoscaler has yet to bring are asked for and waited for.

    Raises BadInput where a cluster that cannot grow is too small, ScanStalled where none came within `nodes_s`, and
    TaskFailed with what `work` raised: a ValueError or a MemoryError at once, since the next attempt would raise it
    too, and what else after the last attempt. What ends it ends the fits that are under way, which have kept their
    states.
    """
    waiting, running, watch = deque(units), {}, RayWatch()
    room = _Room(group, len(waiting), nodes_s)
    room.check()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    fits = _Fits.options(max_concurrency=max(len(waiting), 1), scheduling_strategy=here).remote()
    try:
        while waiting or running:
            n_more = min(room.n_fits() - len(running), len(waiting))
            for unit in [waiting.popleft() for _ in range(n_more)]:
                running[fits.fit.remote(work, unit, store, group).future()] = unit
            for future in _ended(running):
                yield _result(running.pop(future), future)
            watch.look()
    finally:
        room.close()
        ray.kill(fits)  # and with it the controllers that it started, and their groups


def _ended(running: dict[Future, Unit]) -> list[Future]:
    """Fits that have ended, after LOOK_S at most: to ask Ray itself would, of a dead one, take for ever."""
    if not running:
        time.sleep(LOOK_S)
    return [*wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED).done]


class _Room:
    """How many groups the living nodes hold, and the patience with which more are waited for."""

    def __init__(self, group: Group, n_wanted: int, nodes_s: float):
        self.group, self.nodes_s, self.able = group, nodes_s, time.monotonic()
        self.member = {"CPU": 1.0} | ({"GPU": float(group.gpus_per_worker)} if group.gpus_per_worker else {})
        self.n_wanted, self.wanted = n_wanted, []

    def n_fits(self) -> int:
        """Groups that fit side by side. While it is none, an autoscaler is shown what all of them need; raises
        ScanStalled after `nodes_s` of that."""
        n = sum(map(self._members, nodes.alive())) // self.group.workers
        if n:
            self.close()  # what is wanted would take the nodes that have come
        elif not self.wanted:
            self.wanted = nodes.ask_for([self.member] * self.group.workers, self.n_wanted)
        now = time.monotonic()
        self.able = now if n else self.able
        if now - self.able >= self.nodes_s:
            raise ScanStalled(f"{self.words()}; none that does came within {self.nodes_s:g} s")
        return n

    def _members(self, node: dict[str, float]) -> int:
        """Members that a node holds. A GPU is divided, and no part of it joined to a part of another."""
        n_cpus, n_gpus, share = int(node.get("CPU", 0)), int(node.get("GPU", 0)), self.group.gpus_per_worker
        if not share:
            return n_cpus
        return min(n_cpus, n_gpus * int(1 / share + 1e-9))

    def check(self) -> None:
        """Raises BadInput where there is no room, and no node will come."""
        if not nodes.may_grow() and sum(map(self._members, nodes.alive())) < self.group.workers:
            raise BadInput(self.words())

    def words(self) -> str:
        """What is asked for, and what the cluster has."""
        cpus, gpus = (sum(node.get(kind, 0) for node in nodes.alive()) for kind in ("CPU", "GPU"))
        return (f"training.workers = {self.group.workers}, training.gpus_per_worker = {self.group.gpus_per_worker}: "
                f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs")  # fmt: skip

    def close(self) -> None:
        """Wants no nodes any more."""
        nodes.give_up(self.wanted)
        self.wanted = []


@ray.remote(num_cpus=0)
class _Fits:
    """Where trainers wait for their groups: a process of the driver's host, whose end is the end of all of them."""

    def __init__(self):
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)

    def fit(self, work: Callable, unit: Unit, store: Store, group: Group) -> Outcome:
        """Trains a unit, in a thread of its own."""
        from ray.train import TrainingFailedError

        shared = (ray.get(one) if isinstance(one, ray.ObjectRef) else one for one in unit.arguments)
        unit = replace(unit, arguments=tuple(shared))
        try:
            return _trainer(work, unit, store, group).fit().return_value
        except TrainingFailedError as error:
            return Failure(unit.items, unit.name, said(error)), None


def _trainer(work: Callable, unit: Unit, store: Store, group: Group):
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # seconds, which other commands need not wait
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = group.gpus_per_worker
    return TorchTrainer(
        lambda: _member(work, unit, store),
        scaling_config=ScalingConfig(
            num_workers=group.workers, use_gpu=gpus > 0,
            resources_per_worker={"CPU": 1} | ({"GPU": gpus} if gpus else {}),
        ),
        # one member has nobody to talk to
        torch_config=TorchConfig(backend="nccl" if gpus and group.workers > 1 else "gloo", timeout_s=GROUP_TIMEOUT_S),
        run_config=RunConfig(
            name=unit.items[0], storage_path=store.where(FOLDER),
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )  # fmt: skip


def _member(work: Callable[..., Iterable[Part]], unit: Unit, store: Store) -> Outcome:
    """What each process does; rank 0's return value is the run's: what it committed, or what was wrong."""
    import ray.train
    from ray.train.torch import get_device

    try:
        parts = list(work(*unit.arguments, device=str(get_device())))
    except (ValueError, MemoryError) as error:  # of the task itself: to try again would be to fail again
        return told(store, [unit], error)
    except CorruptPart as error:  # the driver makes the part again
        return error
    return commit(store, parts) if ray.train.get_context().get_world_rank() == 0 else []


def _result(unit: Unit, future: Future) -> list[Entry]:
    try:
        outcome = future.result()
    except ray.exceptions.RayError as error:
        RayWatch().look()
        raise TaskFailed(said(error), Failure(unit.items, unit.name, said(error))) from error
    if isinstance(outcome, CorruptPart):
        raise outcome
    if isinstance(outcome, tuple):
        failure, where = outcome
        raise TaskFailed(failure.words, failure, where)
    return outcome
