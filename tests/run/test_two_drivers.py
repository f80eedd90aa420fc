"""Two drivers on one study: the second says who was first, both end, and the table is that of one."""

import json
import os
import signal
import socket
import time

import pytest
from scanned import SECONDS
from studies import LIGHT

from engine.store import heartbeat
from engine.store.store import Store

SCAN = """
import sys, time
from pathlib import Path
from engine import study
from engine.progress import reporter
from engine.run import pipeline
from engine.store.store import Store
at, store, gate, *settings = sys.argv[1:]
parsed, store = study.load(at, tuple(settings)), Store(store)
while not Path(gate).exists():
    time.sleep(0.05)
pipeline.run(parsed, store, progress=reporter(False), workers=0)
"""


def test_the_second_names_the_first_and_the_table_is_that_of_one(light, tiny, start, scored, tmp_path):
    """They meet in the store alone: without Ray, of which neither would see the other's, and without figures."""
    gates = [tmp_path / name for name in ("first", "second")]
    first, second = (start(tiny, scored, gate, *LIGHT, program=("-c", SCAN)) for gate in gates)
    gates[0].touch()
    until(first, "nulls:")
    first.send_signal(signal.SIGSTOP)  # or it might end before the second begins
    gates[1].touch()
    until(second, f"warning: process {first.pid} on {socket.gethostname()}, since ")
    first.send_signal(signal.SIGCONT)
    said = [process.communicate(timeout=2 * SECONDS)[0] for process in (second, first)]
    assert (second.returncode, first.returncode) == (0, 0), said
    assert not list((scored / "drivers").rglob("*.json"))
    (table,) = (scored / "tables").glob("*")
    assert table.name == light.name and table.read_bytes() == light.read_bytes()
    assert not (scored / "aside").exists()


def until(process, words: str) -> None:
    """Reads what it says, until a line begins so."""
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(words):
            return
    raise AssertionError("".join(said))


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
        end = time.monotonic() + 60
        while len(seen) < 3 and time.monotonic() < end:
            seen.add(store.kept(f"drivers/study/{socket.gethostname()}-{os.getpid()}.json", heartbeat.Owner).seen)
    assert len(seen) == 3
    assert len(warnings) == 1 and "process 7 on elsewhere, since " in warnings[0]
    assert store.list("drivers/study") == ["drivers/study/elsewhere-7.json"]
