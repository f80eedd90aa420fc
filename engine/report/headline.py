"""A finished scan in a few lines: what was simulated, what searches say of it, and how sure that is."""

import math

from engine.assembly import battery_rows, foresight, results
from engine.lineage import row_label
from engine.report import audit, results_page
from engine.report.tracking import ranking
from engine.run.pipeline import Outcome
from engine.study import Study
from engine.study.battery import COMBINED


def lines(outcome: Outcome) -> tuple[str, ...]:
    """Of a battery what the search is blind to; else of the benchmark at the largest exposure, by the statistic that
    models are ranked by (`tracking.ranking`), and by all others that the study has."""
    row, battery = chosen(outcome), outcome["battery"].table
    if len(battery):  # a study of many signals is not about the benchmark
        return _simulated(outcome, row), battery_rows.answer(battery), _sure(outcome, row)
    return _simulated(outcome, row), _found(outcome, row), *_others(outcome, row), _sure(outcome, row)


def chosen(outcome: Outcome) -> dict:
    """The row of the table that the headline is about; of a study that ranks none, the largest Z without a model."""
    plan = outcome.plan
    best = ranking.headline(plan, outcome.table)
    if best is not None:
        return best
    rows = results.rows_at(outcome.table, plan.study.at | {"exposure_ty": plan.study.grid.exposure_ty.points()[-1]})
    return max(rows, key=lambda row: (not row["model_dependent"], math.isfinite(ranking.z(row)), ranking.z(row)))


def remarks(outcome: Outcome) -> list[str]:
    """What one must know before quoting a number, a line each."""
    study = outcome.plan.study
    classifiers, limits = outcome["diagnostics"].table, audit.lines(outcome.table, study.at)
    return [*audit.above_floor(classifiers), *audit.tied(classifiers), *limits, *foresight.remarks(study)]


def place(study: Study) -> str:
    """The benchmark in words."""
    size, benchmark = study.signal.size, study.benchmark_signal
    of_size = f"{benchmark.value:g} {size.unit}" if size.unit else f"{size.name} {benchmark.value:g}"
    return f"{benchmark.m_chi_GeV:g} GeV, {of_size}" if size.has_mass else of_size


def _simulated(outcome: Outcome, row: dict) -> str:
    study, exposure_ty, battery = outcome.plan.study, row["exposure_ty"], outcome["battery"].table
    if len(battery):
        signals = len(battery_rows.signals(battery))
        return (f"Simulated: {study.detector.name}, {row['n_background'] / exposure_ty:.4g} background events per t y "
                f"expected and selected, and {signals} signals, of which none but the oracles is told.")  # fmt: skip
    n_background = float(f"{row['n_background']:.4g}")  # 37720, not 3.772e+04
    return (f"Simulated: {study.detector.name}, {exposure_ty:g} t y: {n_background:g} background events are "
            f"expected and selected, and {row['n_signal']:.3g} of {study.signal.name} at {place(study)}.")  # fmt: skip


def _found(outcome: Outcome, row: dict) -> str:
    study, z = outcome.plan.study, results_page.significance(row)
    told = results.rows_at(outcome["reach"].table, study.at | {"statistic": row["statistic"], "R": row["R"]})
    poor = " (too few pool events behind it)" if row["pool_limited"] else ""
    t3 = "" if not told else f"; exposure for three sigma in t y: {results_page.exposure(told[0]).rstrip('*')}"
    return (f"Median experiment: {row_label(row['statistic'], row['R'])} has Z "
            f"{'' if z.startswith('>') else '= '}{z.rstrip('*')}{poor}, "
            f"the count alone {row['z_count']:.2f}{t3}{_limit(outcome, row['exposure_ty'])}.")  # fmt: skip


def _others(outcome: Outcome, chosen: dict) -> list[str]:
    """Z of the study's other statistics at the same R and exposure, and of all of them as one test: those first that
    know no signal and do not move with the unit of TS."""
    at = outcome.plan.study.at | {"exposure_ty": chosen["exposure_ty"]}
    rows = [row for row in results.rows_at(outcome.table, at)
            if row["statistic"] != chosen["statistic"] and row["R"] in (chosen["R"], None)]  # fmt: skip
    rows.sort(key=lambda row: (row["model_dependent"], not row["monotone_invariant"], row["statistic"]))
    said = [f"all of them as one test, '{COMBINED}', {'> ' if row['tail'] == 'bound' else ''}{row['z_median']:.2f}"
            for row in results.rows_at(outcome["combined"].table, at)]  # fmt: skip
    said += [f"{row['statistic']} {results_page.significance(row)}{_caveat(row)}" for row in rows]
    return [f"Z of the other searches in such an experiment: {', '.join(said)}."] if said else []


def _caveat(row: dict) -> str:
    if row["model_dependent"]:
        return " (told the signal)"
    return "" if row["monotone_invariant"] else " (moves with the unit of TS)"


def _limit(outcome: Outcome, exposure_ty: float) -> str:
    """The median limit at the benchmark's mass and this exposure, where the study has any."""
    size, at = outcome.plan.study.signal.size, (outcome.plan.study.benchmark_signal.m_chi_GeV, exposure_ty)
    for row in outcome["limits"].table.to_pylist():
        if (row["m_chi_GeV"], row["exposure_ty"]) == at and (limit := row[size.named("90")]) is not None:
            error = row[size.named("90_error")]
            spread = "" if error is None else f" +- {error:.2g} by the number of toys"
            poor = "; not to be quoted: too few pool events behind it" if row["pool_limited"] else ""
            words = f"; a search told the signal has a median limit of {limit:.3g} {size.unit}".rstrip()
            return f"{words} (90 % CL{spread}{poor})"
    return ""


def _sure(outcome: Outcome, row: dict) -> str:
    backgrounds, n = outcome.plan.study.backgrounds, len(remarks(outcome))
    audited = "the audit has no remark" if n == 0 else f"the audit has {n} remark{'s' if n > 1 else ''}"
    by = "Z by an exact law" if row["z_exact"] is not None else f"Z by {row['n_toys_null']} toys"
    if len(outcome["battery"].table):
        by = "exposures by exact laws"
    beside = audit.over_floor(outcome["diagnostics"].table)
    leaks = "".join(f"; at 30 % of nuclear recoils the {role} lets {times} times the electron recoils of the floor "
                    f"through, a small network on cS1, cS2 and drift time" for role, times in beside.items())
    return (f"How sure: {by}, +- is the finite pool's error; rates {backgrounds.rates.replace('_', ' ')}; "
            f"{results_page.leakage(row['er_leakage'], backgrounds)}{leaks}; {audited}.")  # fmt: skip
