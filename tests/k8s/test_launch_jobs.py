"""`recoilscan launch --jobs`: a study on a Ray cluster that is there, by the cluster's own job server and its token."""

import os
import re
import secrets
import signal
import subprocess

import pytest
from cluster_ray import RayCluster, marked
from launching import launch as launched
from launching import said, until

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
        environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "HOME": str(tmp_path)}
        places = ["--store", f"{tmp_path}/store", "--tracking", f"sqlite:///{tmp_path}/runs.db"]
        jobs = "--jobs", f"http://127.0.0.1:{ray_cluster.port}"
        return launched(tiny, *jobs, *places, *words, environment=environment, folder=tmp_path)

    return call


def status(cluster: RayCluster, name: str) -> str | None:
    found = [job["status"] for job in cluster.ask("/api/jobs/") if job["submission_id"] == name]
    return found[0] if found else None


def test_a_job_is_left_stopped_and_launched_again_to_its_end(launch, ray_cluster, reference, tiny, tmp_path):
    study = studies.load(str(tiny))
    name, store = identity.job_name(study, "jobs"), tmp_path / "store"
    assert "no job" in said(launch("--status"), code=2)

    first = launch()
    until(lambda: any(store.glob("events/*.parquet")), first)
    first.send_signal(signal.SIGINT)
    assert "Stop: recoilscan launch" in said(first, code=130)
    assert status(ray_cluster, name) == "RUNNING", "the job goes on"
    assert "stopped" in said(launch("--stop")) and status(ray_cluster, name) is None

    again = said(launch())

    assert f"job {name} submitted" in again and f"table: {store}/tables/" in again
    assert re.search("events: 2 items, [12] reused", again), "it went on from the store"
    (table,) = (store / "tables").iterdir()
    assert table.read_bytes() == reference.table.read_bytes(), "on one CPU, and stopped in between"
    assert (tmp_path / "runs.db").exists()
    assert "has finished" in said(launch()) and "SUCCEEDED" in said(launch("--status"))
    assert f"table: {store}/tables/" in said(launch("--logs"))


def test_a_failure_is_the_drivers_own(launch, ray_cluster, tmp_path):
    launch("--stop").communicate()  # what another test has left under this study's name
    (tmp_path / "store").write_text("a file where a folder should be")

    process = launch()

    assert "cannot open the store" in said(process, code=2) or "cannot write" in said(process, code=2)


def test_a_wrong_token_is_said(launch):
    assert "no job server answers" in said(launch("--status", token="f" * 32), code=2)
