"""The command that scans, as a user starts it, and what it left in its log and in its store's own MLflow."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 300  # a scan of the tiny study takes some twenty; beyond this, it hangs


@dataclass(frozen=True)
class Scanned:
    """A finished scan: its store, what it printed, its table."""

    store: Path
    log: str
    table: Path


def run_scan(study_path, store, *arguments) -> str:
    """What it printed; it must end well."""
    command = [sys.executable, "-m", "engine", "scan", study_path, "--store", store, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scored(reference: Scanned, folder: Path) -> Path:
    """A new store in which the tiny study is simulated, fitted and scored, so that its scan takes seconds."""
    for stage in ("events", "models", "scores"):
        shutil.copytree(reference.store / stage, folder / stage)
    return folder


def computed(log: str) -> tuple[int, int, int]:
    """(computed, of, corrupt) from the line that ends a scan."""
    found = re.search(r"computed (\d+) of (\d+) items, reused \d+, corrupt (\d+)", log)
    return tuple(map(int, found.groups()))


def tracked(store) -> tuple:
    """A client of a store's own MLflow, and its runs."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{store}/mlflow/mlflow.db")
    return client, client.search_runs([client.get_experiment_by_name("recoilscan").experiment_id])
