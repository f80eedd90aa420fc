"""A scan is RUNNING in MLflow while it runs, goes on in the same run, and outlives any outage."""

import http.server
import threading
import time
from collections.abc import Iterable

import pytest

from engine.progress import FitProgress, Silent
from engine.report.tracking import Live, client, live, log, system
from engine.urls import hidden

SOON_S = 60.0  # MLflow itself would try for minutes; a busy machine takes its time


def scan(reporter, made: int, reused: int = 0) -> None:
    """Some items of a stage of ten."""
    reporter.stage("cells", 10, reused)
    for _ in range(made):
        reporter.advance(1)


def measuring() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


@pytest.fixture
def watch(uri, make, monkeypatch):
    """A reporter on the test's MLflow, which tells every item at once; and its warnings."""
    monkeypatch.setattr(live, "EVERY_S", -1.0)
    said, made = [], []

    def call(place: str = uri, fitted: Iterable[str] = ()) -> Live:
        made.append(Live(Silent(), make, 10, lambda: place, said.append, fitted))
        return made[-1]

    call.said = said
    yield call
    for reporter in made:
        reporter.end()


def progress(seen) -> list[tuple[int, float]]:
    (run,) = seen().runs("tags.stage = 'scan'")
    history = seen().client.get_metric_history(run.info.run_id, "progress")
    return [(point.step, point.value) for point in history]


def test_nothing_is_written_before_the_first_stage(watch, uri, tmp_path):
    watch(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_no_work_waits_for_it(watch, tmp_path):
    reporter = watch(f"sqlite:///{tmp_path}/later.db")
    scan(reporter, 0)
    assert not (tmp_path / "later.db").exists(), "what is made in a stage is under way before anything is told"
    reporter.advance(1)
    assert (tmp_path / "later.db").exists()


def test_a_scan_that_ends_before_anything_was_made_is_there(watch, seen):
    reporter = watch()
    scan(reporter, 0)
    reporter.end("KILLED")
    assert [run.info.status for run in seen().runs()] == ["KILLED"] and not measuring()


def test_it_shows_its_progress_and_ends_as_it_is_told(watch, seen):
    reporter = watch()
    scan(reporter, 3)
    (run,) = seen().runs()
    assert run.info.status == "RUNNING" and progress(seen) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    reporter.end("FAILED")
    assert seen().runs()[0].info.status == "FAILED"


def test_a_killed_scan_goes_on_in_its_run_and_repeats_no_point(watch, seen, make, uri):
    scan(watch(), 3)
    scan(watch(), 3, reused=2)  # the third had been told of, and was lost with the driver
    assert progress(seen) == [(step, step / 10) for step in range(1, 6)]
    assert log([make()], uri) == 2
    (run,) = seen().runs("tags.stage = 'scan'")
    assert run.info.status == "FINISHED"
    scan(watch(), 1, reused=9)
    assert seen().runs("tags.stage = 'scan'")[0].info.status == "FINISHED", "a whole run is left alone"
    assert len(progress(seen)) == 5


def test_the_machine_is_measured_until_the_scan_ends_and_not_beyond(watch, seen, monkeypatch):
    monkeypatch.setattr(system, "INTERVAL_S", 0.01)
    monkeypatch.setattr(system, "SAMPLES", 1)
    reporter = watch()
    scan(reporter, 1)
    assert len(measuring()) == 1
    while "system/cpu_utilization_percentage" not in (found := seen().runs()[0].data.metrics):
        time.sleep(0.05)
    assert found["system/system_memory_usage_megabytes"] > 0
    reporter.end("FAILED")
    assert not measuring() and seen().runs()[0].info.status == "FAILED"


def test_mlflows_own_switch_leaves_the_machine_unmeasured(watch, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    scan(watch(), 1)
    assert not measuring()


class Broken(http.server.BaseHTTPRequestHandler):
    """A server that answers every request with an error of its own."""

    def do_GET(self):
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def broken():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_fails_is_told_once_and_soon(watch, broken):
    began_s = time.monotonic()
    scan(watch(broken), 5)
    assert len(watch.said) == 1 and "500" in str(watch.said[0])
    assert time.monotonic() - began_s < SOON_S


def test_who_speaks_is_there_whatever_he_says(broken):
    client._answers(broken)
    client._answers(broken.replace("http://", "http://user:secret@") + "/behind/")


AWAY = ("http://127.0.0.1:1", "https://127.0.0.1:1", "postgresql://user:secret@127.0.0.1:1/mlflow")


@pytest.mark.parametrize("place", AWAY)
def test_a_server_that_is_away_is_told_once_and_at_once(watch, place):
    began_s = time.monotonic()
    reporter = watch(place)
    scan(reporter, 5)
    reporter.end("FAILED")
    assert len(watch.said) == 1 and isinstance(watch.said[0], OSError)
    assert time.monotonic() - began_s < SOON_S


def test_an_outage_in_the_middle_is_told_once(watch, seen, monkeypatch):
    reporter = watch()
    scan(reporter, 1)

    def gone(*_, **__):
        raise ConnectionError("gone")

    monkeypatch.setattr(reporter.client, "log_metric", gone)
    for _ in range(3):
        reporter.advance(1)
    reporter.done()
    assert len(watch.said) == 1 and progress(seen) == [(1, 0.1)]


def under_way(n: int) -> dict[str, FitProgress]:
    """A fit that has come so far, and one of an ensemble, which has no run of its own."""
    losses = [10.0 / epoch for epoch in range(1, n + 1)]
    fit = FitProgress("dense_vae", 9, losses, [loss + 1 for loss in losses])
    return {"fit0": fit, "member": fit}


def curve(seen, name: str = "validation_loss") -> list[tuple[int, float]]:
    (run,) = seen().runs("tags.stage = 'fit'")
    return [(point.step, point.value) for point in seen().client.get_metric_history(run.info.run_id, name)]


def test_the_epochs_of_a_fit_come_one_by_one_into_its_run(watch, seen, make, uri):
    reporter = watch(fitted=["fit0"])
    scan(reporter, 1)
    for n in (0, 1, 3, 3):
        reporter.fits(under_way(n))
    (parent,), (run,) = seen().runs("tags.stage = 'scan'"), seen().runs("tags.stage = 'fit'")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id and run.info.status == "RUNNING"
    assert curve(seen) == [(1, 11.0), (2, 6.0), (3, 10 / 3 + 1)]
    assert [step for step, _ in curve(seen, "train_loss")] == [1, 2, 3]
    reporter.end("KILLED")
    assert {run.info.status for run in seen().runs()} == {"KILLED"}
    again = watch(fitted=["fit0"])  # which goes on from a checkpoint of before
    scan(again, 1)
    again.fits(under_way(2))
    again.fits(under_way(4))
    assert [step for step, _ in curve(seen)] == [1, 2, 3, 4]
    assert log([make()], uri) == 2
    (run,) = seen().runs("tags.stage = 'fit'")
    assert run.info.status == "FINISHED" and run.info.run_name == "fit0"


def test_a_server_that_goes_away_during_a_fit_is_told_once(watch, monkeypatch):
    reporter = watch(fitted=["fit0"])
    scan(reporter, 1)
    reporter.fits(under_way(1))

    def gone(*_, **__):
        raise ConnectionError("gone")

    monkeypatch.setattr(reporter.client, "log_batch", gone)
    for n in (2, 3):
        reporter.fits(under_way(n))
    assert len(watch.said) == 1


def test_a_password_is_not_shown():
    assert hidden("postgresql://user:secret@host:5432/db") == "postgresql://user:***@host:5432/db"
    assert hidden("sqlite:////a/b:c@d.db") == "sqlite:////a/b:c@d.db"
