"""What an outage looks like to the user: one line with the command for later, and no failure."""

import pytest

from engine.progress import Silent
from engine.report.tracking import tracked
from engine.store.store import Store

AWAY = "postgresql://me:secret@127.0.0.1:1/mlflow"


def test_an_outage_is_one_line_with_the_command_for_later_and_without_the_password(tmp_path, capsys):
    assert not tracked.send([], Store(str(tmp_path)), AWAY, Silent(), "recoilscan track mine.toml")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.rstrip().endswith("later: recoilscan track mine.toml")
    assert "secret" not in said and "postgresql://me:***@127.0.0.1:1/mlflow" in said


def test_track_says_that_it_failed_and_what_there_is_to_be_done_first(recoilscan, tiny):
    done = recoilscan("track", tiny, check=2)
    assert "recoilscan scan" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_a_scan_that_does_not_end_says_how(monkeypatch, tmp_path, tiny, raised, status):
    from engine import study
    from engine.plan.plan import Plan

    ends = []
    monkeypatch.setattr(tracked.tracking.Live, "end", lambda self, how: ends.append(how))
    plan = Plan(study.load(str(tiny)))
    with pytest.raises(raised), tracked.followed("tiny", plan, Store(str(tmp_path)), AWAY, Silent(), "later"):
        raise raised
    assert ends == [status]
