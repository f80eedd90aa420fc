"""What the pods are told to run is asked of the programs themselves: recoilscan and the maker of a laptop's bucket."""

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from typer.main import get_command

from engine.cli.app import app

TOP = Path(__file__).parents[2]
K8S = TOP / "k8s"


def parsed(rayjob: dict) -> tuple[str, dict]:
    """The command of an entrypoint, and what recoilscan's own parser makes of it."""
    program, name, *arguments = shlex.split(rayjob["spec"]["entrypoint"])
    assert program == "recoilscan"
    return name, get_command(app).commands[name].make_context(name, arguments).params


def test_recoilscan_takes_the_entrypoint(rayjob, objects):
    name, params = parsed(rayjob)
    (service,) = [thing for thing in objects if thing["kind"] == "Service" and thing["metadata"]["name"] == "mlflow"]

    assert (name, params["address"]) == ("scan", "auto")
    assert params["store"].startswith("s3://")
    assert params["tracking"] == f"http://mlflow:{service['spec']['ports'][0]['port']}"


def test_the_study_is_where_the_entrypoint_looks(rayjob, objects):
    study = Path(parsed(rayjob)[1]["study"])
    groups = [rayjob["spec"]["rayClusterSpec"]["headGroupSpec"], *rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
    (files,) = [thing["data"] for thing in objects if thing["kind"] == "ConfigMap" and study.name in thing["data"]]

    assert files[study.name] == (TOP / "scans" / "quickstart.toml").read_text(), "k8s/base/study.toml is a copy of it"
    for group in groups:
        spec = group["template"]["spec"]
        mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        assert {"name": "study", "configMap": {"name": "study"}} in spec["volumes"]
        assert mounts["study"] == str(study.parent)


def test_ray_is_the_images(rayjob):
    pins = dict(line.split("==") for line in (K8S / "image" / "constraints.txt").read_text().split() if "==" in line)
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    images = [group["template"]["spec"]["containers"][0]["image"]
              for group in rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]]  # fmt: skip

    assert rayjob["spec"]["rayClusterSpec"]["rayVersion"] == pins["ray"]
    assert {image.split(":")[1] for image in images} == {project["version"]}


@pytest.fixture
def s3():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def make_bucket(build, tmp_path):
    """Runs the script that the laptop's job mounts, with its variables and what else is given."""
    (script,) = [thing["data"]["make_bucket.py"] for thing in build("overlays/kind")
                 if thing["metadata"]["name"] == "make-bucket" and thing["kind"] == "ConfigMap"]  # fmt: skip

    def call(endpoint: str, text: str = script) -> subprocess.CompletedProcess:
        (tmp_path / "make_bucket.py").write_text(text)
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
        env = os.environ | keys | {"AWS_ENDPOINT_URL": endpoint}
        command = [sys.executable, str(tmp_path / "make_bucket.py")]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)

    return call


def test_the_bucket_is_made_once_and_found_again(make_bucket, s3):
    for _ in range(2):
        done = make_bucket(s3)
        assert (done.returncode, done.stdout.strip()) == (0, "bucket recoilscan: there, and it keeps what it has")


def test_a_store_that_overwrites_is_refused(make_bucket, s3, build):
    (script,) = [thing["data"]["make_bucket.py"] for thing in build("overlays/kind")
                 if thing["metadata"]["name"] == "make-bucket" and thing["kind"] == "ConfigMap"]  # fmt: skip
    careless = script.replace('mode="create"', 'mode="overwrite"')
    assert careless != script

    done = make_bucket(s3, careless)

    assert done.returncode == 1 and "ignores If-None-Match" in done.stderr
