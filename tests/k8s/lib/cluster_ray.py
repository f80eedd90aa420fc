"""A RayCluster's pods as `ray start` on loopback: with ports, a folder and a token of their own.

Each pod is a session of processes with nothing in its environment but what the manifest says. Every worker has one
CPU, whatever it asks for.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MARK = "RECOILSCAN_POD_OF"  # in the environment of every process that an operator starts
POD = "RECOILSCAN_POD"  # in that of every process of one pod
PATIENCE_S = 240.0  # for a head to answer: 5 s on a quiet machine
HEADS = 3  # that are started: one whose port another process takes at that moment ends at once
POLL_S = 0.3
DIE_S = 30.0  # for a process that was killed to be gone
STORE_BYTES = 100 * 2**20
SHIM = '#!/bin/sh\nexec "{python}" -m engine "$@"\n'


def free_ports(n: int) -> list[int]:
    """Ports that nobody listens at, all different."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def marked(mark: str, name: str = MARK) -> list[int]:
    """Processes with this mark in their environment: those that one operator or one pod started, and their children."""
    found, wanted = [], f"{name}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return found


def family(pid: int) -> list[int]:
    """A process, its children and theirs, whatever their sessions."""
    children, found = {}, [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    for each in found:
        found += children.get(each, [])
    return found


def kill(process: subprocess.Popen, pod: str) -> None:
    """Ends all processes of a pod at once, as its containers' end does: a driver and Ray's agents have sessions of
    their own. The mark finds what was born meanwhile, but not all that is older: a title may be written over it.

    Raises TimeoutError where one stays."""
    found = family(process.pid) if process.poll() is None else marked(pod, POD)
    end = time.monotonic() + DIE_S
    while found:
        if time.monotonic() > end:
            raise TimeoutError(f"processes {found} of {pod} do not die")
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        found = marked(pod, POD)


class RayCluster:
    """A head and its workers as processes, reached by HTTP with a token of their own.

    `mount` makes the volumes of a pod in a folder; `mounts` holds for each pod, the head first, where they are.
    """

    def __init__(
        self,
        spec: dict,
        resolve: Callable[[dict], dict[str, str]],
        mark: str,
        mount: Callable[[dict, Path], dict[str, Path]] = lambda pod, folder: {},
    ):
        self.folder = Path(tempfile.mkdtemp(prefix="rs-k8s-"))  # short: names of sockets have 107 bytes
        self.token = secrets.token_hex(16)
        self._spec, self._resolve, self._mark, self._mount = spec, resolve, mark, mount
        self.mounts: list[dict[str, Path]] = []
        self._processes: list[subprocess.Popen] = []
        self._choose_ports()

    def _choose_ports(self) -> None:
        gcs, self.port, *_ = self._ports = free_ports(3)
        self.address = f"127.0.0.1:{gcs}"

    def start(self) -> None:
        """Raises TimeoutError where the head does not answer."""
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "recoilscan").write_text(SHIM.format(python=sys.executable))
        (bin_folder / "recoilscan").chmod(0o755)
        self._start_head()
        for _ in range(HEADS - 1):
            if self._wait_for_head():
                break
            self.mounts.clear()
            shutil.rmtree(self.folder / "volumes-0", ignore_errors=True)
            self._processes.clear()  # it has ended: another process has taken a port of it meanwhile
            self._choose_ports()
            self._start_head()
        self._wait(self._answers, "the head does not answer")
        for group in self._spec["workerGroupSpecs"]:
            for _ in range(group["replicas"]):
                self._ray(group, [f"--address={self.address}", "--num-cpus=1"])
                # one after the other: Ray finds a starting node by its address, which here they share
                self._wait(self._all_are_there, "a worker does not come")

    def _start_head(self) -> None:
        gcs, dashboard, client = self._ports
        head = ["--head", f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
                f"--ray-client-server-port={client}", "--num-cpus=0", f"--temp-dir={self.folder}/ray"]  # fmt: skip
        self._ray(self._spec["headGroupSpec"], head)

    def _wait_for_head(self) -> bool:
        """Whether it answers; False where it ended before."""
        try:
            self._wait(self._answers, "the head does not answer")
        except TimeoutError:
            if self._processes[0].poll() is None:
                raise
            return False
        return True

    def _ray(self, group: dict, words: list[str]) -> None:
        agent, metrics = free_ports(2)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address=127.0.0.1",
                   f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}",
                   f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats", *words]  # fmt: skip
        environment = self._environment(group) | {POD: self._pod(len(self._processes))}
        pod, number = group["template"]["spec"], len(self._processes)
        self.mounts.append(self._mount(pod, self.folder / f"volumes-{number}"))
        cwd = self.mounts[-1].get(pod["containers"][0].get("workingDir"), self.folder)
        with (self.folder / f"pod-{len(self._processes)}.log").open("w") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=cwd, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)

    def _environment(self, group: dict) -> dict[str, str]:
        path = f"{self.folder}/bin:{Path(sys.executable).parent}:/usr/bin:/bin"
        # the last bits follow the kernels that OpenBLAS takes for a kind of CPU: pods are on this machine's
        kernels = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        engine = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        own = {"PATH": path, "HOME": str(self.folder), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        own |= {"RAY_raylet_start_wait_time_s": "120"}  # a busy machine needs more than Ray's 30
        names = self._resolve(group["template"]["spec"]["containers"][0])
        return own | engine | kernels | {MARK: self._mark, "MLFLOW_DISABLE_TELEMETRY": "true"} | names

    def _wait(self, ready: Callable[[], bool], said: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > end or any(process.poll() is not None for process in self._processes):
                logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("pod-*.log"))
                raise TimeoutError(f"{said}: {logs}")
            time.sleep(POLL_S)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/api/version"))
        except OSError:
            return False

    def _all_are_there(self) -> bool:
        try:
            nodes = self.ask("/nodes?view=summary")["data"]["summary"]
        except (OSError, KeyError):
            return False
        return sum(node["raylet"].get("state") == "ALIVE" for node in nodes) == len(self._processes)

    def ask(self, path: str, body: dict | None = None, token: str | None = None) -> dict:
        """Raises OSError where the head is gone or refuses."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def submit(self, name: str, entrypoint: str) -> None:
        """As the submitter's pod does: again while the head's agent is not there yet."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.ask("/api/jobs/", {"entrypoint": entrypoint, "submission_id": name})
                return
            except urllib.error.HTTPError as error:
                said = error.read().decode()
                if time.monotonic() > end:
                    raise TimeoutError(said) from error
            time.sleep(POLL_S)

    def _pod(self, number: int) -> str:
        return f"{self.folder.name}-{number}"

    def kill_head(self) -> None:
        """As when its node vanishes: no signal that it could answer, and the driver goes with it."""
        kill(self._processes[0], self._pod(0))

    @property
    def head_lives(self) -> bool:
        return self._processes[0].poll() is None

    def stop(self) -> None:
        for number, process in enumerate(self._processes):
            kill(process, self._pod(number))
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
