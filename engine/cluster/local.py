"""A Ray of this scan's own on this machine: no other user can reach it, and it may take minutes to start."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import ray
from ray._private import ray_constants, services, worker
from ray._raylet import AuthenticationTokenLoader, Config

from engine.errors import ScanStalled, said

START_S = 300.0  # what takes 3 s alone takes minutes on a busy host
LONGEST_PARENT = 29  # letters of the folder's parent: a socket's path may have 107, of which Ray takes the rest
PATIENT = {
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}
VITAL = ray_constants.PROCESS_TYPE_GCS_SERVER, ray_constants.PROCESS_TYPE_RAYLET  # no scan can do without
QUIET = {"logging_level": "CRITICAL", "log_to_driver": False}


@contextmanager
def started(workers: int) -> Iterator[None]:
    """Ray with `workers` processes: with a token that only they know, on loopback, with its files in a private folder.

    Raises ScanStalled where it does not start; its folder, with its logs, is then left, as where one of it died.
    """
    start, folder = _Start(), _private_folder()
    with environment(PATIENT | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
        try:
            with mock.patch.multiple(services, start_ray_process=start.spawn, get_node=start.find), \
                    mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False):  # fmt: skip
                ray.init(address="local", num_cpus=workers, include_dashboard=False, _temp_dir=f"{folder}/r", **QUIET)
        except Exception as error:  # Ray raises Exception itself
            start.kill()
            raise ScanStalled(f"Ray did not start ({said(error)}); its logs are in {folder}/r") from error
        with mock.patch.object(worker, "print_to_stdstream", _say_nothing):
            try:
                yield
            finally:
                whole = not start.dead()
                ray.shutdown()
                if whole:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """These variables for Ray in this process and in those it starts, until the end."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    _reread()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        _reread()


def _reread() -> None:
    """Ray keeps what it once read of the environment; its own tests say in which order it can be told to forget."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _say_nothing(lines: dict, ignore_prefix: bool) -> None:
    """Ray shows its processes' last words on standard output; a scan says what ended it in a line of its own."""


def _private_folder() -> Path:
    """A folder for Ray's own, which it makes writable to all, with the sockets and the logs in it."""
    parents = os.environ.get("RAY_TMPDIR", ""), tempfile.gettempdir(), "/tmp"
    parent = next(parent for parent in parents if parent and len(parent) <= LONGEST_PARENT)
    return Path(tempfile.mkdtemp(prefix="rs-", dir=parent))


class _Start:
    """Ray's start with patience: it gives a raylet 30 s, which gives its agents 15 s, and neither can be configured."""

    def __init__(self):
        self.end = time.monotonic() + START_S
        self.processes: dict[str, subprocess.Popen] = {}
        self._spawn, self._find = services.start_ray_process, services.get_node

    def spawn(self, command: list[str], kind: str, *rest: object, **options: object) -> object:
        """Starts one of Ray's processes; tells the raylet its agents' ports, for which it would wait, or that none is
        needed."""
        if kind == ray_constants.PROCESS_TYPE_RAYLET:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            any_port = "--runtime-env-agent-port=0"
            command = [word.replace(any_port, f"--runtime-env-agent-port={port}") for word in command]
            none = "metrics-agent-port", "metrics_export_port", "dashboard_agent_listen_port"
            command += [f"--runtime_env_agent_port={port}", *(f"--{name}=-1" for name in none)]
        found = self._spawn(command, kind, *rest, **options)
        self.processes[kind] = found.process
        return found

    def find(self, address: str, node_id: str) -> dict:
        """What the head knows of the raylet, once it has come; raises ScanStalled where it does not."""
        while True:
            try:
                return self._find(address, node_id)
            except RuntimeError as error:
                if self.dead():
                    raise ScanStalled(self.dead()) from error
                if time.monotonic() > self.end:
                    raise ScanStalled(f"it took more than {START_S:g} s: the host is busy") from error

    def dead(self) -> str:
        """Which vital process has ended; nothing while all live."""
        for kind in VITAL:
            if kind in self.processes and self.processes[kind].poll() is not None:
                return f"Ray's {kind} ended with exit code {self.processes[kind].returncode}"
        return ""

    def kill(self) -> None:
        """Ends what was started."""
        ray.shutdown()
        for process in self.processes.values():
            process.kill()
            process.wait()
