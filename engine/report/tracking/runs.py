"""Runs: found by their lineage, gone on with where they were left, filled with what they lack."""

import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from engine.report.tracking import models, views
from engine.report.tracking.client import connect, experiment
from engine.report.tracking.origin import origin
from engine.report.tracking.record import HEADLINE, PARTIAL, Record

LONGEST_PARAMETER = 6000  # that MLflow takes
LONGEST_NOTE = 5000
PARENT = "mlflow.parentRunId"
POINTS, PARAMETERS = 1000, 100  # that one request may hold


def log(records: list[Record], uri: str) -> int:
    """Writes what MLflow lacks of these runs and of those nested in them; returns how many were not whole before.

    Raises what MLflow raises: the caller decides that tracking never fails a scan.
    """
    client = connect(uri)
    experiment_id = experiment(client, uri)
    new = sum(_write(client, experiment_id, record) for record in records)
    views.keep(client, experiment_id, records)
    return new


def show(record: Record, uri: str) -> None:
    """Writes what is known so far of a run, which stays RUNNING; one that is whole stays as it is. Raises the same."""
    client = connect(uri)
    run = opened(client, experiment(client, uri), record)
    if not is_whole(run):
        _fill(client, run, record)


def _write(client, experiment_id: str, record: Record, parent: str | None = None) -> int:
    run = opened(client, experiment_id, record, parent)
    if is_whole(run):
        _ranked_anew(client, run, record)
        return 0
    new = sum(_write(client, experiment_id, child, run.info.run_id) for child in record.children)
    model = models.logged(client, experiment_id, run, record) if record.model else None
    _fill(client, run, record, model and model.model_id)
    if model:
        models.publish(client, run.info.run_id, record, model)
    client.set_terminated(run.info.run_id)  # the last word: what is FINISHED is whole
    return new + 1


def _ranked_anew(client, run, record: Record) -> None:
    """The headline of a whole run, where another comparison ranks the same pair of models beside others."""
    for name, value in record.metrics.items():
        if name.startswith(HEADLINE) and run.data.metrics.get(name) != value:
            client.log_metric(run.info.run_id, name, value)


def is_whole(run) -> bool:
    """Whether nothing is left to be done for a run."""
    return run.info.status == "FINISHED"


def opened(client, experiment_id: str, record: Record, parent: str | None = None):
    """The run of a record, RUNNING from now on unless it is whole: made where there is none."""
    from mlflow.entities import RunTag

    run = _found(client, experiment_id, record.lineage, parent)
    if run and is_whole(run):
        return run
    tags = record.tags | {"lineage": record.lineage} | ({PARENT: parent} if parent else {})
    if run:
        client.update_run(run.info.run_id, status="RUNNING", name=record.name)
        if PARTIAL in run.data.tags and PARTIAL not in tags:  # it goes on
            client.delete_tag(run.info.run_id, PARTIAL)
        client.log_batch(run.info.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    else:
        run = client.create_run(experiment_id, run_name=record.name, tags=tags | origin(record.tags))
    _parameters(client, run, record)
    _inputs(client, run, record)
    return run


def _found(client, experiment_id: str, lineage: str, parent: str | None):
    """The run of this lineage: of several, which two scans at the same time may have made, the whole one."""
    query = f"tags.lineage = '{lineage}'" + (f" and tags.`{PARENT}` = '{parent}'" if parent else "")
    runs = client.search_runs([experiment_id], query, order_by=["attributes.start_time ASC"])
    return next((run for run in runs if is_whole(run)), runs[0] if runs else None)


def _parameters(client, run, record: Record) -> None:
    """What the run lacks: a parameter that is there cannot be changed."""
    from mlflow.entities import Param

    new = (Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in record.parameters.items()
           if name not in run.data.params)  # fmt: skip
    for some in _chunks(new, PARAMETERS):
        client.log_batch(run.info.run_id, params=some)


def _inputs(client, run, record: Record) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    sets = []
    for name, digest in record.inputs.items():
        profile = json.dumps({"num_rows": record.sizes[name]}) if name in record.sizes else None
        dataset = Dataset(f"{name} events", digest, "recoilscan", json.dumps({"lineage": digest}), profile=profile)
        sets.append(DatasetInput(dataset, [InputTag("mlflow.data.context", name)]))
    if sets:
        client.log_inputs(run.info.run_id, sets)


def _fill(client, run, record: Record, model_id: str | None = None) -> None:
    """Metrics, files and the note of a run; the metrics are those of its model, too."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    curves = {name: [(0, value)] for name, value in record.metrics.items()} | record.curves
    known = steps(client, run, curves)
    new = (Metric(name, value, now, step, model_id=model_id) for name, curve in curves.items() for step, value in curve
           if step not in known.get(name, ()))  # fmt: skip
    for some in _chunks(new, POINTS):
        client.log_batch(run.info.run_id, metrics=some)
    if record.note:
        client.set_tag(run.info.run_id, "mlflow.note.content", _listed(record.note))
    with tempfile.TemporaryDirectory() as folder:
        for name, data in record.files.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        if record.files:
            client.log_artifacts(run.info.run_id, folder)


def _listed(note: tuple[str, ...]) -> str:
    """The lines as a list in Markdown, as many whole ones as there is room for; what is left out is counted."""
    lines, rest = [f"- {line}" for line in note], "- ... and {} more lines, in the report"
    room = LONGEST_NOTE - len(rest)
    lengths = itertools.accumulate(len(line) + 1 for line in lines)
    n_shown = sum(length <= room for length in lengths)
    left_out = [rest.format(len(lines) - n_shown)] if n_shown < len(lines) else []
    return "\n".join(lines[:n_shown] + left_out)


def steps(client, run, names) -> dict[str, set[int]]:
    """The steps that the run has already, by metric."""
    there = [name for name in names if name in run.data.metrics]
    return {name: {point.step for point in client.get_metric_history(run.info.run_id, name)} for name in there}


def _chunks(values: Iterator, size: int) -> Iterator[list]:
    while some := list(itertools.islice(values, size)):
        yield some
