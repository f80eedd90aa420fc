"""The copy of a search in an Optuna storage: whole, resumed after a kill, torn or lost; no password is ever shown."""

import json
from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from engine.cluster import storage
from engine.cluster.sampler import DIVERGED, Objective, Rules, Search
from engine.cluster.storage import JOURNAL, PLACE, STATE, StoredSearch, opened, repair
from engine.errors import BadInput, TaskFailed
from engine.urls import hidden

RULES = Rules(12, 1, True, rungs=2, pruner="median", startup_trials=3)


class Field(SimpleNamespace):
    def value(self, drawn):
        return drawn


FIELDS = (
    Field(key="beta", space=SimpleNamespace(ends=(0.1, 100.0), log=True, choices=None), whole=False),
    Field(key="hidden", space=SimpleNamespace(ends=None, log=None, choices=([32], [64, 32])), whole=False),
)
OWN = {"beta": 10.0, "hidden": [32]}


class Died(Exception):
    """The driver, at some moment."""


def evaluate(asked, rung):
    if rung == 0:
        return [Objective(-abs(values["beta"] - 3), None) for values in asked]
    return [Objective(None, None if values["beta"] > 50 else -abs(values["beta"] - 3)) for values in asked]


def dying(after):
    calls = iter(range(after))

    def some(asked, rung):
        if next(calls, None) is None:
            raise Died
        return evaluate(asked, rung)

    return some


def search(place, evaluate=evaluate):
    one = Search(evaluate, FIELDS, [OWN], RULES)
    one.copy = StoredSearch(place, "mine", one)
    return one


def found(place):
    study = optuna.load_study(study_name="mine", storage=place)
    ended = {t.user_attrs[PLACE]: t for t in study.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)}
    return study.trials, ended


@pytest.fixture(params=["journal", "sqlite"])
def place(request, tmp_path):
    def make():
        url = None if request.param == "journal" else f"sqlite:///{tmp_path}/optuna.db"
        made = opened(url, tmp_path)
        request.addfinalizer(lambda: _close(made))
        return made

    return make


def _close(made):
    if hasattr(made, "engine"):
        made.engine.dispose()


def agree(trials, ended):
    assert sorted(ended) == [trial.number for trial in trials]
    for trial in trials:
        copy = ended[trial.number]
        assert json.loads(copy.params["hidden"]) == trial.values["hidden"]
        assert copy.params["beta"] == trial.values["beta"]
        assert copy.user_attrs[STATE] == trial.state
        assert list(copy.intermediate_values.values()) == trial.reports
        if trial.value is not None:
            assert copy.value == trial.value


def test_the_copy_has_all_that_the_search_has(place):
    trials = search(place()).run()
    assert len({trial.state for trial in trials}) >= 2
    agree(trials, found(place())[1])


def test_a_fit_that_diverged_is_there_with_the_worst_value(place):
    trials = search(place(), lambda asked, rung: [Objective(None, None) for _ in asked]).run()
    assert {trial.state for trial in trials} == {DIVERGED}
    assert {trial.value for trial in found(place())[0]} == {float("-inf")}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_after_a_death_no_trial_is_left_running_and_none_has_ended_twice(place, after):
    with pytest.raises(Died):
        search(place(), dying(after)).run()
    assert any(trial.state == TrialState.RUNNING for trial in found(place())[0])
    trials = search(place()).run()
    copies, ended = found(place())
    agree(trials, ended)
    assert not [t for t in copies if not t.state.is_finished()]
    assert len(ended) == sum(t.state != TrialState.FAIL for t in copies)
    assert trials == Search(evaluate, FIELDS, [OWN], RULES).run(), "the copy changes nothing of the search"


def test_trials_that_were_waiting_are_failed_too(place):
    optuna.create_study(storage=place(), study_name="mine", direction="maximize").enqueue_trial({"beta": 1.0})
    trials = search(place()).run()
    copies, ended = found(place())
    agree(trials, ended)
    assert copies[0].state == TrialState.FAIL


def test_a_second_pass_adds_nothing(place):
    search(place()).run()
    before = len(found(place())[0])
    search(place()).run()
    assert len(found(place())[0]) == before


@pytest.mark.parametrize("torn", [b'{"op_code": 4, "worker_', b"\x00\x00\x00", b"12\n", b"{broken\n"])
def test_a_torn_last_line_is_cut_off_before_the_journal_is_opened(tmp_path, torn):
    with pytest.raises(Died):
        search(opened(None, tmp_path), dying(2)).run()
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert repair(path) == len(torn) and path.read_bytes() == whole
    path.write_bytes(whole + torn)
    trials = search(opened(None, tmp_path)).run()
    agree(trials, found(opened(None, tmp_path))[1])


def test_without_the_repair_a_torn_line_breaks_the_next_trial(tmp_path):
    search(opened(None, tmp_path)).run()
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "worker_')
    with pytest.raises((AssertionError, AttributeError, TaskFailed)):
        torn = Search(lambda *_: [Objective(None, 1.0)], FIELDS, [OWN], Rules(1, 1, True))
        torn.copy = StoredSearch(JournalStorage(JournalFileBackend(str(path))), "other", torn)
        torn.run()


def test_a_journal_that_is_whole_or_absent_is_left_alone(tmp_path):
    path = tmp_path / "j.log"
    assert repair(path) == 0 and not path.exists()
    path.write_bytes(b'{"a": 1}\n')
    assert repair(path) == 0 and path.read_bytes() == b'{"a": 1}\n'


def test_a_store_without_a_folder_has_no_copy_unless_a_url_is_given():
    assert opened(None, None) is None


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "somewhere",
        "sqlite:////nowhere/at/all/x.db",
        "postgresql://u:secret@127.0.0.1:1/d",
        "postgresql://u@127.0.0.1:1/d?password=secret",
    ],
)
def test_what_cannot_be_opened_is_one_line_without_a_password(url):
    with pytest.raises(BadInput) as error:
        opened(url, None)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_missing_driver_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"recoilscan\[postgresql\]"):
        opened("postgresql://u:secret@h/d", None)


@pytest.mark.parametrize(("text", "shown"), [
    ("postgresql://u:p@ss:w/rd@h:5432/d", "postgresql://u:***@h:5432/d"),
    ("--storage=postgresql://u:x@h/d --quiet", "--storage=postgresql://u:***@h/d --quiet"),
    ("postgresql://u@h/d?password=x&a=b", "postgresql://u@h/d?password=***&a=b"),
    ("sqlite:///a/b.db", "sqlite:///a/b.db"),
])  # fmt: skip
def test_a_password_is_hidden_wherever_it_stands(text, shown):
    assert hidden(text) == shown


@pytest.mark.parametrize("damage", [
    b'{"op_code": 0, "worker_id": "a"}\n', b'[1]\n{"a": 1}\n', b'{"op_code": 99}\n', b'{\n{"a": 1}\n', b"\xff\n{}\n",
    b"folder",
])  # fmt: skip
def test_a_journal_that_was_damaged_in_its_middle_is_begun_anew(tmp_path, damage, capsys):
    path = tmp_path / JOURNAL
    path.parent.mkdir()
    if damage == b"folder":
        path.mkdir()
    else:
        path.write_bytes(damage)
    assert opened(None, tmp_path).get_all_studies() == []
    said = capsys.readouterr().err
    assert said.startswith(f"note: the journal {path} cannot be read") and said.count("\n") == 1
    assert len(list(path.parent.glob("journal.log.*"))) >= 1
