"""What the tests share: one thread per process, a small study, and the command line as a user starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
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


@pytest.fixture
def surrogate():
    """Makes a pool: logits of width 1, 3.5 apart by kind, and -ELBO of width 100, nr_recon apart."""
    from engine.inference.pools import Pool
    from engine.inference.population import Background, populate

    def make(nr_recon: float, n_per_kind: int = 8_000):
        rng = np.random.default_rng(5)
        kind = np.repeat([0, 1], n_per_kind).astype(np.int8)
        noise, energy = rng.standard_normal((2, 2 * n_per_kind)), rng.uniform(2, 60, 2 * n_per_kind)
        n_events = len(kind)
        terms = {"recon": 100 * noise[0] + nr_recon * kind, "kl": np.zeros(n_events),
                 "logit": 10 + noise[1] + 3.5 * kind}  # fmt: skip
        pool = Pool(kind, energy, np.full(n_events, 1 / 58), np.arange(n_events) % 2, np.array([n_per_kind] * 2),
                    np.ones(n_events), np.ones(n_events), terms)  # fmt: skip
        backgrounds = [Background("er", "ER", lambda e: np.full(len(e), 20 / 58), 0.0),
                       Background("nr", "NR", lambda e: np.full(len(e), 0.02 / 58), 0.0)]  # fmt: skip
        options = {"idealised": True, "bandwidth": 1.0, "relative_floor": 1e-12, "stream_key": ("surrogate",)}
        return populate(pool, {}, backgrounds, **options)

    return make
