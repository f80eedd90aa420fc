"""Whole scans that are interrupted once and twice, stopped and continued, or that meet others in their store: the table
has the bytes of an undisturbed scan, and no process is left."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scanned import SECONDS, computed
from studies import TINY

from engine.run.status import status
from engine.store.store import Ledger, Store
from engine.study import load

pytestmark = pytest.mark.slow
STOPPED_S = 20.0
TABLES = ("tables", "limit_tables", "diagnostic_tables")


def arguments(store: Path, workers: int) -> tuple:
    return "-m", "engine", "scan", TINY, "--store", store, "--workers", workers


def check(store: Path, reference) -> None:
    """The tables of the undisturbed scan, and nothing missing."""
    for folder in TABLES:
        made, wanted = ({path.name: path.read_bytes() for path in (one / folder).iterdir()}
                        for one in (store, reference.store))  # fmt: skip
        assert made == wanted
    found = status(load(str(TINY)), Store(str(store)))
    assert (found.missing, found.corrupt) == (0, [])


def finish(scans, store: Path, workers: int) -> str:
    again = scans.start(*arguments(store, workers))
    assert again.wait(SECONDS) == 0, scans.said(again)
    return scans.said(again)


@pytest.mark.parametrize(("stage", "workers"), [("events", 2), ("scores", 0), ("cells", 2), ("diagnostics", 0)])
def test_an_interrupt_keeps_what_was_finished(scans, reference, tmp_path, stage, workers):
    scan = scans.start(*arguments(tmp_path / "store", workers))
    scans.until(scan, f"{stage}: ")
    os.killpg(scan.pid, signal.SIGINT)  # as a terminal does
    assert scan.wait(60) == 130
    *_, last = scans.said(scan).splitlines()
    assert last.startswith("interrupted; what was finished is kept. Resume with: recoilscan scan")
    assert "Traceback" not in scans.said(scan) and not list((tmp_path / "store" / "drivers").rglob("*.json"))
    known = len(Ledger(Store(str(tmp_path / "store"))).entries)
    made, total, corrupt = computed(finish(scans, tmp_path / "store", workers))
    assert (made, corrupt) == (total - known, 0) or made < total - known  # orphans of tasks that were under way
    check(tmp_path / "store", reference)


@pytest.mark.parametrize("workers", [0, 2])
def test_two_interrupts_end_it_at_once(scans, reference, tmp_path, workers):
    scan = scans.start(*arguments(tmp_path / "store", workers))
    scans.until(scan, "scores: ")
    scan.send_signal(signal.SIGINT)
    time.sleep(0.05)
    scan.send_signal(signal.SIGINT)
    assert scan.wait(30) == 130
    assert "Traceback" not in scans.said(scan) and "interrupted" in scans.said(scan)
    finish(scans, tmp_path / "store", workers)
    check(tmp_path / "store", reference)


def test_a_scan_that_is_stopped_for_a_while_goes_on(scans, reference, tmp_path):
    scan = scans.start(*arguments(tmp_path / "store", 2))
    for stage in ("scores", "cells"):
        scans.until(scan, f"{stage}: ")
        scan.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        scan.send_signal(signal.SIGCONT)
    assert scan.wait(SECONDS) == 0, scans.said(scan)
    assert "corrupt 0" in scans.said(scan)
    check(tmp_path / "store", reference)


def test_three_at_once_in_one_store(scans, reference, tmp_path):
    three = [scans.start(*arguments(tmp_path / "store", 1 if i else 0)) for i in range(3)]
    assert [scan.wait(SECONDS) for scan in three] == [0, 0, 0], [scans.said(scan)[-2000:] for scan in three]
    assert not (tmp_path / "store" / "aside").exists()
    check(tmp_path / "store", reference)


OTHER_KERNEL = {"OPENBLAS_CORETYPE": "Prescott"}  # as of a processor of 2004, whose sums end in other digits


def test_two_kinds_of_processors_in_one_store(scans, tmp_path):
    """Neither dies nor undoes what the other does, and a third finds nothing to do."""
    store = tmp_path / "store"
    both = [scans.start(*arguments(store, 0)), scans.start(*arguments(store, 0), **OTHER_KERNEL)]
    assert [scan.wait(SECONDS) for scan in both] == [0, 0], [scans.said(scan)[-2000:] for scan in both]
    assert not (store / "aside").exists() and len(list((store / "tables").iterdir())) == 1
    assert computed(finish(scans, store, 0))[::2] == (0, 0)
    for folder in ("cells", "tables"):
        path = sorted((store / folder).iterdir())[0]
        path.write_bytes(path.read_bytes()[:-40])
    assert scans.start(*arguments(store, 0), **OTHER_KERNEL).wait(SECONDS) == 0
    assert computed(finish(scans, store, 0))[::2] == (0, 0)


def test_threads_change_no_byte_and_another_kernel_the_last_digits(scans, reference, tmp_path):
    settings = {"threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}, "kernel": OTHER_KERNEL}
    for name, environment in settings.items():
        scan = scans.start(*arguments(tmp_path / name, 0), **environment)
        assert scan.wait(SECONDS) == 0, scans.said(scan)
    check(tmp_path / "threads", reference)
    (table,) = (tmp_path / "kernel" / "tables").iterdir()
    mine, theirs = pq.read_table(table), pq.read_table(reference.table)
    assert table.name == reference.table.name and mine.schema == theirs.schema
    for column in mine.column_names:
        if pa.types.is_floating(mine.schema.field(column).type):
            found, wanted = (one[column].to_numpy() for one in (mine, theirs))
            np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-12, err_msg=column)
        else:
            assert mine[column].equals(theirs[column])


def test_a_worker_that_is_killed_or_stopped_in_a_users_scan(scans, reference, tmp_path):
    scan = scans.start(*arguments(tmp_path / "store", 2))
    for stage, number in (("scores", signal.SIGKILL), ("cells", signal.SIGSTOP)):
        scans.until(scan, f"{stage}: ")
        if (pid := _worker(scans)) is None:
            continue
        with suppress(ProcessLookupError):  # it has ended in between
            os.kill(pid, number)
            if number == signal.SIGSTOP:
                time.sleep(STOPPED_S)
                os.kill(pid, signal.SIGCONT)
    assert scan.wait(SECONDS) == 0, scans.said(scan)
    check(tmp_path / "store", reference)


def _worker(scans) -> int | None:
    """A process that works for a task, once there is one."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                at_work = (folder / "cmdline").read_bytes().startswith(b"ray::_attempt")
                mine = f"={scans.mark}".encode() in (folder / "environ").read_bytes()
            except OSError:  # it has just ended
                continue
            if at_work and mine:
                return int(folder.name)
        time.sleep(0.02)
    return None
