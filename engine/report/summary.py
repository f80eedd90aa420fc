"""A finished scan in lines: models, pool, the benchmark by every statistic, and what was asked beside the grid."""

from collections.abc import Iterator

from engine.assembly import results
from engine.lineage import row_label
from engine.report import audit
from engine.run import refine
from engine.run.pipeline import Outcome
from engine.stages import diagnostics as report
from engine.stages import limits, reach, systematics

UNITS = {"m_chi_GeV": "{:g} GeV", "sigma_si_cm2": "{:g} cm2", "strength": "strength {:g}"}


def lines(outcome: Outcome) -> Iterator[str]:
    """Every line, in the order to read them in."""
    at = outcome.plan.study.at
    yield from report.lines(outcome.diagnostics)
    sizes = outcome.population.effective_events()
    yield "effective pool events: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    yield from _benchmark(outcome)
    yield from refine.lines(outcome.plan, outcome.table)
    yield from reach.lines(outcome.reach)
    yield from limits.lines(outcome.limits, at.get("m_chi_GeV"))
    yield from (f"audit: {line}" for line in audit.lines(outcome.table, at))
    yield from systematics.lines(outcome.systematics)


def _benchmark(outcome: Outcome) -> Iterator[str]:
    at = outcome.plan.study.at
    place = ", ".join(UNITS[name].format(value) for name, value in at.items())
    for row in results.rows_at(outcome.table, at):
        yield (
            f"{place}, {row['exposure_ty']:g} t y: {row_label(row['statistic'], row['R'])} "
            f"p = {row['p_median']:.3g} [{row['p_low']:.3g}, {row['p_high']:.3g}] "
            f"Z = {row['z_median']:.2f} ({row['tail']}{_exact(row)}), count alone Z = {row['z_count']:.2f}"
        )


def _exact(row: dict) -> str:
    if row["z_exact"] is None:
        return ""
    seed = "" if row["z_seed_error"] is None else f" +- {row['z_seed_error']:.2f} (seed)"
    return f"; exact Z {'>' if row['exact_tail'] == 'bound' else '='} {row['z_exact']:.2f}{seed}"
