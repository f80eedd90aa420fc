"""What a finished tuning leaves behind: words, the study with the best values, the figure, records for MLflow."""

import math
from dataclasses import dataclass

import numpy as np
import tomlkit

from engine import lineage, plots
from engine.plan.search_plan import SearchPlan
from engine.plan.tune_plan import WEIGHT, TunePlan
from engine.plots import search, weight
from engine.report.tracking import Record
from engine.report.tracking.journal import environment, in_words
from engine.run.tuning.rungs import cell, is_study
from engine.run.tuning.search import Tuned
from engine.run.tuning.trials import objective
from engine.store.parts import Part, encode
from engine.study.tune import BATTERY, ER_LEAKAGE


@dataclass(frozen=True)
class BestR:
    """The R whose objective is largest, and the R around it that are as good within the objective's own error.

    Between R_low and R_high no trial lies more than `error` below the best; the ends are where a line between trials
    (in log R) falls below that, or the ends of the grid. `error` is the jack-knife's, of the finite pool, at the signal
    that the best R serves worst. Two R share their pool, so that their difference is better known than that: the
    interval is a cautious one.
    """

    R: float
    R_low: float
    R_high: float
    objective: float
    error: float
    m_chi_GeV: float | None


def best_R(tuned: Tuned) -> BestR:
    """Of a scan over R."""
    tune, table = tuned.plan.tune, tuned.table
    parts = {R: table.filter(np.equal(table["R"].to_numpy(), R)) for R in table["R"].unique().to_pylist()}
    return interval({R: objective(part, tune.objective) for R, part in parts.items()}, tuned.best[WEIGHT])


def interval(of_weight: dict[float, tuple[float, float | None, float | None]], best: float) -> BestR:
    """The best R with its interval, of all trials: R -> (objective, error, mass)."""
    weights = sorted(of_weight)
    values, chosen = np.array([of_weight[R][0] for R in weights]), weights.index(best)
    value, error, mass = of_weight[best]
    error = np.inf if error is None else error
    R, level = np.array(weights), value - error
    low, high = (_reach(R[side], values[side], level) for side in (slice(chosen, None, -1), slice(chosen, None)))
    return BestR(best, low, high, value, error, mass)


def _reach(R: np.ndarray, values: np.ndarray, level: float) -> float:
    """Where the values, which begin at or above the level, first fall below it; the last R if they never do."""
    below = np.flatnonzero(values < level)
    if not len(below):
        return float(R[-1])
    after, before = below[0], below[0] - 1
    share = (values[before] - level) / (values[before] - values[after])  # 0 towards a Z of -inf
    return float(R[before] * (R[after] / R[before]) ** share)


def words(tuned: Tuned) -> str:
    """The best values with the error of their objective, and how the other trials ended."""
    return _words_of_fields(tuned) if isinstance(tuned.plan, SearchPlan) else _words_of_R(tuned)


def _words_of_R(tuned: Tuned) -> str:
    best, points = best_R(tuned), tuned.plan.tune.R.points()
    ends = [f"{best.R_low:.3g}" + (" or less" if best.R_low == points[0] else ""),
            f"{best.R_high:.3g}" + (" or more" if best.R_high == points[-1] else "")]  # fmt: skip
    at = "" if best.m_chi_GeV is None else f", at {best.m_chi_GeV:g} GeV"
    own = kept_R(tuned)
    kept = "" if own in (None, best.R) else f"; the study's R = {own:.4g} ties with it within that error, and is kept"
    return (f"best R = {best.R:.4g} [{' to '.join(ends)}]: worst Z of {tuned.plan.tune.objective} = "
            f"{best.objective:.2f} +- {best.error:.2f}{at}{kept}")  # fmt: skip


def kept_R(tuned: Tuned) -> float | None:
    """The R of the study that ties with the best within its error, the largest if several do; None if none does."""
    best = best_R(tuned)
    return max((R for R in tuned.plan.study.score.R if best.R_low <= R <= best.R_high), default=None)


def _rows(tuned: Tuned) -> tuple[list[dict], dict]:
    """All trials of a search, and the best of them."""
    rows = tuned.table.to_pylist()
    return rows, next(row for row in rows if row["best"])


def _words_of_fields(tuned: Tuned) -> str:
    rows, best = _rows(tuned)
    values = ", ".join(f"{key} = {cell(value)}" for key, value in tuned.best.items())
    states = [row["state"] for row in rows]
    others = ", ".join(f"{n} {state}" for state in ("pruned", "diverged") if (n := states.count(state)))
    first = "" if rows[0]["best"] else f"; first trial: {_objective(rows[0])}"
    return (f"best of {len(rows)} trials{f' ({others})' if others else ''}: {values}, R = {best['R']:.4g}: "
            f"{best['objective_is']} = {_objective(best)}{first}{_ties(tuned, rows, best)}")  # fmt: skip


def _ties(tuned: Tuned, rows: list[dict], best: dict) -> str:
    """How many trials the error of the best cannot tell apart, and whether the study stays as it is for that."""
    n = sum(bool(row["ties"]) for row in rows)
    kept = ", the study as it is among them, which is kept" if is_study(tuned.plan, tuned.best) else ""
    return f"; {n} trials tie within the error of the best one{kept}" if n > 1 else ""


def _objective(row: dict) -> str:
    if row["objective"] is None:
        return row["state"]
    at = "" if row["m_chi_GeV"] is None else f" at {row['m_chi_GeV']:g} GeV"
    error = "" if row["objective_error"] is None else f" +- {row['objective_error']:.2g}"
    value = "beyond the range" if math.isinf(row["objective"]) else f"{row['objective']:.4g}"
    return f"{value}{error}{at}"


def tuned_on(tuned: Tuned) -> str:
    """What was chosen and on which signals, for the rows of the study that uses it."""
    plan = tuned.plan
    if not isinstance(plan, SearchPlan):
        return f"R: {signals(plan)}, worst {plan.tune.objective}, on a pool of its own"
    names = ", ".join(["R", *(dimension.key for dimension in plan.dimensions)])
    if not plan.tune.ranked_by:
        where = " at 30 % of nuclear recoils" if plan.tune.objective == ER_LEAKAGE else ""
        return f"{names}: {plan.tune.objective}{where}, on a pool of its own"
    where = signals(plan)
    if plan.tune.objective == BATTERY:
        where = f"{len(plan.study.battery.signals)} signals of the battery"
    return f"{names}: {where}, {_rows(tuned)[1]['objective_is']}, on a pool of its own"


def signals(plan: TunePlan) -> str:
    """What is tuned on: the spectrum, its masses and size, the exposure."""
    size, points = plan.study.signal.size, plan.points
    masses = [f"{point.m_chi_GeV:g}" for point in points if point.m_chi_GeV is not None]
    value = f"{points[0].size:g}"
    signal = f"{', '.join(masses)} GeV at {value} {size.unit}" if masses else f"{size.name} {value}"
    return f"{plan.study.signal.name}, {signal}, {plan.tune.exposure_ty:g} t y"


def study_text(tuned: Tuned, study: tomlkit.TOMLDocument) -> str:
    """The study as it was written (`engine.study.document`), with the best values and what it was tuned on."""
    changed = tomlkit.parse(tomlkit.dumps(study))
    is_search = isinstance(tuned.plan, SearchPlan)
    best = _rows(tuned)[1]["R"] if is_search else kept_R(tuned) or tuned.best[WEIGHT]
    changed.setdefault("score", tomlkit.table())["R"] = [best]
    for key, value in tuned.best.items() if is_search else ():
        _, name, field = key.split(".")
        models = changed.setdefault("models", tomlkit.table(is_super_table=True))
        if name not in models:
            models[name] = {"name": tuned.plan.study.models[name].name}
        models[name][field] = list(value) if isinstance(value, tuple) else value
    changed.pop("tuned_on", None)
    head = tomlkit.dumps({"tuned_on": tuned_on(tuned)})
    return f"# tuned: {words(tuned)}\n{head}{tomlkit.dumps(changed)}"


def files(tuned: Tuned, study: tomlkit.TOMLDocument, format: str = "png") -> dict[str, bytes]:
    """The figure and the study by file name."""
    size = tuned.plan.study.signal.size
    if isinstance(tuned.plan, SearchPlan):
        axes = {d.key: None if d.space.choices else d.space.log is not None for d in tuned.plan.dimensions}
        name, figure = "objective_against_fields", search.objective_against_fields(tuned.table, axes, tuned_on(tuned))
    else:
        best = best_R(tuned)
        name, figure = "p_against_R", weight.p_against_R(tuned.table, size, (best.R, best.R_low, best.R_high))
    return {f"{name}.{format}": plots.render(figure, format), "tuned.toml": study_text(tuned, study).encode()}


def records(name: str, tuned: Tuned, files: dict[str, bytes]) -> list[Record]:
    """The tuning as one run; of a search with a run for each trial in it."""
    is_search = isinstance(tuned.plan, SearchPlan)
    metrics, curves, children = (_of_search if is_search else _of_scan)(name, tuned)
    stage = "search" if is_search else "tune"
    chosen = {f"best.{key}": value for key, value in tuned.best.items()} if is_search else {}
    parameters = tuned.plan.tune.model_dump(mode="json") | {"tuned_on": tuned_on(tuned)} | chosen
    data = encode(Part("table.parquet", (tuned.item,), tuned.table))
    tags = {"stage": stage, "study": name} | in_words(environment())
    title = f"{name}: {'search' if is_search else 'tuning of R'} by {tuned.plan.tune.objective}"
    return [Record(
        tuned.item, title, parameters, _finite(metrics), curves,
        files | {"table.parquet": data}, tags, children=children,
    )]  # fmt: skip


def _of_scan(name: str, tuned: Tuned) -> tuple[dict, dict, tuple]:
    """The curve by the number of the trial in rising R."""
    best, of_weight = best_R(tuned), {row["R"]: row["objective"] for row in tuned.table.to_pylist()}
    metrics = {"best_R": best.R, "best_R_low": best.R_low, "best_R_high": best.R_high,
               "objective": best.objective, "objective_error": best.error}  # fmt: skip
    curve = [(step, value) for step, value in enumerate(of_weight.values()) if math.isfinite(value)]
    return metrics, {"objective_by_R": curve}, ()


def _of_search(name: str, tuned: Tuned) -> tuple[dict, dict, tuple]:
    rows, best = _rows(tuned)
    metrics = {key: best[key] for key in ("objective", "objective_error", "er_leakage")} | {"best_R": best["R"]}
    curve = [(row["trial"], row["objective"]) for row in rows if row["objective"] is not None]
    finite = [(step, value) for step, value in curve if math.isfinite(value)]
    return metrics, {"objective_by_trial": finite}, tuple(_trial(name, tuned, row) for row in rows)


def _trial(name: str, tuned: Tuned, row: dict) -> Record:
    values = {dimension.key: row[dimension.key] for dimension in tuned.plan.dimensions}
    metrics = {key: row[key] for key in ("objective", "objective_error", "R", "er_leakage")}
    return Record(
        lineage.digest("trial", 1, row["trial"], [tuned.item]), f"{name}: trial {row['trial']}",
        values | {"state": row["state"], "objective_is": row["objective_is"], "epochs": row["epochs"]},
        _finite(metrics), {}, {}, {"stage": "trial", "study": name} | in_words(environment()),
    )  # fmt: skip


def _finite(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
