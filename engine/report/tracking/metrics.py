"""Metrics of a scan for MLflow, in sections: the part of a name before `/` is the heading that it has in the UI."""

import math

from engine.assembly import results
from engine.inference.reach import FOUND
from engine.lineage import label, row_label
from engine.plan.plan import Plan
from engine.report.tracking import ranking
from engine.report.tracking.journal import Page
from engine.report.tracking.record import HEADLINE
from engine.run.pipeline import Outcome
from engine.stages import STAGES


def of_scan(plan: Plan, outcome: Outcome, best: dict | None) -> dict[str, float]:
    """The headline, every Z at the benchmark, how good the models are, reach and limits; what is not finite is left
    out."""
    study = plan.study
    made = headline(plan, outcome, best) if best else {}
    made |= {f"diagnostics/effective_events_{name}": n for name, n in outcome.population.effective_events().items()}
    for row in results.rows_at(outcome.table, study.at):
        exposure = f"{label(row['exposure_ty'])}ty"
        place = f"{row_label(row['statistic'], row['R'])}_{exposure}"
        made |= {f"z/{place}": row["z_median"], f"z/count_{exposure}": row["z_count"],
                 f"z/exact_{place}": row["z_exact"], f"z/seed_error_{place}": row["z_seed_error"]}  # fmt: skip
    for stage in STAGES:
        if hasattr(stage, "metrics"):
            made |= stage.metrics(outcome[stage.NAME], study)
    return finite(made)


def headline(plan: Plan, outcome: Outcome, row: dict) -> dict[str, float | None]:
    """Of the row that models are compared by: Z with its errors, where it is, and the exposure of three sigma there.

    Rounded as a table shows it: the same numbers in full are in the other sections.
    """
    reached = results.rows_at(outcome["reach"].table, plan.study.at | {name: row[name] for name in ("statistic", "R")})
    t3 = reached[0] if reached and reached[0]["status"] == FOUND else {}
    place = {"R": row["R"], "exposure_ty": row["exposure_ty"]} | plan.score_parameters
    return rounded({f"{HEADLINE}{name}": value for name, value in {
        "z": ranking.z(row), "z_error": row["z_pool_error"], "z_seed_error": row["z_seed_error"],
        "z_count": row["z_count"], "p": row["p_median"] if row["p_exact"] is None else row["p_exact"],
        "t3_ty": t3.get("t3_ty"), "t3_error_ty": t3.get("t3_error_ty"),
    }.items()}) | {f"{HEADLINE}{name}": value for name, value in place.items() if isinstance(value, float)}  # fmt: skip


def seconds(passes: list[Page]) -> dict[str, list[tuple[int, float]]]:
    """Time by stage, its step the number of the pass."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, page in enumerate(passes):
        for stage, time_s in (page.seconds | {"total": sum(page.seconds.values())}).items():
            curves.setdefault(f"seconds/{stage}", []).append((step, time_s))
    return curves


def rounded(made: dict[str, float | None]) -> dict[str, float]:
    """Those that are known and finite, to four digits."""
    return {name: float(f"{value:.4g}") for name, value in finite(made).items()}


def finite(made: dict[str, float | None]) -> dict[str, float]:
    """Those that are known and finite, as floats."""
    return {name: float(value) for name, value in made.items() if value is not None and math.isfinite(value)}
