"""The cluster itself: a local one or one by address, and whether its nodes can run what is asked."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
from ray._private import worker
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from engine.cluster import local
from engine.errors import BadInput, ScanStalled, said

CONNECT_S = 10.0
NODES_S = 300.0  # for a node to come that can run a task: an autoscaler takes minutes
HEAD_S = 45.0  # for a cluster's head to come back: raylets end themselves after 60
LOOK_S = 5.0  # between two looks at the head

# Read by every Ray process that this one starts, and by this one; other clusters need it too (docs/pages/clusters.md)
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_grpc_client_keepalive_time_ms": "10000",  # a host that vanishes without a word else stalls all for 290 s
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
    "RAY_task_oom_retries": "1",  # for ever by default: a task that never fits would never end
}
HERE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}  # a minute by default, and then Ray ends this process


@contextmanager
def cluster(address: str | None, workers: int | None, note: Callable[[str], object] = str) -> Iterator[int]:
    """A local Ray of `workers` processes, or the cluster at `address`; yields its number of CPUs.

    note: told when a local one starts. Raises BadInput where no cluster answers, or where this process has a Ray that
    is not the one asked for.
    """
    ours = worker._global_node and worker._global_node.gcs_address
    if ours and address not in ("auto", ours):
        raise BadInput(f"this process has a Ray already, at {ours}: work on it with address='auto', end it with "
                       f"ray.shutdown(), or do without Ray with workers=0; given: address={address!r}")  # fmt: skip
    values = {name: os.environ.get(name, value) for name, value in (ENVIRONMENT | HERE).items()}
    with local.environment({} if ours else values), _ray(address, workers, note, ours):
        yield max(int(ray.cluster_resources().get("CPU", 1)), 1)


@contextmanager
def _ray(address: str | None, workers: int | None, note: Callable[[str], object], ours: str | None) -> Iterator[None]:
    if ours:
        yield
        return
    if not address:
        workers = workers or os.cpu_count()
        note(f"starting Ray: {workers} processes on this machine")
        with local.started(workers):
            yield
        return
    check_address(address)
    try:
        ray.init(address=address, **local.QUIET)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise BadInput(f"the Ray cluster at {address!r} takes no driver from here: {said(error)[:250]}; RAY_AUTH_MODE "
                       "and RAY_AUTH_TOKEN must be the cluster's") from error  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Raises BadInput where nobody listens at `[ray://]host:port`: Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise BadInput(f"no Ray cluster answers at {address!r} ({error}); expected auto or host:port") from error


class RayWatch:
    """Looks whether Ray itself is there: without its head it goes on for a while, and then ends this process."""

    def __init__(self):
        self.looked = self.answered = time.monotonic()

    def look(self) -> None:
        """Raises ScanStalled where a local Ray has lost a process, or another's head has not answered for HEAD_S."""
        node, now = worker._global_node, time.monotonic()
        if node is None:  # a client of ray://
            return
        for kind, process in node.dead_processes():
            if kind in local.VITAL:
                ended = f"Ray's {kind} ended (exit code {process.returncode})"
                raise ScanStalled(f"{ended}; its logs are in {node.get_logs_dir_path()}")
        if node.head or now - self.looked < LOOK_S:
            return
        self.looked = now
        try:
            check_address(node.gcs_address)
            self.answered = now
        except BadInput as error:
            if now - self.answered >= HEAD_S:
                raise ScanStalled(f"the head of the Ray cluster has been gone for {HEAD_S:g} s: {error}") from error


def share(value: object) -> ray.ObjectRef:
    """Puts a big input where all tasks can read it; pass the result as a task's argument."""
    RayWatch().look()
    return ray.put(value)


def alive() -> list[dict[str, float]]:
    """What each living node has: CPU, memory (bytes), GPU."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def may_grow() -> bool:
    """Whether nodes may come: not to a local Ray."""
    return worker._global_node is None or not worker._global_node.head


def ask_for(bundles: list[dict[str, float]], n: int) -> list[PlacementGroup]:
    """Shows an autoscaler that n times these bundles are wanted, until they are given up; ends with the driver."""
    return [placement_group(bundles) for _ in range(n)]


def give_up(wanted: list[PlacementGroup]) -> None:
    """Wants them no more, and frees what has come of them."""
    for one in wanted:
        remove_placement_group(one)


def largest_memory() -> float:
    """Bytes that the node with most memory gives to tasks; infinite where none says."""
    return max((node.get("memory", float("inf")) for node in alive()), default=float("inf"))


def check(request: dict[str, float]) -> None:
    """Raises ScanStalled where no living node has what one task asks for: names it, and what the nodes have."""
    nodes = alive()
    if not any(node.get("CPU", 0) > 0 for node in nodes):
        raise ScanStalled(f"the cluster has lost all nodes that run tasks; {_task(request)} waits for one")
    if not any(all(node.get(name, 0) >= amount for name, amount in request.items()) for node in nodes):
        have = sorted({_words({name: node.get(name, 0) for name in request}) for node in nodes})
        raise ScanStalled(f"no node can run {_task(request)}; nodes have: {'; '.join(have)}")


def _task(request: dict[str, float]) -> str:
    return f"a task that asks for {_words(request)}"


def _words(resources: dict[str, float]) -> str:
    return ", ".join(f"memory {n / 2**30:.3g} GiB" if name == "memory" else f"{name} {n:g}"
                     for name, n in resources.items())  # fmt: skip
