"""MLflow: one run per fit, one per scan, found again by their lineage. The only home of mlflow."""

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

EXPERIMENT = "recoilscan"
LONGEST_PARAMETER = 500


@dataclass(frozen=True)
class Record:
    """What one run holds: its lineage, parameters, final metrics, curves by step, and files."""

    lineage: str
    name: str
    parameters: dict[str, object]
    metrics: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    files: dict[str, bytes]
    tags: dict[str, str]


def default_uri(folder: Path | None) -> str:
    """SQLite inside the store's folder, or beside the user for a store that has none."""
    base = (folder or Path("recoilscan-mlflow").absolute()) / "mlflow"
    base.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{base}/mlflow.db"


def log(records: list[Record], uri: str) -> int:
    """Writes the records that MLflow does not have yet; returns how many that were.

    Raises what MLflow raises: the caller decides that tracking never fails a scan.
    """
    client = _client(uri)
    experiment = _experiment(client, uri)
    new = [record for record in records if not _finished(client, experiment, record.lineage)]
    for record in new:
        _write(client, experiment, record)
    return len(new)


def _client(uri: str):
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    import mlflow  # a second to import, and only scans that end need it

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow.MlflowClient(tracking_uri=uri)


def _experiment(client, uri: str) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found:
        return found.experiment_id
    database = uri.removeprefix("sqlite:///")
    beside = (Path(database).parent / "artifacts").as_uri() if database != uri else None
    return client.create_experiment(EXPERIMENT, artifact_location=beside)


def _finished(client, experiment: str, lineage: str) -> bool:
    query = f"tags.lineage = '{lineage}' and attributes.status = 'FINISHED'"
    return bool(client.search_runs([experiment], query, max_results=1))


def _write(client, experiment: str, record: Record) -> None:
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment, run_name=record.name, tags=record.tags | {"lineage": record.lineage})
    now = run.info.start_time
    points = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    points += [Metric(name, value, now, step) for name, curve in record.curves.items() for step, value in curve]
    parameters = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in record.parameters.items()]
    client.log_batch(run.info.run_id, params=parameters)
    for start in range(0, len(points), 1000):
        client.log_batch(run.info.run_id, metrics=points[start : start + 1000])
    with tempfile.TemporaryDirectory() as folder:
        for name, data in record.files.items():
            (Path(folder) / name).write_bytes(data)
        if record.files:
            client.log_artifacts(run.info.run_id, folder)
    client.set_terminated(run.info.run_id)
