"""What an outage looks like to the user: one line with the command for later, and no failure."""

import shlex

import pytest

from engine.progress import Silent
from engine.report.tracking import tracked
from engine.store.store import Store

AWAY = "postgresql://me:secret@127.0.0.1:1/mlflow"


def test_an_outage_is_one_line_with_the_command_for_later_and_without_the_password(tmp_path, capsys):
    assert not tracked.send(list, Store(str(tmp_path)), AWAY, Silent(), "recoilscan track mine.toml")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.rstrip().endswith("later: recoilscan track mine.toml")
    assert "secret" not in said and "postgresql://me:***@127.0.0.1:1/mlflow" in said


def test_records_that_cannot_be_made_are_one_line_and_no_failure(tmp_path, capsys):
    def fail():
        raise RuntimeError("models/x does not have\nthe bytes that were committed")

    assert not tracked.send(fail, Store(str(tmp_path)), None, Silent(), "recoilscan track mine.toml")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "RuntimeError: models/x does not have the bytes" in said


def test_the_line_that_shows_the_runs_can_be_pasted(tmp_path, monkeypatch, capsys):
    told = []
    monkeypatch.setattr(tracked.tracking, "log", lambda runs, uri: 0)
    monkeypatch.setattr(tracked.tracking, "link", lambda uri: "http://127.0.0.1:5000/#/experiments/1/runs?a=b")
    monkeypatch.setattr(Silent, "note", lambda self, line: told.append(line))
    store = Store(str(tmp_path / "my store"))
    assert tracked.send(list, store, None, Silent(), "later")
    words = shlex.split(told[0].partition("look: ")[2])
    assert words == ["mlflow", "ui", "--backend-store-uri", f"sqlite:///{store.folder()}/mlflow/mlflow.db"]
    assert told[1] == "runs: http://127.0.0.1:5000/#/experiments/1/runs?a=b (while mlflow ui runs)"


def test_track_says_that_it_failed_and_what_there_is_to_be_done_first(run_here, tiny):
    done = run_here("track", tiny, check=2)
    assert "recoilscan scan" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_a_scan_that_does_not_end_says_how(monkeypatch, tmp_path, tiny, raised, status):
    from engine import study
    from engine.plan.plan import Plan

    ends = []
    monkeypatch.setattr(tracked.tracking.Live, "end", lambda self, how=None: ends.append(how))
    plan = Plan(study.load(str(tiny)))
    with pytest.raises(raised), tracked.followed("tiny", plan, Store(str(tmp_path)), AWAY, Silent(), "later"):
        raise raised
    assert ends == [status]
