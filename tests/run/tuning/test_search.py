"""The search over the models' fields: rungs change no bit of a model, and nothing but the study moves a trial."""

import json
import shutil
import tomllib
from dataclasses import replace

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from engine import study
from engine.cluster.sampler import Trial
from engine.errors import BadInput, TaskFailed
from engine.plan.search_plan import SearchPlan
from engine.report import tuned
from engine.run import executors
from engine.run.executors import InProcess
from engine.run.state import Run
from engine.run.status import StageStatus
from engine.run.tuning import rungs, search
from engine.stages import models, scores
from engine.store.checkpoints import FOLDER
from engine.store.store import Ledger, Store
from engine.store.units import Group, commit

SMALL = (
    "events.train_per_kind=150", "pool.er_events=1500", "pool.nr_events=1000", "tune.R={log=[1,10],n=2}",
    "tune.m_chi_GeV=[50]", "tune.exposure_ty=20", "models.vae.epochs=4", "models.classifier.epochs=2",
    "tune.objective='er_leakage'", "tune.search.models.vae.beta={log=[0.1,100]}", "tune.trials=7",
    "tune.search.models.vae.hidden={choices=[[16],[32]]}", "tune.pruning={pruner='halving',rungs=[0.5]}",
)  # fmt: skip
VALUES = {"models.vae.beta": 3.0, "models.vae.hidden": [16]}

SLOW = pytest.mark.slow
DONE = {}  # a finished search by the folder of its events


class Died(Exception):
    """The driver, at some moment."""


@pytest.fixture
def alone(monkeypatch):
    """Work in this process; tasks in another order or up to a death where they are asked for."""

    class Way:
        backwards, left = False, None

    do = InProcess.do

    def until_death(job):
        listed = list(job.units)
        for unit in listed[::-1] if Way.backwards else listed:
            if job.work is rungs.work and Way.left is not None:
                if not Way.left:
                    raise Died
                Way.left -= 1
            yield unit

    monkeypatch.setattr(executors, "AT_ONCE", 1)  # what was done before a death is committed
    monkeypatch.setattr(InProcess, "do", lambda self, job, ahead=(): do(self, replace(job, units=until_death(job))))
    return Way


def run(parsed, store, storage_url=None):
    return search.run(parsed, store, storage_url, workers=0)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """A store with all that trials share: written once, copied by every test."""
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture
def load(tiny):
    return lambda *settings: study.load(str(tiny), (*SMALL, *settings))


@pytest.fixture
def store(events, alone, load, tmp_path):
    """A store of one's own, in which events, fixed models and the pool are there."""
    if not events.exists():
        place = Store(str(events))
        rungs.prepare(Run(SearchPlan(load()), place, Ledger(place)))
    shutil.copytree(events, tmp_path / "store")
    return Store(str(tmp_path / "store"))


@pytest.fixture
def inputs(store, load):
    return rungs.prepare(Run(SearchPlan(load()), store, Ledger(store)))


def climbed(inputs, store, rung, values=VALUES, finished=None):
    *fitted, row = rungs.work(inputs, store, values, rung, finished or {})
    return fitted, row.content.to_pylist()[0]


class TestRungs:
    def test_a_trial_ends_with_the_model_of_a_study_with_its_values(self, inputs, store):
        plan, entries = inputs.plan.of(VALUES), inputs.training["vae"]
        climbed(inputs, store, 0)
        (model,), row = climbed(inputs, store, 1)
        (whole,) = models.work(plan, plan.models["vae"], store, entries)
        assert (model.path, model.items) == (whole.path, whole.items) and model.content == whole.content
        assert (row["state"], row["epochs"]) == ("complete", "vae: 4")
        assert row["objective"] == row["er_leakage"], "the objective here, which both take the least of"

    def test_a_rung_shows_the_model_there_whatever_else_is_known(self, inputs, store):
        fitted, row = climbed(inputs, store, 0)
        assert not fitted and (row["state"], row["epochs"], row["objective"]) == ("underway", "vae: 2", None)
        (whole,), _ = climbed(inputs, store, 1)
        (entry,) = commit(store, [whole])
        assert climbed(inputs, store, 0) == ([], row), "not that of the end, nor from its checkpoint"
        assert climbed(inputs, store, 0, finished={whole.items[0]: entry}) == ([], row)

    def test_a_model_that_is_there_is_not_fitted_again(self, inputs, store, monkeypatch):
        (model,), row = climbed(inputs, store, 1)
        (entry,) = commit(store, [model])
        monkeypatch.setattr(models, "train", None)
        assert climbed(inputs, store, 1, finished={model.items[0]: entry}) == ([], row)

    def test_the_second_rung_goes_on_from_the_first(self, inputs, store, monkeypatch):
        climbed(inputs, store, 0)
        seen, plain = [], models.zoo.fit

        def fit(*arguments, resume=None, **options):
            seen.append(resume is not None)
            return plain(*arguments, resume=resume, **options)

        monkeypatch.setattr(models.zoo, "fit", fit)
        climbed(inputs, store, 1)
        assert seen == [True]

    def test_terms_of_the_pool_are_those_of_an_ordinary_scoring(self, inputs, store):
        plan = inputs.plan.of(VALUES)
        (model,), _ = climbed(inputs, store, 1)
        parts = [scores.work(plan, shard, ["vae"], {"vae": model.content})[1] for shard in plan.shards["tune"]]
        fitted = models.zoo.load(model.content, plan.family("vae"))
        found = rungs._terms(inputs.plan, {"vae": fitted}, store, inputs.features)
        for name in ("recon", "kl"):
            np.testing.assert_array_equal(found["vae"][name], np.concatenate([part.content[name] for part in parts]))

    def test_a_fit_that_diverges_is_a_row_that_says_why(self, inputs, store):
        fitted, row = climbed(inputs, store, 1, VALUES | {"models.vae.learning_rate": 1e30})
        assert not fitted and row["state"] == "diverged" and "dense_vae" in row["reason"]
        assert row["objective"] is row["er_leakage"] is row["epochs"] is None

    def test_each_part_of_a_trial_is_named_by_what_makes_it(self, load):
        plan = SearchPlan(load())
        one, other = plan.of(VALUES), plan.of(VALUES | {"models.vae.beta": 4.0})
        assert len({one.rung_item(0), one.rung_item(1), other.rung_item(0), other.rung_item(1)}) == 4
        assert SearchPlan(load("tune.trials=9", "score.R=[5.0]")).of(VALUES).rung_item(1) == one.rung_item(1)
        for change in ("tune.R={log=[1,1e7],n=3}", "backgrounds.components=['pp','neutrons']"):
            assert SearchPlan(load(change)).of(VALUES).rung_item(0) != one.rung_item(0)
        by_z = "tune.objective='tail_count'"
        assert SearchPlan(load(by_z)).of(VALUES).rung_item(0) == one.rung_item(0)
        assert SearchPlan(load(by_z)).of(VALUES).rung_item(1) != one.rung_item(1)


@pytest.fixture
def undisturbed(store, events, load):
    """A finished search in the test's own store: run once, copied by every test."""
    done = events.parent / "done"
    if not done.exists():
        shutil.copytree(store.folder(), done)
        DONE[events] = run(load(), Store(str(done)))
    shutil.copytree(done, store.folder(), dirs_exist_ok=True)
    return DONE[events]


def copies(store):
    from engine.cluster.storage import opened

    (name,) = optuna.get_all_study_names(opened(None, store.folder()))
    return optuna.load_study(study_name=name, storage=opened(None, store.folder())).trials


def of_row(row):
    """The values of a trial, as a search has them."""
    return {"models.vae.beta": row["models.vae.beta"], "models.vae.hidden": json.loads(row["models.vae.hidden"])}


def plain(values):
    """With lists, as a table says them."""
    return json.loads(json.dumps(values))


def best_of(found):
    (row,) = (row for row in found.table.to_pylist() if row["best"])
    return row


def test_trials_are_fitted_by_groups_and_score_on_the_device_that_these_have(undisturbed, store, load, monkeypatch):
    """On a CPU in the place of a GPU, which therefore finds what a CPU finds."""
    asked, do = [], InProcess.do

    def by_groups(self, job, ahead=()):
        asked.append((job.stage, job.group, job.gpus))
        if not job.group:
            yield from do(self, replace(job, gpus=0.0))
        for unit in job.units if job.group else ():
            yield commit(job.store, list(job.work(*unit.arguments, device="cpu")))

    monkeypatch.setattr(InProcess, "do", by_groups)
    monkeypatch.setattr("zoo._fitted.there", lambda name: torch.device("cpu"))
    monkeypatch.setattr(models.zoo, "device_name", "{}, of a test".format, raising=False)
    found = run(load("training.gpus_per_worker=0.5", "score.gpus_per_task=0.25", "tune.trials=2"), store)
    assert asked == [("models", Group(1, 0.5), 0.0), ("features", None, 0.25), *2 * [("rungs", Group(1, 0.5), 0.0)]]
    known = {json.dumps(of_row(row)): row for row in undisturbed.table.to_pylist()}
    for row in found.table.to_pylist():
        there = known[json.dumps(of_row(row))]
        assert (row["er_leakage"], row["R"]) == (there["er_leakage"], there["R"])
    assert found.item != undisturbed.item
    scored = [entry for item, entry in Ledger(store).entries.items() if item in scores.items(found.plan)]
    metadata = [pq.read_schema(store.folder() / entry.path).metadata for entry in scored]
    devices = [one[b"device"] for one in metadata if b"device" in one]
    assert devices == len(found.plan.shards["tune"]) * [b"cuda, of a test"]


class TestSearch:
    def test_the_table_has_every_trial_with_its_values(self, undisturbed):
        rows = undisturbed.table.to_pylist()
        assert [row["trial"] for row in rows] == list(range(7))
        assert rows[0]["models.vae.beta"] == 10.0 and rows[0]["models.vae.hidden"] == "[32]"
        states = [row["state"] for row in rows]
        assert set(states) == {"complete", "pruned"}
        for row in rows:
            assert (row["objective"] is None) == (row["state"] == "pruned")
            assert row["epochs"] == ("vae: 2" if row["state"] == "pruned" else "vae: 4")
        least = min((row for row in rows if row["objective"] is not None), key=lambda row: row["objective"])
        ties = [row["trial"] for row in rows if row["objective"] is not None
                and row["objective"] - least["objective"] <= (least["objective_error"] or 0.0)]  # fmt: skip
        assert ties == [row["trial"] for row in rows if row["ties"]] and least["trial"] in ties
        best = rows[0] if 0 in ties else least
        assert [row["trial"] for row in rows if row["best"]] == [best["trial"]]
        assert plain(undisturbed.best) == of_row(best) and plain(undisturbed.first) == of_row(rows[0])

    def test_again_it_computes_nothing_and_no_checkpoint_is_left(self, undisturbed, store, load):
        assert undisturbed.computed["rungs"] > 7 and not store.list(FOLDER)
        again = run(load(), store)
        assert set(again.computed.values()) == {0} and again.table.equals(undisturbed.table)

    @pytest.mark.parametrize("left", [pytest.param(0, marks=SLOW), 3, pytest.param(6, marks=SLOW)])
    def test_after_a_death_it_ends_with_the_same_bytes_in_another_order(
        self, left, undisturbed, events, store, load, alone, tmp_path
    ):
        shutil.copytree(events, tmp_path / "other")
        other = Store(str(tmp_path / "other"))
        alone.backwards, alone.left = True, left
        with pytest.raises(Died):
            run(load(), other)
        alone.left = None
        resumed = run(load(), other)
        assert resumed.item == undisturbed.item
        assert other.get(f"tables/{resumed.item}.parquet") == store.get(f"tables/{resumed.item}.parquet")
        assert undisturbed.computed["rungs"] == resumed.computed["rungs"] + left, "what had ended is not done again"
        ended = [trial for trial in copies(other) if trial.state.name != "FAIL"]
        assert all(trial.state.is_finished() for trial in ended) and len(ended) == 7

    def test_status_tells_its_trials_as_far_as_they_follow(self, undisturbed, store, load):
        whole = search.status(load(), store)
        assert whole.by_stage["trials"] == StageStatus(7, 7, 0, 0, 0)
        assert whole.table == store.where(f"tables/{undisturbed.item}.parquet")
        assert whole.best.startswith(f"trial {best_of(undisturbed)['trial']}, models.vae.beta = ")
        further = search.status(load("tune.trials=9"), store)
        assert further.by_stage["trials"] == StageStatus(5, 9, 0, 0, 0), "the second round is not whole"
        assert further.best.startswith("trial ") and further.table is None

    def test_more_trials_begin_with_those_of_fewer(self, undisturbed, store, load):
        more = run(load("tune.trials=9"), store)
        columns = ["trial", "state", "objective", "models.vae.beta", "lineage"]
        assert more.table.slice(0, 7).select(columns).equals(undisturbed.table.select(columns))

    def test_a_lost_rung_is_computed_again(self, undisturbed, store, load):
        path = store.folder() / next(one for one in store.list("rungs"))
        path.write_bytes(path.read_bytes()[:-20])
        again = run(load(), store)
        assert again.computed["rungs"] == 1 and again.table.equals(undisturbed.table)

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["events", "features", "scores", "models", "rungs", "tables"])
    def test_a_part_that_is_damaged_under_way_is_made_again(self, undisturbed, store, load, monkeypatch, kind):
        shutil.rmtree(store.folder() / "rungs")  # trials read the others' parts once more
        compute, finish, struck = Run.compute, search._finish, []

        def strike():
            if not struck:
                struck.append(max(store.objects(kind), key=lambda one: one.size_bytes).path)
                path = store.folder() / struck[0]
                path.write_bytes(path.read_bytes()[:-20])

        def at_trials(run, name, *rest, **how):
            if name == "rungs" and kind not in ("rungs", "tables"):
                strike()
            return compute(run, name, *rest, **how)

        def at_end(*arguments):
            strike()
            return finish(*arguments)

        monkeypatch.setattr(Run, "compute", at_trials)
        monkeypatch.setattr(search, "_finish", at_end)
        for _ in range(2):  # what is not read again under way is found by the next
            again = run(load(), store)
            assert again.item == undisturbed.item and again.table.equals(undisturbed.table)
        assert set(run(load(), store).computed.values()) == {0}
        assert not Ledger(store).check(Ledger(store).entries), "all is whole again"

    def test_where_every_trial_diverges_the_reason_is_said(self, store, load):
        with pytest.raises(TaskFailed, match=r"none of 3 trials ended: .*dense_vae"):
            run(load("tune.search.models.vae.learning_rate={log=[1e29,1e30]}", "tune.trials=3",
                            "models.vae.learning_rate=1e29"), store)  # fmt: skip

    def test_a_storage_that_cannot_be_opened_is_bad_input_before_any_work(self, load, tmp_path):
        with pytest.raises(BadInput, match="storage"):
            run(load(), Store(str(tmp_path / "new")), "mysql://u:p@h/d")
        assert not list((tmp_path / "new").iterdir())


class TestWhatIsLeft:
    def test_the_study_with_the_best_values_is_a_study_and_says_what_it_was_tuned_on(self, undisturbed, tiny, load):
        found = study.parse(tomllib.loads(tuned.study_text(undisturbed, study.document(str(tiny), SMALL))))
        best, vae = best_of(undisturbed), found.models["vae"]
        assert vae.config["beta"] == best["models.vae.beta"] and found.score.R == (best["R"],)
        assert list(vae.config["hidden"]) == json.loads(best["models.vae.hidden"])
        assert found.models["classifier"] == load().models["classifier"] and found.tune == load().tune
        assert found.tuned_on.startswith("R, models.vae.beta, models.vae.hidden: er_leakage")
        of_trial = undisturbed.plan.of(undisturbed.best)
        assert SearchPlan(found).models["vae"] == of_trial.models["vae"], "a scan with it fits nothing anew"

    def test_models_that_were_not_named_are_named(self, undisturbed, tiny):
        written = study.document(str(tiny), SMALL)
        del written["models"]
        assert study.parse(tomllib.loads(tuned.study_text(undisturbed, written))).models["vae"].name == "dense_vae"

    def test_a_record_for_the_search_and_one_for_every_trial(self, undisturbed, tiny):
        files = tuned.files(undisturbed, study.document(str(tiny), SMALL))
        assert files["objective_against_fields.png"][:4] == b"\x89PNG"
        (whole,) = tuned.records("mine", undisturbed, files)
        trials = whole.children
        assert whole.metrics["objective"] == best_of(undisturbed)["objective"] and len(trials) == 7
        assert len({one.lineage for one in [whole, *trials]}) == 8
        assert trials[0].parameters["models.vae.beta"] == 10.0
        assert all(np.isfinite(list(one.metrics.values())).all() for one in [whole, *trials])

    def test_the_words_name_the_best_and_the_first(self, undisturbed):
        said = tuned.words(undisturbed)
        assert f"models.vae.beta = {undisturbed.best['models.vae.beta']}" in said and "pruned" in said
        assert "first trial" in said or best_of(undisturbed)["trial"] == 0
        n_ties = sum(undisturbed.table["ties"].to_pylist())
        assert (f"{n_ties} trials tie within the error" in said) == (n_ties > 1)

    @pytest.mark.parametrize(("error", "kept"), [(0.02, 0), (0.005, 1), (None, 1)])
    def test_the_study_stays_as_it_is_where_its_trial_ties_with_the_best(self, load, error, kept):
        plan = SearchPlan(load())
        other = plan.first[0] | {"models.vae.beta": 3.0}
        ended = [Trial(0, plan.first[0], "complete", 0.11), Trial(1, other, "complete", 0.1),
                 Trial(2, other, "pruned", None)]  # fmt: skip
        parts = [pa.table({"objective_error": pa.array([error], pa.float64())})] * 3
        assert rungs.chosen(plan, ended, parts, ended[1]) is ended[kept]
        assert len(rungs.tied(plan, ended, parts, ended[1])) == (2 if kept == 0 else 1)


def test_the_command_searches_on_a_cluster_and_keeps_passwords(recoilscan, run_here, store, tiny, tmp_path):
    settings = [word for setting in (*SMALL, "tune.trials=2") for word in ("--set", setting)]
    words = ("tune", tiny, "--workers", 2, "--store", store.folder(), *settings)
    refused = run_here(*words, "--storage", "postgresql://u:secret@127.0.0.1:1/d", check=2)
    assert "secret" not in refused.stdout + refused.stderr and len(refused.stderr.strip().splitlines()) == 1
    done = recoilscan(*words, "--storage", f"sqlite:///{tmp_path}/trials.db")
    assert "best of 2 trials" in done.stdout and "tracking: 3 new runs" in done.stdout
    (path,) = (store.folder() / "tables").iterdir()
    assert pq.read_table(path).num_rows == 2
    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path}/trials.db")
    assert name.startswith("recoilscan-")
    again = run_here(*words)
    assert "computed 0 items" in again.stdout and "tracking: 0 new runs" in again.stdout
    assert (store.folder() / "optuna" / "journal.log").stat().st_size > 0
