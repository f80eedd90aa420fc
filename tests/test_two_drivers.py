"""Two drivers on one study: the second says who was first, both end, and the table is that of one."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from engine import pipeline, study
from engine.cluster import heartbeat
from engine.cluster.store import Store

SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=2000", "pool.nr_events=2000",
    "toys.null=1000", "toys.signal=1000", "grid.exposure_ty.values=[5]", "grid.m_chi_GeV.values=[50]",
    "models.vae.epochs=1", "models.classifier.epochs=1", "limits.check_m_chi_GeV=[]",
)  # fmt: skip


def test_the_second_names_the_first_and_the_table_is_that_of_one(tiny, start, tmp_path):
    words = [word for setting in SMALL for word in ("--set", setting)]
    store = tmp_path / "store"
    first = start("scan", tiny, "--store", store, "--workers", 1, *words)
    for line in first.stdout:
        if line.startswith("events:"):
            break
    second = start("scan", tiny, "--store", store, "--workers", 1, *words)
    said = [process.communicate(timeout=400)[0] for process in (second, first)]
    assert (second.returncode, first.returncode) == (0, 0), said
    assert f"warning: process {first.pid} on {socket.gethostname()}, since " in said[0]
    assert not list((store / "drivers").rglob("*.json"))
    alone = pipeline.run(study.load(str(tiny), SMALL), Store(str(tmp_path / "alone")), workers=2)
    (table,), of_one = (store / "tables").glob("*"), Path(alone.path)
    assert table.name == of_one.name and table.read_bytes() == of_one.read_bytes()
    assert not (store / "aside").exists()


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def owner(store, pid=None, host=None, age_s=0.0, name="study"):
    """Writes the record of a driver."""
    now = time.time() - age_s
    one = {"host": host or socket.gethostname(), "pid": pid or 1, "started": now, "seen": now}
    store.put(f"{heartbeat.FOLDER}/{name}/{one['host']}-{one['pid']}.json", json.dumps(one).encode())


def test_only_who_may_be_alive_is_warned_of(store):
    owner(store, pid=1)
    owner(store, host="elsewhere", pid=7)
    owner(store, host="long-gone", age_s=2 * heartbeat.DEAD_S)
    owner(store, pid=2**22 + 1)  # no such process
    owner(store, pid=os.getpid())
    owner(store, host="elsewhere", name="another study")
    store.put(f"{heartbeat.FOLDER}/study/torn.json", b"{")
    found = heartbeat.others(store, "study")
    assert {(one.host, one.pid) for one in found} == {(socket.gethostname(), 1), ("elsewhere", 7)}


def test_a_driver_beats_until_its_end(store, monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.05)
    owner(store, host="elsewhere", pid=7)
    warnings, seen = [], set()
    with heartbeat.beating(store, "study", warnings.append):
        end = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < end:
            seen.add(json.loads(store.get(f"drivers/study/{socket.gethostname()}-{os.getpid()}.json"))["seen"])
    assert len(seen) == 3
    assert len(warnings) == 1 and "process 7 on elsewhere, since " in warnings[0]
    assert store.list("drivers/study") == ["drivers/study/elsewhere-7.json"]
