"""A host whose packets are dropped without a word, as a spot machine that is switched off: the others go on."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from engine.cluster.nodes import ENVIRONMENT

SCAN = Path(__file__).parent / "scan_of_cells.py"
N_CELLS = 300
START_S = 120.0
LONGEST_STALL_S = 15.0  # without keepalive: 290
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_timeout_ms": 1000,
          "health_check_failure_threshold": 3}  # fmt: skip


def run(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True)


def may_make_namespaces() -> bool:
    name = f"rs{uuid.uuid4().hex[:6]}"
    if not shutil.which("ip") or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        return False
    run("ip", "netns", "del", name)
    return True


class Network:
    """Namespaces for a head and two hosts, on a bridge in a namespace of its own."""

    def __init__(self):
        self.name, self.started = f"rs{uuid.uuid4().hex[:6]}", []
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = os.environ | ENVIRONMENT | token
        self.switch = self.namespace("s")
        self.inside("s", "ip", "link", "add", "name", "sw0", "type", "bridge")
        self.inside("s", "ip", "link", "set", "sw0", "up")
        for number, host in enumerate("hab", start=1):
            self.join(host, self.address(number))

    @staticmethod
    def address(number: int) -> str:
        return f"10.213.7.{number}"

    def namespace(self, host: str) -> str:
        name = f"{self.name}{host}"
        run("ip", "netns", "add", name)
        return name

    def join(self, host: str, address: str) -> None:
        there = self.namespace(host)
        pair = f"link add name to{host} type veth peer name eth netns {there}"
        self.inside("s", "ip", *pair.split())
        self.inside("s", "ip", "link", "set", f"to{host}", "master", "sw0", "up")
        setup = f"addr add {address}/24 dev eth", "link set lo up", "link set eth up", "route add default dev eth"
        for words in setup:
            self.inside(host, "ip", *words.split())

    def inside(self, host: str, *words: object) -> None:
        run("ip", "netns", "exec", f"{self.name}{host}", *words)

    def start(self, host: str, *words: object, out=subprocess.DEVNULL) -> subprocess.Popen:
        command = ["ip", "netns", "exec", f"{self.name}{host}", *map(str, words)]
        self.started.append(
            subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=self.environment)
        )
        return self.started[-1]

    def cut(self, host: str) -> None:
        """From now on no packet from or to this host."""
        self.inside("s", "ip", "link", "set", f"to{host}", "down")

    def close(self) -> None:
        """Ends what was started, what it started, and the namespaces."""
        for host in "habs":
            found = subprocess.run(["ip", "netns", "pids", f"{self.name}{host}"], capture_output=True, text=True).stdout
            for pid in map(int, found.split()):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait()
        for host in "habs":
            run("ip", "netns", "del", f"{self.name}{host}")


@pytest.fixture
def network():
    if not may_make_namespaces():
        pytest.skip("no right to make network namespaces")
    found = Network()
    yield found
    found.close()


def ray(network: Network, log: Path, host: str, number: int, *words: str) -> None:
    """Starts a host's Ray, and waits until it says that it runs."""
    with open(log, "w") as out:
        network.start(
            host, sys.executable, "-u", "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
            f"--node-ip-address={network.address(number)}", *words, out=out,
        )  # fmt: skip
    end = time.monotonic() + START_S
    while "Ray runtime started" not in log.read_text():
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.2)


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


@pytest.mark.slow
def test_a_host_that_falls_silent_stalls_the_scan_for_seconds(network, tmp_path, record_property):
    folder = tempfile.mkdtemp(prefix="rsp-")
    head = "--head", "--port=6399", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}"
    ray(network, tmp_path / "h.txt", "h", 1, *head, f"--system-config={json.dumps(HEALTH)}")
    for number, host in ((2, "a"), (3, "b")):
        address = f"--address={network.address(1)}:6399"
        ray(network, tmp_path / f"{host}.txt", host, number, address, "--num-cpus=1")
    log = tmp_path / "worked.txt"
    scan = [sys.executable, SCAN, f"{network.address(1)}:6399", tmp_path / "store", log, N_CELLS]
    with open(tmp_path / "driver.txt", "w") as out:
        driver = network.start("h", *scan, out=out)
    stalls, seen, moved, end, is_cut = [], 0, None, time.monotonic() + 400, False
    while driver.poll() is None:
        assert time.monotonic() < end, "no end"
        if (now := lines(log)) > seen:
            if is_cut:
                stalls.append(time.monotonic() - moved)
            seen, moved = now, time.monotonic()
        if not is_cut and seen > 60:
            network.cut("a")
            is_cut = True
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
    assert driver.returncode == 0, (tmp_path / "driver.txt").read_text()[-2000:]
    record_property("longest_stall_s", round(max(stalls), 1))
    print(f"\none of two hosts cut off: longest stall {max(stalls):.1f} s, {seen - N_CELLS} of {N_CELLS} cells again")
    assert len(list((tmp_path / "store" / "tables").iterdir())) == 1
    assert is_cut and max(stalls) < LONGEST_STALL_S
