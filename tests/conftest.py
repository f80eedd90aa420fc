"""What the tests share: one thread per process, a small study, and the command line as a user starts it."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scanned
from studies import LIGHT, STUDIES
from threadpoolctl import threadpool_limits

from engine import environment

environment.rarely_collect()
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
threadpool_limits(1)  # of this one, whose numpy is loaded
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# fixtures that start processes
STARTERS = {"hosts", "own", "ray_cluster", "recoilscan", "reference", "slurm_jobs", "start", "tuned"}
SCANNERS = {"comparison", "pipeline", "search"}  # modules of engine.run, of which a test's file has imported one


@pytest.hookimpl(trylast=True)  # when what is slow has left
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start processes come first, then those that scan here, then those of many tests: two test processes
    end together where the last files are short. One of them makes the reference, for which no other has to wait."""
    starting = {item.path for item in items if STARTERS.intersection(item.fixturenames)}
    scanning = {item.path for item in items if SCANNERS.intersection(vars(item.module))}
    waiting = {item.path for item in items if "reference" in item.fixturenames}
    n_tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in starting, item.path in waiting, item.path not in scanning,
                                 -n_tests[item.path]))  # fmt: skip
    first = next((item.path for item in items if item.path in waiting), None)
    items.sort(key=lambda item: item.path != first)


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A study of some twenty seconds on two cores, most of which is starting up."""
    return STUDIES / "tiny.toml"


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> scanned.Scanned:
    """The undisturbed scan of the tiny study with two workers, made once for all test processes; a copy may change."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "reference"
    folder.mkdir(exist_ok=True)
    log = folder / "log.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not log.exists():
            shutil.rmtree(folder / "store", ignore_errors=True)
            log.write_text(scanned.run_scan(STUDIES / "tiny.toml", folder / "store", "--workers", 2))
    (table,) = (folder / "store" / "tables").iterdir()
    return scanned.Scanned(folder / "store", log.read_text(), table)


@pytest.fixture
def scored(reference, tmp_path) -> Path:
    """A store in which the tiny study is simulated, fitted and scored, so that its scan takes seconds."""
    return scanned.scored(reference, tmp_path / "scored")


@pytest.fixture(scope="session")
def light(reference, tiny, tmp_path_factory) -> Path:
    """The table of an undisturbed scan of the tiny study in its light form, on the scores of `reference`."""
    from engine import study
    from engine.run import pipeline
    from engine.store.store import Store

    store = scanned.scored(reference, tmp_path_factory.mktemp("light") / "store")
    return Path(pipeline.run(study.load(str(tiny), LIGHT), Store(str(store)), workers=0).path)


@pytest.fixture
def undrawn(monkeypatch):
    """Scans without figures, which take longer than all else of a small one."""
    monkeypatch.setattr("engine.report.figures.draw", lambda *_, **__: {})


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
def run_here(tmp_path, monkeypatch, capsys):
    """`recoilscan` within this process, which imports nothing anew: for tests of what a command does and says."""
    from engine.cli import app

    def call(*arguments: object, check: int | None = 0, folder: Path = tmp_path) -> subprocess.CompletedProcess:
        command = ["recoilscan", *map(str, arguments)]
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        done = subprocess.CompletedProcess(command, ended.value.code or 0, *capsys.readouterr())
        assert done.returncode == check or check is None, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@pytest.fixture
def start(tmp_path):
    """Starts the command line, or another program, in a session of its own; what is left of it is killed at the end."""
    started = []

    def call(*arguments: object, program: tuple[str, str] = ("-m", "engine")) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
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
        terms = {"vae": {"recon": 100 * noise[0] + nr_recon * kind, "kl": np.zeros(n_events)},
                 "classifier": {"logit": 10 + noise[1] + 3.5 * kind}}  # fmt: skip
        pool = Pool(kind, energy, np.full(n_events, 1 / 58), np.arange(n_events) % 2, np.array([n_per_kind] * 2),
                    np.ones(n_events), np.ones(n_events), terms)  # fmt: skip
        backgrounds = [Background("er", "ER", lambda e: np.full(len(e), 20 / 58), 0.0),
                       Background("nr", "NR", lambda e: np.full(len(e), 0.02 / 58), 0.0)]  # fmt: skip
        options = {"idealised": True, "bandwidth": 1.0, "relative_floor": 1e-12, "stream_key": ("surrogate",)}
        return populate(pool, {}, backgrounds, **options)

    return make
