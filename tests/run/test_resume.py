"""Killed at any moment, and with any number of workers: a scan ends with the bytes of an undisturbed one."""

import time

import pytest
from scanned import computed, run_scan, tracked
from studies import LIGHT

from engine import study
from engine.run import pipeline
from engine.run.status import Status, status
from engine.store.store import Store

KILLS = [[(1, "events", 0.3), (2, "cells", 0.0)], [(2, "scores", 0.1)]]


def of(tiny, store, settings: tuple[str, ...]) -> Status:
    return status(study.load(str(tiny), settings), Store(str(store)))


def kill(process, stage: str, store, delay_s: float) -> None:
    """The driver alone, while this stage runs."""
    for line in process.stdout:
        if line.startswith(f"{stage}:"):
            break
    while not list((store / stage).glob("*")):  # the stage's first part
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(delay_s)
    process.kill()
    process.wait()
    time.sleep(2)  # orphaned workers see the driver's end and stop; one may still commit what it has in hand


@pytest.mark.slow
def test_one_worker_gives_the_bytes_of_two(reference, tiny, tmp_path):
    """A cluster with one CPU gives these bytes in tests/k8s/test_launch_jobs.py, too."""
    outcome = pipeline.run(study.load(str(tiny)), Store(str(tmp_path / "one")), workers=1)
    assert (tmp_path / "one" / "tables" / reference.table.name).read_bytes() == reference.table.read_bytes()
    assert sum(outcome.computed.values()) == computed(reference.log)[1]


def test_a_driver_that_is_killed_resumes_to_the_same_bytes(light, tiny, scored, start, run_here, undrawn):
    """With two workers, while they make cells of a store in which the rest is there; it goes on without Ray."""
    words = [word for one in LIGHT for word in ("--set", one)]
    check(light, tiny, scored, start, [(2, "cells", 0.0)],
          lambda: run_here("scan", tiny, "--store", scored, "--workers", 0, *words).stdout, LIGHT)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kills", KILLS)
def test_a_driver_that_is_killed_again_and_again_resumes_to_the_same_bytes(reference, tiny, tmp_path, start, kills):
    store = tmp_path / "store"
    check(reference.table, tiny, store, start, kills, lambda: run_scan(tiny, store, "--workers", 2))


def check(table, tiny, store, start, kills, resume, settings: tuple[str, ...] = ()) -> None:
    """Each kill is after so many seconds of a stage's first part, with so many workers."""
    done, words = [0], [word for one in settings for word in ("--set", one)]
    for workers, stage, delay_s in kills:
        kill(start("scan", tiny, "--store", store, "--workers", workers, *words), stage, store, delay_s)
        found = of(tiny, store, settings)
        assert found.done > done[-1] and found.missing and not found.corrupt and not found.by_stage["tables"].done
        done.append(found.done)
    made, total, corrupt = computed(resume())
    assert 0 < made <= total - done[-1] < total and corrupt == 0
    assert (store / "tables" / table.name).read_bytes() == table.read_bytes()
    client, runs = tracked(store)
    (scan,) = (run for run in runs if run.data.tags["stage"] == "scan")  # the killed ones', gone on with
    assert scan.info.status == "FINISHED" and len(runs) == 3
    progress = [point.step for point in client.get_metric_history(scan.info.run_id, "progress")]
    assert len(set(progress)) == len(progress) and max(progress) == total
