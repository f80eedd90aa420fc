"""What no study refers to is listed with its size, and goes only when told, when old enough, and when nobody works."""

import json
import os
import time

import pyarrow as pa
import pytest

from engine import stages, study
from engine.errors import BadInput
from engine.plan.plan import Plan
from engine.run import garbage
from engine.run.status import status
from engine.store import heartbeat
from engine.store.parts import Entry, Part, bundle, encode, sha256
from engine.store.store import Ledger, Store

MORE = ("toys.null=2500",)


@pytest.fixture
def store(tiny, tmp_path):
    """A store with a part for every item of a study and of one with more toys, and what fits, figures and repairs
    leave; all of it is a week old."""
    place = Store(str(tmp_path / "store"))
    ledger = Ledger(place)
    for settings in ((), MORE):
        for stage, items in stages.items(Plan(study.load(str(tiny), settings))).items():
            for item in items:
                put(place, ledger, f"{stage}/{item}.parquet", item)
        ledger.flush()
    put(place, None, "nulls/orphan.parquet", "of-nobody")
    known = bundle("nulls", (Plan(study.load(str(tiny))).nulls[0], "other"), pa.table({"item": ["x"]}))
    place.put_new(known.path, encode(known))
    for plan in (Plan(study.load(str(tiny))), Plan(study.load(str(tiny), MORE))):
        place.put(f"figures/{plan.table}/roc.png", b"x" * 1000)
        place.put(f"reports/{plan.table}/tiny.html", b"x")
        place.put(f"partial/{plan.table}.parquet", b"x")
    place.put(f"checkpoints/{plan.models['vae']}.safetensors", b"wanted")
    place.put("checkpoints/of-nobody.safetensors", b"x")
    place.put("aside/cells/a.parquet.1234", b"x" * 50)
    place.put("mlflow/mlflow.db", b"not ours")
    age(tmp_path / "store", 7 * 24)
    return place


def put(store, ledger, path, item):
    part = Part(path, (item,), pa.table({"item": [item]}))
    data = encode(part)
    store.put_new(path, data)
    if ledger:
        ledger.add([Entry(path, sha256(data), part.items)])


def age(folder, hours):
    then = time.time() - hours * 3600
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def test_what_two_studies_share_stays_and_what_one_alone_had_goes(store, tiny):
    small, large = study.load(str(tiny)), study.load(str(tiny), MORE)
    found = garbage.find([small], store)
    mine, theirs = ({item for items in stages.items(Plan(one)).values() for item in items} for one in (small, large))
    stem = {one.path.split("/")[-1].split(".")[0] for one in found.objects}
    assert stem >= theirs - mine and not stem & mine
    # and not the bundle with an item that is asked for
    assert stem - theirs == {"orphan", "of-nobody", "a", "roc", "tiny"}
    folders = set(found.by_folder)
    assert {"nulls", "cells", "figures", "reports", "partial", "checkpoints", "aside"} <= folders
    assert "mlflow" not in folders
    assert found.by_folder["figures"] == (1, 1000)
    everything = garbage.find([small, large], store)
    assert {one.path for one in everything.objects} == {
        "nulls/orphan.parquet", "checkpoints/of-nobody.safetensors", "aside/cells/a.parquet.1234"
    }  # fmt: skip


def test_the_traceback_of_what_is_still_asked_for_stays_until_it_has_an_answer(tiny, tmp_path):
    place, plan = Store(str(tmp_path / "other")), Plan(study.load(str(tiny)))
    open_, done = plan.nulls[:2]
    ledger = Ledger(place)
    put(place, ledger, f"nulls/{done}.parquet", done)
    ledger.flush()
    for name in (open_, done, "of-nobody", "20260101T000000Z-1234"):
        place.put(f"errors/{name}.txt", b"why")
    gone = {one.path for one in garbage.find([plan.study], place, grace_s=0).objects}
    assert gone == {f"errors/{name}.txt" for name in (done, "of-nobody", "20260101T000000Z-1234")}


def test_listing_removes_nothing_and_deleting_leaves_the_study_whole(store, tiny, run_here, tmp_path):
    before = status(study.load(str(tiny)), store)
    n_objects = len(store.list(""))
    done = run_here("gc", tiny, "--store", store.uri)
    assert "nothing was removed" in done.stdout and "nulls/orphan.parquet" in done.stdout
    assert len(store.list("")) == n_objects
    done = run_here("gc", tiny, "--store", store.uri, "--delete")
    assert "removed" in done.stdout
    after = status(study.load(str(tiny)), store)
    assert (after.done, after.missing, after.corrupt) == (before.done, 0, [])
    assert garbage.find([study.load(str(tiny))], store).objects == []
    assert store.get("mlflow/mlflow.db") == b"not ours"
    gone = status(study.load(str(tiny), MORE), store)
    assert gone.missing > 0 and gone.corrupt == []  # forgotten, not damaged


def test_the_young_are_spared_unless_told(store, tiny, tmp_path):
    age(tmp_path / "store", 2)
    parsed = [study.load(str(tiny))]
    assert garbage.find(parsed, store).objects == []
    assert garbage.find(parsed, store).young == len(garbage.find(parsed, store, 0.0).objects) > 10


def test_without_a_study_it_refuses(store, run_here):
    done = run_here("gc", "--store", store.uri, "--delete", check=2)
    assert "without one, everything would go" in done.stderr and done.stderr.count("\n") == 1


def test_while_a_driver_works_nothing_is_removed(store, tiny):
    found, now = garbage.find([study.load(str(tiny))], store), time.time()
    owner = {"host": "elsewhere", "pid": 7, "started": now, "seen": now}
    store.put(f"{heartbeat.FOLDER}/some-study/elsewhere-7.json", json.dumps(owner).encode())
    n_objects = len(store.list(""))
    with pytest.raises(BadInput, match="process 7 on elsewhere, since .* nothing was removed"):
        garbage.delete(store, found)
    assert len(store.list("")) == n_objects


def test_what_tuning_may_have_made_is_spared(store, tiny):
    tuned = study.load(str(tiny), ("tune.R={values=[1,100]}", "tune.exposure_ty=5", "tune.m_chi_GeV=[50]"))
    store.put("trials/a.parquet", b"x")
    assert not {"trials", "tables", "figures"} & set(garbage.find([tuned], store, 0.0).by_folder)
    assert "trials" in garbage.find([study.load(str(tiny))], store, 0.0).by_folder
