"""A cluster of several raylets on one machine, in a folder and on ports of its own, whose processes are all known."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ray._common.utils import get_default_ray_temp_dir
from ray.cluster_utils import Cluster

from engine.cluster.local import environment
from engine.cluster.nodes import ENVIRONMENT

SCAN = Path(__file__).parent / "scan_of_cells.py"
MARK = "RECOILSCAN_CHAOS"  # an environment variable that every process of the cluster inherits
LEFT_S = 120.0
AGENTS = "ray::DashboardAgent", "ray::RuntimeEnvAgent"  # Ray's own: for 40 s they tell a dead head of a dead raylet
HEALTH = {
    "health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 4,
}  # fmt: skip


def processes(mark: str) -> list[int]:
    """Processes alive that inherited this mark, but not this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, state = (folder / "environ").read_bytes(), (folder / "stat").read_text()
        except OSError:  # it has just ended, or is not ours to read
            continue
        dead = state.rpartition(")")[2].split()[0] == "Z"
        if f"{MARK}={mark}".encode() in environment.split(b"\0") and not dead:
            found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


@dataclass
class Hosts:
    """A head without CPUs, and hosts of one CPU each that may be killed and replaced."""

    mark: str
    cluster: Cluster
    nodes: list = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self) -> None:
        """One more host."""
        self.nodes.append(self.cluster.add_node(num_cpus=1, include_dashboard=False))

    def kill_raylet(self, i: int) -> None:
        """A host dies without a word; another takes its place."""
        node = self.nodes.pop(i % len(self.nodes))
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.add()

    def kill_worker(self, i: int) -> bool:
        """One process that works for a task dies; whether there was any."""
        workers = [pid for pid in processes(self.mark) if _command(pid).startswith("ray::_attempt")]
        if workers:
            os.kill(workers[i % len(workers)], signal.SIGKILL)
        return bool(workers)

    def restart_gcs(self, down_s: float) -> None:
        """The head's memory dies, and comes back from its own disk."""
        head = self.cluster.head_node
        os.kill(head.all_processes["gcs_server"][0].process.pid, signal.SIGKILL)
        head.kill_gcs_server(check_alive=False)
        time.sleep(down_s)
        head.start_gcs_server()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def hosts():
    """Three hosts and a head; at the end no process of theirs may be left."""
    mark, folder = uuid.uuid4().hex, tempfile.mkdtemp(prefix="rsc-")
    names = {MARK: mark, "RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": f"{folder}/gcs",
             "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # fmt: skip
    head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, "_system_config": HEALTH}
    Path(get_default_ray_temp_dir()).mkdir(exist_ok=True)  # where the head's address is written: no host before made it
    with environment(ENVIRONMENT | names):
        found = Hosts(mark, Cluster(initialize_head=True, head_node_args=head))
        for _ in range(3):
            found.add()
        yield found
        found.cluster.shutdown()
    left = _wait_for_none(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"processes left behind: {left}"


def _wait_for_none(mark: str) -> list[int]:
    end = time.monotonic() + LEFT_S
    while (left := processes(mark)) and time.monotonic() < end:
        for pid in left:
            if _command(pid).startswith(AGENTS):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    return left


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> bytes:
    """The table of a scan that nobody troubles, nor a cluster."""
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run([sys.executable, SCAN, "", folder / "store", folder / "log", "120"], check=True, timeout=LEFT_S)
    (table,) = (folder / "store" / "tables").iterdir()
    return table.read_bytes()


@pytest.fixture
def drive(hosts, tmp_path):
    """Starts a driver on a store; whatever is left of it is killed at the end."""
    started = []

    def call(store: Path, n_cells: int) -> subprocess.Popen:
        arguments = [sys.executable, SCAN, hosts.address, store, tmp_path / "worked.txt", str(n_cells)]
        with open(tmp_path / f"driver{len(started)}.txt", "w") as out:
            started.append(subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT, start_new_session=True))
        return started[-1]

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@dataclass
class Scans:
    """Scans that a test starts as a user does, each in a session of its own, all with one mark."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *command: object, **environment: str) -> subprocess.Popen:
        """A Python process; what it says goes into a file."""
        with (self.folder / f"said{len(self.started)}.txt").open("w") as said:
            self.started.append(subprocess.Popen(
                [sys.executable, *map(str, command)], stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | environment | {MARK: self.mark},
            ))  # fmt: skip
        return self.started[-1]

    def said(self, process: subprocess.Popen) -> str:
        """What a process has said so far."""
        return (self.folder / f"said{self.started.index(process)}.txt").read_text()

    def until(self, process: subprocess.Popen, words: str) -> None:
        """Waits until it has said this."""
        end = time.monotonic() + LEFT_S
        while words not in self.said(process):
            assert process.poll() is None and time.monotonic() < end, self.said(process)
            time.sleep(0.05)


@pytest.fixture
def scans(tmp_path):
    """Starts scans; when the test has ended no process of theirs may be left."""
    found = Scans(tmp_path)
    yield found
    ended = [process.poll() is not None for process in found.started]
    left = _wait_for_none(found.mark) if all(ended) else processes(found.mark)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in found.started:
        process.wait()
    assert not left, f"processes left behind: {left}"
