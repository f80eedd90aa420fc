"""The saved view: its columns are metrics and parameters that runs have, and the link that opens it is MLflow's."""

import json
from dataclasses import replace

import pytest

from engine.report.tracking import link, log, views


@pytest.fixture
def state(seen):
    """What the view restores, as MLflow's UI reads it."""
    return lambda: json.loads(json.loads(seen().client.get_experiment(seen().place).tags[views.TAG])["state"])


def test_runs_are_sorted_by_the_z_that_they_have_and_fits_are_left_out(sent, seen, state):
    sent(scan="a", fit="first", z=1.0)
    sent(scan="b", fit="second", z=3.0)
    shown = state()
    order = f"{shown['orderByKey']} {'ASC' if shown['orderByAsc'] else 'DESC'}"
    assert [run.info.run_name for run in seen().runs(shown["searchFilter"], order)] == ["b", "a"]


def test_parameters_of_earlier_scans_stay_columns(make, uri, sent, state):
    log([replace(make(scan="a"), parameters={"density": "flow", "seed": 1})], uri)
    sent(scan="b")
    best, *_, vae, seed, density = state()["selectedColumns"]
    assert best == "metrics.`headline/z`"
    assert [vae, seed, density] == ["params.`vae`", "params.`seed`", "params.`density`"]


def test_parallel_coordinates_have_the_parameters_that_differ(make, uri, state):
    for seed in (1, 2):
        log([replace(make(scan=f"{seed}"), parameters={"vae": "dense_vae", "seed": seed})], uri)
    (chart,) = (chart for chart in state()["compareRunCharts"] if chart["type"] == "PARALLEL")
    assert chart["selectedParams"] == ["seed"] and chart["selectedMetrics"] == ["headline/z"]


def test_charts_stand_in_the_section_that_there_is(sent, state):
    sent()
    (section,) = state()["compareRunSections"]
    assert {chart["metricSectionId"] for chart in state()["compareRunCharts"]} == {section["uuid"]}


def test_the_view_is_written_anew_only_where_it_changes(sent, seen, monkeypatch):
    sent(scan="a")
    before = seen().client.get_experiment(seen().place).tags[views.TAG]
    monkeypatch.setattr("mlflow.MlflowClient.set_experiment_tag", lambda *_: pytest.fail("it is there"))
    sent(scan="b", fit="other")
    assert seen().client.get_experiment(seen().place).tags[views.TAG] == before


def test_before_there_is_a_scan_the_link_shows_all_runs(uri, make):
    log(list(make().children), uri)
    assert link(uri).endswith("/#/experiments/1/runs?workflowType=machine_learning")


@pytest.mark.parametrize(
    ("server", "begins"),
    [
        ("https://me:secret@host:5000/mlflow/", "https://host:5000/mlflow/#/experiments/1/runs?"),
        ("sqlite:////a/mlflow.db", "http://127.0.0.1:5000/#/experiments/1/runs?"),
        ("postgresql://me:secret@host/db", "http://127.0.0.1:5000/#/experiments/1/runs?"),
    ],
)
def test_the_link_holds_no_password_and_is_the_servers_own(sent, seen, monkeypatch, server, begins):
    sent()
    monkeypatch.setattr(views, "connect", lambda uri: seen().client)
    monkeypatch.setattr(views, "experiment", lambda client, uri: seen().place)
    found = link(server)
    assert found.startswith(begins) and found.endswith(f"&viewStateShareKey={views.KEY}") and "secret" not in found
