"""Curves against mass for MLflow: their step is the place of the mass in the grid, and `m_chi_GeV` has the mass."""

import math

from engine.assembly import results
from engine.lineage import label, row_label
from engine.plan.plan import Plan
from engine.run.pipeline import Outcome

Curves = dict[str, list[tuple[int, float]]]


def curves(plan: Plan, outcome: Outcome) -> Curves:
    """Z and p of every statistic, R and exposure at the grid's cross-section next to the benchmark's; the limits.

    Nothing for a signal without a mass. A point that is not finite is left out.
    """
    if not plan.study.grid.m_chi_GeV:
        return {}
    size, limit = plan.study.signal.size.name, plan.study.signal.size.named("90")
    steps = {mass: step for step, mass in enumerate(plan.study.grid.m_chi_GeV.points())}
    series: Curves = {"m_chi_GeV": [(step, mass) for mass, step in steps.items()]}
    series[f"curves_{size}"] = [(0, value := nearest(plan))]
    for row in results.rows_at(outcome.table, {"point": "grid", size: value}):
        name = f"by_mass_{row_label(row['statistic'], row['R'])}_{label(row['exposure_ty'])}ty"
        _add(series, f"z_{name}", steps[row["m_chi_GeV"]], row["z_median"])
        _add(series, f"p_{name}", steps[row["m_chi_GeV"]], row["p_median"])
    for row in outcome["limits"].table.to_pylist():
        if row["m_chi_GeV"] in steps:
            name = f"limit_{limit}_by_mass_{label(row['exposure_ty'])}ty"
            _add(series, name, steps[row["m_chi_GeV"]], row[limit])
    return series


def nearest(plan: Plan) -> float:
    """The grid's cross-section (cm2) that is nearest to the benchmark's by ratio; 0 only if there is no other."""
    at, sizes = plan.study.benchmark_signal.value, plan.study.grid.size.points()
    return min(sizes, key=lambda size: abs(math.log(size / at)) if size > 0 else math.inf)


def _add(series: Curves, name: str, step: int, value: float | None) -> None:
    if value is not None and math.isfinite(value):
        series.setdefault(name, []).append((step, value))
