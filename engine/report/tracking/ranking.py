"""The one row of a scan by which models are compared: how it is chosen, and the ground that it stands on."""

import math

import pyarrow as pa

from engine import lineage
from engine.assembly import results
from engine.plan.plan import Plan
from engine.report.tracking import Rank

PREFERRED = "tail_count"  # of the statistics that no monotone map of TS changes, the one with an exact law


def z(row: dict) -> float:
    """Z of the median experiment in a row: by the exact law where it is known, else by toys."""
    return row["z_median"] if row["z_exact"] is None else row["z_exact"]


def headline(plan: Plan, table: pa.Table) -> dict | None:
    """The row of the largest finite Z, over all R, at the benchmark and the largest exposure; None without a score.

    Of `tail_count` where the study has it; else of a statistic that no monotone map of TS changes, since models have
    TS of different units; else of any. None looks at the signal.
    """
    at, exposure_ty = plan.study.at, plan.study.grid.exposure_ty.points()[-1]
    place = at | {"exposure_ty": exposure_ty, "model_dependent": False}
    rows = [row for row in results.rows_at(table, place) if row["R"] is not None and math.isfinite(z(row))]
    return max(rows, key=lambda row: (row["statistic"] == PREFERRED, row["monotone_invariant"], z(row)), default=None)


def rank(plan: Plan, row: dict | None) -> Rank | None:
    """What the headline says of both models of a scan: they are judged as a pair."""
    if row is None:
        return None
    shards = plan.shards["pool"]
    return Rank(z(row), ground(plan, row), sum(shard.n_thrown for shard in shards))


def ground(plan: Plan, row: dict) -> str:
    """Digest of what Z depends on beside models and R: pool, background, signal, exposure, statistic."""
    study = plan.study
    fields = [study.backgrounds, plan.signal, study.at, row["exposure_ty"], row["statistic"],
             study.toys.statistic(row["statistic"])[1]]  # fmt: skip
    return lineage.digest("ground", 1, fields, [shard.item for shard in plan.shards["pool"]])[:12]
