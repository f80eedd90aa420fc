"""A host that kills tasks for their memory: many cells are halved until they fit, one that never fits is named."""

import os
import subprocess
import sys

import pytest

# Run as a driver of its own, since the limit is read when Ray starts. A cell takes CELL_MB while its task lasts.
DRIVER = """
import sys, time
import numpy as np
from engine.cluster import fan_out as module
from engine.cluster.nodes import cluster
from engine.store.parts import Part
from engine.store.store import Store
from engine.store.units import Unit
from engine.errors import TaskFailed

module.Grain.size = 8


def hold(megabytes):
    held = [np.ones(n * 2**17) for n in megabytes]
    time.sleep(3)
    name = "-".join(map(str, megabytes))
    return [Part(f"cells/{len(held)}-{time.time_ns()}", tuple(map(str, megabytes)), b"x")]


store = Store(sys.argv[1])
with cluster(None, 1) as cpus:
    units = [Unit((), 600 + n, (str(600 + n),)) for n in range(8)]
    records = [record for some in module.fan_out(hold, units, store, cpus) for record in some]
    print("done", sorted(item for record in records for item in record.items))
    print("sizes", sorted(int(path.split("/")[1].split("-")[0]) for path in store.list("cells")))
    try:
        list(module.fan_out(hold, [Unit((), 6000, ("6000",), "the cell of 6 GB")], store, cpus))
    except TaskFailed as error:
        print("refused", error)
"""
LINES = {"done", "sizes", "refused"}
ALLOWED_MB = 2500  # above what is in use now


def used() -> tuple[float, float]:
    """Share of the machine's memory, about as Ray's monitor counts it, and all of it in MB."""
    with open("/proc/meminfo") as file:
        kB = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return 1 - kB["MemAvailable"] / kB["MemTotal"], kB["MemTotal"] / 1024


@pytest.mark.slow
def test_what_is_too_big_together_is_done_apart_and_what_is_too_big_alone_is_named(tmp_path):
    share, total_MB = used()
    limits = {
        "RAY_memory_usage_threshold": f"{share + ALLOWED_MB / total_MB:.3f}", "RAY_memory_monitor_refresh_ms": "100",
    }  # fmt: skip
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | limits, capture_output=True, text=True, timeout=400)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.split(" ")[0] in LINES)
    assert set(said) == LINES, done.stdout + done.stderr[-3000:]
    assert said["done"] == str([str(600 + n) for n in range(8)])
    assert said["sizes"] in ("[1, 1, 1, 1, 1, 1, 1, 1]", "[2, 2, 2, 2]", "[1, 1, 2, 2, 2]", "[1, 1, 1, 1, 2, 2]")
    assert said["refused"].startswith("the cell of 6 GB: needs more memory than its host has")
