"""An estimate as it is read: a table of stages, and how each number came about."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.table import Table

from engine.estimate.estimate import Estimate


def as_json(found: Estimate) -> str:
    """For machines: all stages, and the sums."""
    return json.dumps(asdict(found) | {"core_h": found.core_h, "n_bytes": found.n_bytes})


def table(found: Estimate) -> Table:
    """One row a stage."""
    rows = Table("stage", "items", "done", "missing", "tasks", "core time", "to write")
    for stage in found.stages:
        numbers = stage.items, stage.done, stage.items - stage.done, stage.tasks
        rows.add_row(stage.name, *map(str, numbers), f"{stage.core_s:.3g} s", words(stage.n_bytes))
    return rows


def words(n_bytes: float) -> str:
    """Bytes as one reads them."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"


def lines(found: Estimate) -> Iterator[str]:
    """What stands below the table of stages."""
    for stage in found.stages:
        if stage.how:
            yield f"{stage.name}: estimated by {stage.how}"
    yield f"stored already: {words(found.stored_bytes)}; to be written: about {words(found.n_bytes)}"
    yield (f"about {found.core_h:.3g} core-hours; beside them every process of a scan takes some "
           f"{found.start_up_s:.0f} s to load, and the driver {found.driver_s:.0f} s to read the pool")  # fmt: skip
    yield f"measured in {found.measured_s:.0f} s; tables, which take seconds, are not; nothing was written"
