"""Functions over a cluster: a bounded window of tasks, each of which commits its own parts."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import ray
from obstore.exceptions import BaseError

from engine.cluster.parts import Entry, Part, encode, sha256
from engine.cluster.store import Store
from engine.errors import BadInput, ScanStalled, TaskFailed

STALL_S = 900.0
CONNECT_S = 10.0
LONGEST_WAIT_S = 3600.0  # ray.wait without a limit returns empty-handed after 10^6 s
WINDOW_PER_CPU = 2


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[int]:
    """A local Ray of `workers` processes, or the cluster at `address`; yields its number of CPUs."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a local Ray else writes a token to the home folder
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address:
        check_address(address)
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


def check_address(address: str) -> None:
    """Raises BadInput where nobody listens at `[ray://]host:port`: Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise BadInput(f"no Ray cluster answers at {address!r} ({error}); expected auto or host:port") from error


def share(value: object) -> ray.ObjectRef:
    """Puts a big input where all tasks can read it; pass the result as a task's argument."""
    return ray.put(value)


def commit(store: Store, parts: Iterable[Part]) -> list[Entry]:
    """Writes parts as they are made, and says what the ledger needs to know of them."""
    entries = []
    for part in parts:
        data = encode(part)
        store.put_new(part.path, data)
        entries.append(Entry(part.path, sha256(data), part.items))
    return entries


@ray.remote(num_cpus=1, max_retries=20, retry_exceptions=[OSError, BaseError], scheduling_strategy="SPREAD")
def _attempt(work: Callable[..., Iterable[Part]], store: Store, *arguments: object) -> list[Entry]:
    return commit(store, work(*arguments))


def _result(reference: ray.ObjectRef) -> list[Entry]:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        raise TaskFailed(f"{type(cause).__name__}: {cause}") from error


def fan_out(
    work: Callable[..., Iterable[Part]],
    tasks: Iterable[tuple],
    store: Store,
    cpus: int,
    stall_s: float | None = STALL_S,
) -> Iterator[list[Entry]]:
    """Runs `work(*task)` for every task and yields what each committed, as they come.

    Tasks may run more than once (a worker dies); their commits are idempotent. At most WINDOW_PER_CPU tasks
    per CPU are in flight, and tasks are made as the window empties. Raises ScanStalled when nothing ends within
    `stall_s` (None: a task may take as long as it takes), and TaskFailed with what `work` raised.
    """
    waiting, running = iter(tasks), set()
    try:
        while True:
            for task in islice(waiting, WINDOW_PER_CPU * cpus - len(running)):
                running.add(_attempt.remote(work, store, *task))
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1, timeout=LONGEST_WAIT_S if stall_s is None else stall_s)
            if not done and stall_s is not None:
                raise ScanStalled(f"no task ended within {stall_s:g} s, {len(running)} in flight")
            for reference in done:
                running.remove(reference)
                yield _result(reference)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
