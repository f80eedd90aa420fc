"""Several processes on one study, by its store alone: each unit is done once, and by another where one has died."""

import json
import os
import signal
import socket
import time

import pyarrow as pa
import pytest

from engine import study
from engine.errors import BadInput
from engine.run import pipeline, sharing
from engine.run.sharing import InShares, Share
from engine.store import heartbeat
from engine.store.heartbeat import Beat
from engine.store.parts import Failure, Part
from engine.store.store import Ledger, Store
from engine.store.units import Job, Unit, commit

ITEMS = [f"{number * 0x1234567:08x}{number:016x}" for number in range(24)]
OTHERS = [item for item in ITEMS if not Share(1, 3).has(Unit((), items=(item,)))]
SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=1000",
    "toys.null=1000", "toys.signal=1000", "toys.exact='none'", "grid.exposure_ty.values=[5]",
    "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-47]", "models.vae.epochs=1",
    "models.classifier.epochs=1", "limits.enabled=false",
)  # fmt: skip


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "POLL_S", 0.0)
    monkeypatch.setattr(sharing, "EACH_S", 0.0)
    return Store(str(tmp_path / "store"))


def part(item: str) -> Part:
    return Part(f"things/{item}.parquet", (item,), pa.table({"x": [1]}))


def shared(store: Store, number: int, of: int) -> tuple[InShares, list[str]]:
    """An executor of its own ledger, and the items that it made."""
    return InShares(Share(number, of), Ledger(store), Beat(store, "study")), []


def doing(executor: InShares, made: list[str], store: Store, items: list[str]):
    """Its way through a job, step by step, noted in the ledger as a scan does."""

    def work(item: str):
        made.append(item)
        yield part(item)

    for records in executor.do(Job(work, [Unit((item,), items=(item,)) for item in items], store, len(items))):
        executor.ledger.add(records)
        executor.ledger.flush()
        yield records


def owner(store: Store, pid: int, *items: str, seen: float | None = None) -> None:
    """The record of another process that is at work on these items."""
    now = seen or time.time()
    one = {"host": socket.gethostname(), "pid": pid, "started": now, "seen": now, "doing": items}
    store.put(f"{heartbeat.FOLDER}/study/{one['host']}-{pid}.json", json.dumps(one).encode())


def test_processes_that_live_do_each_unit_once(store):
    pairs = [shared(store, number, 3) for number in (1, 2, 3)]
    ways = [doing(executor, made, store, ITEMS) for executor, made in pairs]
    while ways:
        ways = [way for way in ways if next(way, None) is not None]
    made = [item for _, items in pairs for item in items]
    assert sorted(made) == sorted(ITEMS) and all(items for _, items in pairs)
    for executor, items in pairs:
        mine = [item for item in ITEMS if executor.part.has(Unit((), items=(item,)))]
        assert items[0] == mine[0], "each begins with its own share"
        assert set(executor.ledger.entries) == set(ITEMS), "and knows at the end what others made"


def test_one_alone_does_all(store):
    executor, made = shared(store, 2, 3)
    list(doing(executor, made, store, ITEMS))
    assert sorted(made) == sorted(ITEMS)


def test_what_another_is_at_work_on_is_waited_for(store):
    first, second, free = OTHERS[:3]
    executor, made = shared(store, 1, 3)
    owner(store, 1, first, second)
    way = doing(executor, made, store, [first, second, free])
    assert [len(next(way)) for _ in range(5)] == [1, 0, 0, 0, 0] and made == [free]
    other = Ledger(store)
    other.add(commit(store, [part(first)]))
    other.add([Failure((second,), "the second", "no answer")])
    other.flush()
    assert next(way, None) is None and made == [free], "nor is what has no answer tried again"
    assert executor.ledger.failures[second].reason == "no answer"


@pytest.mark.parametrize("record", [{"pid": 2**22 + 1}, {"pid": 1, "seen": time.time() - 2 * heartbeat.DEAD_S}])
def test_the_units_of_a_process_that_died_are_free(store, record):
    executor, made = shared(store, 1, 3)
    owner(store, record["pid"], *OTHERS, seen=record.get("seen"))
    list(doing(executor, made, store, OTHERS))
    assert sorted(made) == sorted(OTHERS)


def test_a_failure_of_another_day_is_tried_again(store):
    before = Ledger(store)
    before.add([Failure((ITEMS[0],), "the first", "no answer")])
    before.flush()
    executor, made = shared(store, 1, 2)
    list(doing(executor, made, store, ITEMS[:1]))
    assert made == ITEMS[:1]


def test_a_ledger_reads_what_others_note_and_nothing_twice(store):
    mine, other = Ledger(store), Ledger(store)
    entries = [commit(store, [part(item)]) for item in ITEMS[:2]]
    for ledger, some in ((mine, entries[0]), (other, entries[1])):
        ledger.add(some)
        ledger.flush()
    assert mine.refresh() == entries[1] and mine.refresh() == []
    assert set(mine.entries) == set(ITEMS[:2])


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "1/1001", "-1/2", "1 /2"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(BadInput, match="expected I/N, such as 2/4"):
        Share.parse(text)


def test_a_share_works_in_its_own_process(run_here, tiny):
    said = run_here("scan", tiny, "--share", "1/2", "--workers", 2, check=2).stderr
    assert said == "error: --share works in this process: no --address with it, and no --workers but 0\n"


def test_where_one_is_killed_the_other_ends_with_the_bytes_of_one_alone(start, tiny, tmp_path):
    words = [word for one in SMALL for word in ("--set", one)]
    second = start("scan", tiny, "--store", tmp_path / "store", "--share", "2/2", *words)
    here, store = study.load(str(tiny), SMALL), Store(str(tmp_path / "store"))
    records = (tmp_path / "store" / "drivers").glob
    while not any(json.loads(path.read_text())["content"]["doing"] for path in records("*/*")):
        assert second.poll() is None, second.communicate()
        time.sleep(0.05)
    os.kill(second.pid, signal.SIGKILL)
    second.wait()
    pipeline.run(here, Store(str(tmp_path / "alone")), workers=0)
    outcome = pipeline.run(here, store, workers=0, share=Share(1, 2))
    (table,), (alone,) = ((tmp_path / name / "tables").iterdir() for name in ("store", "alone"))
    assert (table.name, table.read_bytes()) == (alone.name, alone.read_bytes()) and not outcome.set_aside
