"""Runs are found by lineage: whole ones stay, others are gone on with, and no point is written twice."""

import getpass
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import engine
from engine.report.tracking import log, models, runs
from engine.report.tracking.client import connect, experiment


def interrupted(uri, record, monkeypatch, where: str) -> None:
    """Logs a record on a connection that fails at a function of a module."""
    module = runs if hasattr(runs, where) else models

    def fail(*_, **__):
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(module, where, fail)
        with pytest.raises(ConnectionError):
            log([record], uri)


def test_a_scan_is_a_run_and_its_fit_is_nested_in_it(sent, seen):
    assert sent() == 2
    found = seen()
    (scan,), (fit,) = (found.runs(f"tags.stage = '{stage}'") for stage in ("scan", "fit"))
    assert fit.data.tags["mlflow.parentRunId"] == scan.info.run_id
    assert scan.info.status == fit.info.status == "FINISHED"
    assert scan.data.tags["mlflow.note.content"] == "- words"
    (pool,) = scan.inputs.dataset_inputs
    assert (pool.dataset.name, pool.dataset.digest) == ("pool events", "def")
    assert json.loads(pool.dataset.profile) == {"num_rows": 7}
    assert found.runs("tags.lineage = 'fit0'")[0].info.run_id == fit.info.run_id


def test_masses_are_points_at_the_steps_of_the_curves(sent, seen):
    sent()
    found = seen()
    (scan,) = found.runs("tags.stage = 'scan'")
    curves = [found.client.get_metric_history(scan.info.run_id, name) for name in ("by_mass/m_chi_GeV", "by_mass/z")]
    assert [[(point.step, point.value) for point in curve] for curve in curves] == [
        [(0, 20.0), (1, 50.0)], [(0, 1.0), (1, 2.0)]
    ]  # fmt: skip


def test_again_nothing_is_written(sent, seen):
    sent()
    points = seen().points()
    assert sent() == 0
    assert seen().points() == points and len(seen().runs()) == 2


@pytest.mark.parametrize("where", ["_inputs", "_fill", "logged", "publish", "_logged", "_version", "_compete"])
def test_after_an_interruption_the_same_runs_are_completed(uri, make, sent, seen, monkeypatch, where):
    interrupted(uri, make(), monkeypatch, where)
    assert any(run.info.status == "RUNNING" for run in seen().runs())
    assert sent() == 2
    found = seen()
    assert [run.info.status for run in found.runs()] == ["FINISHED", "FINISHED"]
    assert found.points() == 1 + 4 + 1 + 2  # of the scan and of its fit
    assert len(found.client.search_model_versions("name = 'recoilscan-dense_vae'")) == 1
    ready = [model for model in found.client.search_logged_models([found.place]) if model.status == "READY"]
    assert len(ready) == 1


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_failed_is_gone_on_with_and_gets_only_what_it_lacks(uri, make, seen, status):
    client, record = connect(uri), make()
    place = experiment(client, uri)
    begun = runs.opened(client, place, replace(record, name="first"))
    client.log_metric(begun.info.run_id, "by_mass/z", 7.0, step=0)
    client.set_terminated(begun.info.run_id, status)
    assert log([record], uri) == 2
    (scan,) = seen().runs("tags.stage = 'scan'")
    assert (scan.info.run_id, scan.info.status, scan.info.run_name) == (begun.info.run_id, "FINISHED", "scan0")
    history = client.get_metric_history(scan.info.run_id, "by_mass/z")
    assert [(point.step, point.value) for point in history] == [(0, 7.0), (1, 2.0)], "what was there is not doubled"


def test_a_fit_of_two_scans_is_nested_in_both_and_is_one_version(sent, seen):
    sent(scan="a")
    sent(scan="b")
    found = seen()
    fits, scans = found.runs("tags.lineage = 'fit0'"), found.runs("tags.stage = 'scan'")
    assert {fit.data.tags["mlflow.parentRunId"] for fit in fits} == {scan.info.run_id for scan in scans}
    assert len(found.client.search_model_versions("name = 'recoilscan-dense_vae'")) == 1
    models_of = {fit.outputs.model_outputs[0].model_id for fit in fits}
    assert len(models_of) == 1


def test_a_pair_that_is_compared_anew_has_the_new_headline_and_nothing_else(uri, make, seen):
    log([make()], uri)
    points, record = seen().points(), make()
    margin = {"headline/z": 1.0, "headline/behind_best": 0.5, "diagnostics/auc": 0.9}
    assert log([replace(record, metrics=margin)], uri) == 0
    (scan,) = seen().runs("tags.stage = 'scan'")
    assert scan.data.metrics["headline/behind_best"] == 0.5 and "diagnostics/auc" not in scan.data.metrics
    assert seen().points() == points + 1


def test_a_note_ends_with_a_whole_line_and_says_what_is_left_out(uri, make, seen):
    lines = tuple(f"{i} " + 90 * "x" for i in range(100))
    log([replace(make(), note=lines)], uri)
    (scan,) = seen().runs("tags.stage = 'scan'")
    said = scan.data.tags["mlflow.note.content"]
    *shown, last = said.splitlines()
    assert shown == [f"- {line}" for line in lines[: len(shown)]] and len(said) <= runs.LONGEST_NOTE
    assert last == f"- ... and {100 - len(shown)} more lines, in the report" and len(shown) > 40


def test_a_run_says_who_made_it_by_which_command_and_commit(sent, seen):
    sent()
    (scan,), (fit,) = (seen().runs(f"tags.stage = '{stage}'") for stage in ("scan", "fit"))
    assert scan.data.tags["mlflow.user"] == getpass.getuser()
    assert {run.data.tags["mlflow.source.name"] for run in (scan, fit)} == {"recoilscan scan scan0"}
    top = Path(engine.__file__).parents[1]
    if not (top / ".git").exists():
        pytest.skip("the sources are in no git repository")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=top, capture_output=True, text=True, check=True)
    assert scan.data.tags["mlflow.source.git.commit"] == commit.stdout.strip()


def test_what_mlflows_context_says_of_a_run_goes_before(sent, seen, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", '{"mlflow.source.git.commit": "abc", "mlflow.source.type": "JOB"}')
    sent()
    tags = seen().runs()[0].data.tags
    assert (tags["mlflow.source.git.commit"], tags["mlflow.source.type"]) == ("abc", "JOB")


def test_many_parameters_and_points_fit_into_requests(uri, make, seen):
    many = {f"p{i}": i for i in range(250)}
    curve = {"long": [(step, float(step)) for step in range(2500)]}
    record = replace(make(), parameters=many, curves=curve, children=())
    log([record], uri)
    (run,) = seen().runs()
    assert len(run.data.params) == 250
    assert len(seen().client.get_metric_history(run.info.run_id, "long")) == 2500
