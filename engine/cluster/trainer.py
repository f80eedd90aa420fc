"""One fit on several processes or GPUs: Ray Train starts them, groups them for torch, and starts them anew.

It costs 6 to 11 s per fit before the first step, so that a fit of one process never comes here. The fit keeps its
state in the run's store by itself, and each new start goes on from there: nothing is reported to Ray Train, whose
controller would take up one report per poll.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

import ray

from engine.cluster.nodes import LOOK_S, RayWatch
from engine.errors import BadInput, CorruptPart, TaskFailed, said
from engine.store.parts import Entry, Failure, Part
from engine.store.store import Store
from engine.store.units import Told, Unit, commit, told

FOLDER = "checkpoints/ray"  # in the store: Ray Train's own notes, which must lie where every host can write
MAX_FAILURES = 20  # as often as a task of `fan_out` is tried again
GROUP_TIMEOUT_S = 300  # torch's half an hour is how long a dead peer would hang a fit
POLL_S = "0.5"  # of Ray Train's controller, which takes 2 s by default


def train(
    work: Callable[..., Iterable[Part]],
    units: Iterable[Unit],
    store: Store,
    cpus: int,
    *,
    workers: int,
    gpus_per_worker: int,
) -> Iterator[list[Entry]]:
    """Runs `work(*arguments, device=...)` of each unit on all members of a process group, one after the other; yields
    what rank 0 committed.

    The unit's item names the run: it follows from all that makes the result. A member that dies has the whole group
    started anew, up to MAX_FAILURES times. Raises BadInput where the cluster is too small, and TaskFailed with what
    `work` raised: a ValueError at once, since every member raises it alike, and what else after the last attempt.
    """
    gpus = int(ray.cluster_resources().get("GPU", 0))
    if workers > cpus or workers * gpus_per_worker > gpus:
        request = f"training.workers = {workers}, training.gpus_per_worker = {gpus_per_worker}"
        raise BadInput(f"{request}: the cluster has {cpus} CPUs and {gpus} GPUs")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_S)
    for unit in units:
        yield _result(unit, _trainer(work, unit, store, workers, gpus_per_worker))


def _trainer(work: Callable, unit: Unit, store: Store, workers: int, gpus_per_worker: int):
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # seconds, which other commands need not wait
    from ray.train.torch import TorchConfig, TorchTrainer

    trainer = TorchTrainer(
        lambda: _member(work, unit, store),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=gpus_per_worker > 0,
            resources_per_worker={"CPU": 1} | ({"GPU": gpus_per_worker} if gpus_per_worker else {}),
        ),
        torch_config=TorchConfig(backend="nccl" if gpus_per_worker else "gloo", timeout_s=GROUP_TIMEOUT_S),
        run_config=RunConfig(
            name=unit.items[0], storage_path=store.where(FOLDER),
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )  # fmt: skip
    # Ray's own answer to Ctrl-C, which stays for the rest of the process, ends it with exit code 0
    trainer._register_sigint_handler = lambda controller: None
    return trainer


def _member(work: Callable[..., Iterable[Part]], unit: Unit, store: Store) -> list[Entry] | Told | CorruptPart:
    """What each process does; rank 0's return value is the run's: what it committed, or what was wrong."""
    import ray.train
    from ray.train.torch import get_device

    try:
        parts = work(*unit.arguments, device=str(get_device()))
    except ValueError as error:  # a property of the task: to try again would be to fail again
        return told(store, [unit], error)
    except CorruptPart as error:  # the driver makes the part again
        return error
    return commit(store, parts) if ray.train.get_context().get_world_rank() == 0 else []


def _fit(trainer, found: Future) -> None:
    try:
        found.set_result(trainer.fit())
    except BaseException as error:
        found.set_exception(error)


def _result(unit: Unit, trainer) -> list[Entry]:
    from ray.train import TrainingFailedError

    found: Future = Future()
    threading.Thread(target=_fit, args=(trainer, found), daemon=True).start()  # a dead Ray would hold this one for ever
    watch = RayWatch()
    while not wait([found], timeout=LOOK_S).done:
        watch.look()
    try:
        outcome = found.result().return_value
    except (TrainingFailedError, ray.exceptions.RayError) as error:
        watch.look()
        raise TaskFailed(said(error), Failure(unit.items, unit.name, said(error))) from error
    if isinstance(outcome, CorruptPart):
        raise outcome
    if isinstance(outcome, tuple):
        failure, where = outcome
        raise TaskFailed(failure.words, failure, where)
    return outcome
