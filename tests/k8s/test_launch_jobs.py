"""`recoilscan launch --jobs`: a study on a Ray cluster that is there, by the cluster's own job server and its token."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_ray import RayCluster, marked
from launching import launch as launched
from launching import said, until
from studies import LIGHT

from engine import study as studies
from engine.launch import identity

pytest.importorskip("aiohttp", reason="a head takes jobs with ray[default]")
POD = {"template": {"spec": {"containers": [{}]}}}


@pytest.fixture(scope="module")
def ray_cluster():
    """A head and a worker with a token, on this machine."""
    mark = secrets.token_hex(8)
    cluster = RayCluster({"headGroupSpec": POD, "workerGroupSpecs": [POD | {"replicas": 1}]}, lambda pod: {}, mark)
    cluster.start()
    yield cluster
    cluster.stop()
    assert not marked(mark), "processes outlived their cluster"


@pytest.fixture
def launch(ray_cluster, tiny, tmp_path):
    """Starts a launch on that cluster, into a store in this test's folder."""

    def call(*words: str, token: str = ray_cluster.token) -> subprocess.Popen:
        return launched(
            tiny, *options(ray_cluster, tmp_path), *words, environment=own(token, tmp_path), folder=tmp_path
        )

    return call


def options(cluster: RayCluster, folder: Path) -> tuple[str, ...]:
    places = "--store", f"{folder}/store", "--tracking", f"sqlite:///{folder}/runs.db"
    return "--jobs", f"http://127.0.0.1:{cluster.port}", *places, *(word for one in LIGHT for word in ("--set", one))


def own(token: str, folder: Path) -> dict[str, str]:
    return os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "HOME": str(folder)}


ASKING = """
import json, sys
from engine.cli import app
for words in json.loads(sys.argv[1]):
    sys.argv = ["recoilscan", "launch", *words]
    try:
        app.main()
    except SystemExit as end:
        print("exit code", end.code or 0)
"""


@pytest.fixture
def asked(ray_cluster, tiny, tmp_path):
    """What launches say one after the other in one process, which imports Ray once: of those that only ask or stop."""

    def call(*commands: tuple[str, ...]) -> list[tuple[str, int]]:
        lines = [[str(tiny), *options(ray_cluster, tmp_path), *words] for words in commands]
        done = subprocess.run(
            [sys.executable, "-u", "-c", ASKING, json.dumps(lines)], env=own(ray_cluster.token, tmp_path), cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
        )  # fmt: skip
        *texts, rest = re.split(r"(?m)^exit code (\d+)\n", done.stdout)
        assert not rest and len(texts) == 2 * len(commands), done.stdout
        return list(zip(texts[::2], map(int, texts[1::2]), strict=True))

    return call


def status(cluster: RayCluster, name: str) -> str | None:
    found = [job["status"] for job in cluster.ask("/api/jobs/") if job["submission_id"] == name]
    return found[0] if found else None


def test_a_job_is_left_stopped_and_launched_again_to_its_end(launch, asked, ray_cluster, light, scored, tiny, tmp_path):
    study = studies.load(str(tiny), LIGHT)
    name, store = identity.job_name(study, "jobs"), tmp_path / "store"
    shutil.copytree(scored, store)

    first = launch()
    until(lambda: any(store.glob("nulls/*.parquet")), first)
    first.send_signal(signal.SIGINT)
    assert "Stop: recoilscan launch" in said(first, code=130)
    assert status(ray_cluster, name) == "RUNNING", "the job goes on"
    ((stopped, _),) = asked(("--stop",))
    assert "stopped" in stopped and status(ray_cluster, name) is None

    again = said(launch())

    assert f"job {name} submitted" in again and f"table: {store}/tables/" in again
    assert re.search(r"nulls: 8 items, [1-9]\d* reused", again), "it went on from the store"
    (table,) = (store / "tables").iterdir()
    assert table.read_bytes() == light.read_bytes(), "on one CPU, and stopped in between"
    assert (tmp_path / "runs.db").exists()
    (relaunched, *codes), (state, code), (log, _) = asked((), ("--status",), ("--logs",))
    assert "has finished" in relaunched and "SUCCEEDED" in state and [*codes, code] == [0, 0]
    assert f"table: {store}/tables/" in log


def test_a_failure_is_the_drivers_own(asked, tmp_path):
    (tmp_path / "store").write_text("a file where a folder should be")

    _, (nothing, no_job), (failed, code) = asked(("--stop",), ("--status",), ())  # what another test may have left

    assert "no job" in nothing and (no_job, code) == (2, 2)
    assert "cannot open the store" in failed or "cannot write" in failed


def test_a_wrong_token_is_said(launch):
    assert "no job server answers" in said(launch("--status", token="f" * 32), code=2)
