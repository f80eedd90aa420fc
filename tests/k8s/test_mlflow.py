"""MLflow as its pod starts it: the very arguments and variables, with SQLite for PostgreSQL and moto for the bucket."""

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from sqlalchemy import make_url

from engine.report import tracking

pytest.importorskip("flask_wtf", reason="MLflow's users need mlflow[auth]")
K8S = Path(__file__).parents[2] / "k8s"
INI, PINS = K8S / "base" / "basic_auth.ini", K8S / "image" / "constraints.txt"
PASSWORD = "not-a-real-one"
BUCKET = "recoilscan"
PATIENCE_S = 180.0  # 5 s on a quiet machine
ANSWER_S = 60.0


@dataclass(frozen=True)
class Server:
    """Where the server listens, and the bucket behind it."""

    url: str
    s3: str

    def status(self, path: str, host: str | None = None, password: str | None = None) -> int:
        request = urllib.request.Request(self.url + path, headers={"Host": host} if host else {})
        if password:
            request.add_header("Authorization", f"Basic {b64encode(f'admin:{password}'.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def is_up(self) -> bool:
        try:
            return self.status("/health") == 200
        except OSError:
            return False


def container(objects: list[dict]) -> dict:
    (server,) = [thing for thing in objects if thing["kind"] == "Deployment"]
    return server["spec"]["template"]["spec"]["containers"][0]


def without_cluster(words: list[str], replaced: dict[str, str]) -> list[str]:
    """The container's arguments with these options' values; each must be among them."""
    assert replaced.keys() <= {word.split("=")[0] for word in words}
    return [f"{name}={replaced[name]}" if (name := word.split("=")[0]) in replaced else word for word in words]


def users(folder: Path) -> Path:
    """The pod's basic_auth.ini with a database in a folder."""
    path = folder / INI.name
    config = configparser.ConfigParser()
    config.read(INI)
    config["mlflow"]["database_uri"] = f"sqlite:///{folder}/users.db"
    with path.open("w") as file:
        config.write(file)
    return path


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")) as answer:
        assert answer.status == 200
    yield url
    server.stop()


@pytest.fixture(scope="module")
def server(build, s3, tmp_path_factory):
    folder, pod = tmp_path_factory.mktemp("mlflow"), container(build("base"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    replaced = {"--host": "127.0.0.1", "--port": str(port), "--backend-store-uri": f"sqlite:///{folder}/runs.db"}
    plain = {each["name"]: each["value"] for each in pod["env"] if "value" in each}
    secret = {each["name"]: PASSWORD for each in pod["env"] if "valueFrom" in each}
    keys = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    env = os.environ | plain | secret | keys | {"MLFLOW_AUTH_CONFIG_PATH": str(users(folder))}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *pod["command"], *without_cluster(pod["args"], replaced)],
            cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    found, end = Server(f"http://127.0.0.1:{port}", s3), time.monotonic() + PATIENCE_S
    while not found.is_up() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.2)
    assert found.is_up(), (folder / "log").read_text()
    yield found
    assert process.poll() is None, (folder / "log").read_text()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("host", ["mlflow", "mlflow:5000", "localhost:5000"])
def test_it_answers_to_its_own_names(server, host):
    assert server.status("/api/2.0/mlflow/experiments/get?experiment_id=0", host, PASSWORD) == 200


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.7:5000"])
def test_it_answers_to_no_other(server, host):
    assert server.status("/api/2.0/mlflow/experiments/get?experiment_id=0", host, PASSWORD) == 403


@pytest.mark.parametrize("path", ["/", "/api/2.0/mlflow/experiments/get?experiment_id=0", "/graphql"])
@pytest.mark.parametrize("password", [None, "password1234"])
def test_nobody_comes_in_without_the_password(server, path, password):
    assert server.status(path, password=password) == 401


def test_a_scans_run_arrives_and_its_files_in_the_bucket(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    record = tracking.Record("abc", "scan", {"R": 1.0}, {"z": 3.0}, {}, {"table.txt": b"rows"}, {})

    assert tracking.log([record], server.url) == 1
    assert tracking.log([record], server.url) == 0, "the run is there: it is not sent twice"

    bucket = S3Store(
        BUCKET, endpoint=server.s3, region="us-east-1", access_key_id="x", secret_access_key="x",
        client_options={"allow_http": True},
    )  # fmt: skip
    stored = [each["path"] for each in bucket.list("mlflow").collect()]  # what moto holds is the whole process's
    assert len(stored) == 1 and stored[0].endswith("/artifacts/table.txt"), stored


def test_its_databases_are_those_that_postgres_makes(objects):
    maps = {thing["metadata"]["name"]: thing["data"] for thing in objects if thing["kind"] == "ConfigMap"}
    config = configparser.ConfigParser()
    config.read_string(maps["mlflow-auth"][INI.name])
    (runs,) = [word.split("=", 1)[1] for word in container(objects)["args"] if word.startswith("--backend-store-uri=")]

    uris = [make_url(uri) for uri in (runs, config["mlflow"]["database_uri"])]

    assert "admin_password" not in config["mlflow"]
    assert [uri.database for uri in uris] == ["mlflow", "mlflow_auth"]
    assert f"CREATE DATABASE {uris[1].database} OWNER {uris[1].username};" in maps["postgres-init"]["databases.sql"]
    # which driver postgresql:// means depends on SQLAlchemy's version: the image has the one that is named
    assert {uri.drivername for uri in uris} == {"postgresql+psycopg2"}
    assert "psycopg2-binary==" in PINS.read_text()
