"""Curves against mass for MLflow: their step is the mass's place in the grid, and `by_mass/m_chi_GeV` has the mass."""

import math

from engine.assembly import results
from engine.lineage import label, row_label
from engine.plan.plan import Plan
from engine.run.pipeline import Outcome

Curves = dict[str, list[tuple[int, float]]]


def curves(plan: Plan, outcome: Outcome, best: dict | None) -> Curves:
    """Z and p of every statistic, R and exposure at the grid's cross-section next to the benchmark's; the limits.

    `z` and `p` without more are those of the headline's row `best`, and have the same name in every scan. Nothing for a
    signal without a mass. A point that is not finite is left out.
    """
    if not plan.study.grid.m_chi_GeV:
        return {}
    size, limit = plan.study.signal.size.name, plan.study.signal.size.named("90")
    steps = {mass: step for step, mass in enumerate(plan.study.grid.m_chi_GeV.points())}
    series: Curves = {"m_chi_GeV": [(step, mass) for mass, step in steps.items()]}
    series[size] = [(0, value := nearest(plan))]
    for row in results.rows_at(outcome.table, {"point": "grid", size: value}):
        own = f"_{row_label(row['statistic'], row['R'])}_{label(row['exposure_ty'])}ty"
        is_best = best is not None and all(row[name] == best[name] for name in ("statistic", "R", "exposure_ty"))
        for name in (own, "") if is_best else (own,):
            _add(series, f"z{name}", steps[row["m_chi_GeV"]], row["z_median"])
            _add(series, f"p{name}", steps[row["m_chi_GeV"]], row["p_median"])
    for row in outcome["limits"].table.to_pylist():
        if row["m_chi_GeV"] in steps:
            name = f"limit_{limit}_{label(row['exposure_ty'])}ty"
            _add(series, name, steps[row["m_chi_GeV"]], row[limit])
    return {f"by_mass/{name}": points for name, points in series.items()}


def nearest(plan: Plan) -> float:
    """The grid's cross-section (cm2) that is nearest to the benchmark's by ratio; 0 only if there is no other."""
    at, sizes = plan.study.benchmark_signal.value, plan.study.grid.size.points()
    return min(sizes, key=lambda size: abs(math.log(size / at)) if size > 0 else math.inf)


def _add(series: Curves, name: str, step: int, value: float | None) -> None:
    if value is not None and math.isfinite(value):
        series.setdefault(name, []).append((step, value))
