"""A local Ray on a host that others use: who has no token is refused, what starts slowly starts, what dies is named."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
from ray._private import services, worker

from engine.cluster import fan_out, local
from engine.cluster.nodes import cluster
from engine.errors import BadInput, ScanStalled
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Unit

# Another user's process: it reads and overwrites the functions that a scan's workers will run, if it is let.
STRANGER = """
import sys
import ray._raylet as raylet
client = raylet.GcsClient(address=sys.argv[1])
for key in client.internal_kv_keys(b"", b"fun", timeout=5):
    print("read", client.internal_kv_get(key, b"fun", timeout=5))
    client.internal_kv_put(key, b"mine", True, b"fun", timeout=5)
"""


def square(x: int) -> list[Part]:
    time.sleep(0.05)
    return [Part(f"squares/{x}", (str(x),), str(x * x).encode())]


def squares(store: Store, cpus: int, n: int = 20):
    return fan_out.fan_out(square, [Unit((x,), items=(str(x),)) for x in range(n)], store, cpus)


def address() -> str:
    return worker._global_node.gcs_address


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A Ray of one process, whose user's home is an empty folder."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_MODE", "disabled")  # what the user says of other clusters is not for this one
        with cluster(None, 1) as cpus:
            yield cpus, home
        assert os.environ["RAY_AUTH_MODE"] == "disabled" and "RAY_AUTH_TOKEN" not in os.environ
    assert not list(home.iterdir())


@pytest.mark.parametrize("token", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}], ids=["none", "wrong"])
def test_a_stranger_reads_and_changes_nothing(shared, tmp_path, token):
    store, found = Store(str(tmp_path / "store")), []
    tasks = squares(store, shared[0])
    found += next(tasks)
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    tried = subprocess.run(
        [sys.executable, "-c", STRANGER, address()], env=own | token, capture_output=True, text=True, timeout=240
    )
    assert tried.returncode and not tried.stdout
    assert "nauthenticated" in tried.stderr or "authentication" in tried.stderr
    found += [entry for some in tasks for entry in some]
    assert sorted(int(entry.items[0]) for entry in found) == list(range(20))
    assert all(store.get(f"squares/{x}") == str(x * x).encode() for x in range(20))


def test_the_owner_is_let_in(shared):
    tried = subprocess.run([sys.executable, "-c", STRANGER.replace('client.internal_kv_put(key, b"mine"', "print(key"),
                            address()], capture_output=True, text=True, timeout=240)  # fmt: skip
    assert tried.stdout.startswith("read"), tried.stderr


def test_it_listens_on_loopback_alone_and_its_files_are_its_users(shared):
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    listening = [line.split() for line in lines if line.split()[3] == "0A"]
    port = f"{int(address().rpartition(':')[2]):04X}"
    hosts = {words[1].rpartition(":")[0][-8:] for words in listening if words[1].endswith(":" + port)}
    assert hosts == {"0100007F"}
    folder = worker._global_node.temp_dir
    assert os.stat(os.path.dirname(folder)).st_mode & 0o077 == 0


def test_a_ray_that_is_there_is_named_with_the_ways_out(shared):
    with pytest.raises(BadInput, match=r"has a Ray already, at .*address='auto'.*ray.shutdown\(\).*workers=0"):
        with cluster(None, 2):
            pass
    with cluster("auto", None) as cpus:
        assert cpus == 1
    assert ray.is_initialized()


class Process:
    def __init__(self, code: int | None):
        self.returncode = code

    def poll(self) -> int | None:
        return self.returncode


class TestPatience:
    @pytest.fixture
    def start(self, monkeypatch):
        """A start whose raylet has come at the third look."""
        looks = []

        def find(address, node_id):
            looks.append(node_id)
            if len(looks) < 3:
                raise RuntimeError("not yet")
            return {"node": node_id}

        monkeypatch.setattr(services, "get_node", find)
        return local._Start()

    def test_what_is_slow_is_waited_for(self, start):
        assert start.find("host:1", "a") == {"node": "a"}

    def test_beyond_minutes_the_host_is_named(self, start):
        start.end = time.monotonic() - 1
        with pytest.raises(ScanStalled, match="took more than 300 s: the host is busy"):
            start.find("host:1", "a")

    def test_what_has_died_is_not_waited_for(self, start):
        start.processes["raylet"] = Process(-9)
        with pytest.raises(ScanStalled, match="raylet ended with exit code -9"):
            start.find("host:1", "a")

    def test_a_long_folder_for_temporary_files_is_not_for_sockets(self, monkeypatch, tmp_path):
        monkeypatch.setattr(local.tempfile, "tempdir", str(tmp_path / ("long" * 20)))
        folder = local._private_folder()
        folder.rmdir()
        assert len(str(folder)) < 50


# A vital process of its Ray is killed once the first unit has ended.
DYING = """
import signal, sys, time
from engine.cluster import fan_out, nodes
from engine.errors import ScanStalled
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Unit
from ray._private import worker


def work(x):
    time.sleep(0.5)
    return [Part(f"done/{x}", (str(x),), b"x")]


try:
    with nodes.cluster(None, 2) as cpus:
        tasks = fan_out.fan_out(work, (Unit((x,)) for x in range(400)), Store(sys.argv[2]), cpus)
        next(tasks)
        worker._global_node.all_processes[sys.argv[1]][0].process.send_signal(signal.SIGKILL)
        list(tasks)
except ScanStalled as error:
    sys.exit(f"error: {error}")
"""


@pytest.mark.parametrize("kind", ["raylet", pytest.param("gcs_server", marks=pytest.mark.slow)])
def test_what_of_ray_dies_in_mid_scan_is_named_in_a_line(tmp_path, kind):
    command = [sys.executable, "-c", DYING, kind, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Ray's {kind} ended (exit code -9); its logs are in ")
    assert Store(str(tmp_path / "store")).list("done")
