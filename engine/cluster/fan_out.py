"""Functions over a cluster: a bounded window of tasks, each of which commits its own parts."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import ray

from engine.cluster.store import Entry, Part, Store, encode, sha256
from engine.errors import BadInput, ScanStalled

STALL_S = 900.0
WINDOW_PER_CPU = 2


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[int]:
    """A local Ray of `workers` processes, or the cluster at `address`; yields its number of CPUs."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a local Ray else writes a token to the home folder
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address:
        try:
            ray.init(address=address, **quiet)
        except ConnectionError as error:
            raise BadInput(f"no Ray cluster answers at {address!r}") from error
    else:
        ray.init(address="local", num_cpus=workers or os.cpu_count(), include_dashboard=False, **quiet)
    try:
        yield max(int(ray.cluster_resources().get("CPU", 1)), 1)
    finally:
        ray.shutdown()


def share(value: object) -> ray.ObjectRef:
    """Puts a big input where all tasks can read it; pass the result as a task's argument."""
    return ray.put(value)


@ray.remote(num_cpus=1, max_retries=20, retry_exceptions=[OSError], scheduling_strategy="SPREAD")
def _attempt(work: Callable[..., Iterable[Part]], store: Store, *arguments: object) -> list[Entry]:
    entries = []
    for part in work(*arguments):
        data = encode(part)
        store.put_new(part.path, data)
        entries.append(Entry(part.path, sha256(data), part.items))
    return entries


def fan_out(
    work: Callable[..., Iterable[Part]], tasks: Iterable[tuple], store: Store, cpus: int, stall_s: float = STALL_S
) -> Iterator[list[Entry]]:
    """Runs `work(*task)` for every task and yields what each committed, as they come.

    Tasks may run more than once (a worker dies); their commits are idempotent. At most WINDOW_PER_CPU tasks
    per CPU are in flight. Raises ScanStalled when nothing ends within `stall_s`, and what `work` raised.
    """
    waiting, running = deque(tasks), set()
    try:
        while waiting or running:
            while waiting and len(running) < WINDOW_PER_CPU * cpus:
                running.add(_attempt.remote(work, store, *waiting.popleft()))
            done, _ = ray.wait(list(running), num_returns=1, timeout=stall_s)
            if not done:
                raise ScanStalled(f"no task ended within {stall_s:g} s, {len(running)} in flight")
            for reference in done:
                running.remove(reference)
                yield ray.get(reference)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
