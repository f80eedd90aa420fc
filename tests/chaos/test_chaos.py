"""Real processes killed at random: the table has the bytes of an undisturbed scan, no row is lost or there twice."""

import io
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

N_CELLS = 120
ROUND_S = 240.0  # a round takes some ten seconds; beyond this, it hangs
KINDS = ("worker", "raylet", "driver")


@dataclass
class Round:
    """One scan to its end, with kills when so many cells have been worked on."""

    hosts: object
    drive: object
    folder: Path
    kills: list[tuple[int, str, int]]  # after how many cells, what, which one
    starts: int = 0
    stalls_s: list[float] = field(default_factory=list)

    def run(self) -> bytes:
        """The table's bytes."""
        self.driver, end, todo = self.start(), time.monotonic() + ROUND_S, sorted(self.kills)
        seen, moved = 0, time.monotonic()
        while self.driver.poll() != 0:
            assert time.monotonic() < end, f"no end: {self.worked()} cells worked on, {todo} to kill"
            if self.driver.poll() is not None:
                assert self.starts < 2 + len(self.kills), "a driver that nobody killed ended"
                self.driver = self.start()
            if (now := self.worked()) > seen:
                self.stalls_s.append(time.monotonic() - moved)
                seen, moved = now, time.monotonic()
            if todo and now >= todo[0][0]:
                self.kill(*todo.pop(0)[1:])
            time.sleep(0.02)
        (table,) = (self.folder / "store" / "tables").iterdir()
        return table.read_bytes()

    def start(self):
        """One more driver on the same store."""
        self.starts += 1
        return self.drive(self.folder / "store", N_CELLS)

    def worked(self) -> int:
        """Cells that a worker began, those done twice counted twice."""
        log = self.folder / "worked.txt"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def kill(self, kind: str, which: int) -> None:
        """One of KINDS."""
        if kind == "worker":
            self.hosts.kill_worker(which)
        elif kind == "raylet":
            self.hosts.kill_raylet(which)
        elif kind == "gcs":
            self.hosts.restart_gcs(down_s=2.0)
        else:
            self.driver.send_signal(signal.SIGKILL)
            self.driver.wait()

    @property
    def recomputed(self) -> int:
        """Cells that were begun more than once, each time counted."""
        return self.worked() - N_CELLS


def rows(table: bytes) -> list[int]:
    """The cells that a table has, in its order."""
    return pq.read_table(io.BytesIO(table))["number"].to_pylist()


def check(one: Round, table: bytes, undisturbed: bytes, record_property) -> None:
    """The bytes of an undisturbed scan, every row once; says what the kills cost."""
    assert rows(table) == list(range(N_CELLS))
    assert table == undisturbed
    record_property("recomputed", one.recomputed)
    record_property("longest_stall_s", round(max(one.stalls_s), 1))
    kinds = ", ".join(kind for _, kind, _ in sorted(one.kills))
    print(f"\n{kinds}: {one.recomputed} of {N_CELLS} cells again, longest stall {max(one.stalls_s):.1f} s, "
          f"{one.starts} drivers")  # fmt: skip


def test_a_few_kills_cost_time_and_no_row(hosts, drive, tmp_path, undisturbed, record_property):
    kills = [(20 + 25 * i, kind, i) for i, kind in enumerate(("worker", "driver", "raylet", "worker"))]
    one = Round(hosts, drive, tmp_path, kills)
    check(one, one.run(), undisturbed, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_whatever_dies_whenever_the_table_is_the_same(hosts, drive, tmp_path, undisturbed, record_property, seed):
    rng = np.random.default_rng(seed)
    kills = [(int(rng.integers(1, N_CELLS - 10)), str(rng.choice(KINDS)), int(rng.integers(100)))
             for _ in range(rng.integers(2, 6))]  # fmt: skip
    one = Round(hosts, drive, tmp_path, kills)
    check(one, one.run(), undisturbed, record_property)


@pytest.mark.slow
def test_the_heads_memory_dies_and_comes_back(hosts, drive, tmp_path, undisturbed, record_property):
    one = Round(hosts, drive, tmp_path, [(30, "gcs", 0), (60, "worker", 1)])
    check(one, one.run(), undisturbed, record_property)
