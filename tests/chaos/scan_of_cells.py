"""A scan whose cells are a wait and a few random numbers: run as a driver, which may be killed at any time.

usage: scan_of_cells.py ADDRESS STORE LOG N_CELLS; without an ADDRESS, "", in this process and without the wait.
LOG has a line for every cell that was worked on: number and process.
"""

import os
import sys
import time

import pyarrow as pa

from engine import lineage
from engine.progress import Silent
from engine.run import executors
from engine.run.state import Run
from engine.store.parts import Part
from engine.store.store import Ledger, Store
from engine.store.units import Unit

CELL_S = 0.1


def digest(number: int) -> str:
    return lineage.digest("cells", 1, number)


def work(log: str, cell_s: float, numbers: list[int]) -> list[Part]:
    rows = []
    for number in numbers:
        note(log, number)
        time.sleep(cell_s)
        rows.append({"lineage": digest(number), "number": number, "x": lineage.stream("chaos", number).random()})
    items = tuple(row["lineage"] for row in rows)
    return [Part(f"cells/{lineage.digest('bundle', 1, items)}.parquet", items, pa.Table.from_pylist(rows))]


def note(log: str, number: int) -> None:
    """One short write to a file opened for appending is never torn."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{number} {os.getpid()}\n".encode())
    os.close(descriptor)


class Asked:
    """As much of a plan as a pass over it looks at: these items by folder, which no stage makes."""

    def __init__(self, **beside: list[str]):
        self.beside = beside

    @staticmethod
    def has(stage: str) -> bool:
        return False


def main(address: str, uri: str, log: str, n_cells: int) -> None:
    executors.AT_ONCE = 1  # a part for every cell, as a cluster's first tasks have
    store, cells = Store(uri), {digest(number): number for number in range(n_cells)}
    table = lineage.digest("table", 1, list(cells))
    executor = executors.executor(address or None, None if address else 0)
    run = Run(Asked(cells=list(cells), tables=[table]), store, Ledger(store), Silent(), executor)
    try:
        run.repair()
        run.compute(
            "cells", list(cells), work,
            lambda missing: [Unit((log, CELL_S * bool(address)), number, (item,), f"cell {number}")
                             for item, number in cells.items() if item in missing],
        )  # fmt: skip
        if table not in run.ledger.entries:
            run.commit(Part(f"tables/{table}.parquet", (table,), run.ledger.rows(list(cells), "lineage")))
    finally:
        run.executor.close()


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
