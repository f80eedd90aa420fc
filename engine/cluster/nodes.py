"""The cluster itself: a local one or one by address, and whether its nodes can run what is asked."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from engine.errors import BadInput, ScanStalled

CONNECT_S = 10.0
NODES_S = 300.0  # for a node to come that can run a task: an autoscaler takes minutes

# Read by every Ray process that this one starts, and by this one; those of another cluster need the same (see README).
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # a local Ray else writes a token to the home folder
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_grpc_client_keepalive_time_ms": "10000",  # a host that vanishes without a word else stalls all for 290 s
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
    "RAY_task_oom_retries": "1",  # for ever by default: a task that never fits would never end
}


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[int]:
    """A local Ray of `workers` processes, or the cluster at `address`; yields its number of CPUs."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
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


def alive() -> list[dict[str, float]]:
    """What each living node has: CPU, memory (bytes), GPU."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


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
