"""What the tests share: one thread per process, a small study, and the command line as a user starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

STUDIES = Path(__file__).parent / "studies"


@pytest.fixture
def tiny() -> Path:
    """A study of some twenty seconds on two cores, most of which is starting up."""
    return STUDIES / "tiny.toml"


@pytest.fixture
def recoilscan(tmp_path):
    """Runs the command line in a process of its own, in an empty folder; returns the finished process."""

    def call(*arguments: object, check: int | None = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "engine", *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True
        )
        if check is not None:
            assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@pytest.fixture
def start(tmp_path):
    """Starts the command line in a session of its own; what is left of it is killed at the end."""
    started = []

    def call(*arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", *map(str, arguments)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield call
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            process.stdout.close()
            process.wait()
