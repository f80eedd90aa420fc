"""A trial of a scan over R: every statistic at every signal, from toys and from its exact law."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine import schemas
from engine.assembly import population as assembled
from engine.assembly import rows
from engine.cluster.sampler import Objective, Trial
from engine.inference import cells
from engine.inference.cells import Choice
from engine.inference.jackknife import z_pool_error
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.inference.teststats import has_toys
from engine.plan.plan import HYPOTHESES
from engine.plan.tune_plan import WEIGHT, TunePlan, Values
from engine.run import pipeline
from engine.run.state import Run
from engine.stages.exact import values as exact_values
from engine.store.parts import Part

NAME, STALLS = "trials", True
NO_TOYS = {"q_median": None, "p_median": None, "p_low": None, "p_high": None, "z_median": None, "tail": None,
           "half_shift": None, "n_toys_null": 0, "n_toys_signal": 0}  # fmt: skip
NO_LAW = {"p_exact": None, "z_exact": None, "exact_tail": None, "z_pool_error": None}


@dataclass(frozen=True)
class TrialInputs:
    """What all trials share. signals: weights (pool,) by mass, at the reference of the signal's size."""

    plan: TunePlan
    population: Population
    signals: dict[float | None, np.ndarray]


def prepare(run: Run) -> TrialInputs:
    """Simulates, fits and scores a pool of its own."""
    pipeline.score(run)
    pool = assembled.population(run.plan, run.ledger, "tune", ())
    return TrialInputs(run.plan, pool, assembled.signals(run.plan, pool, run.plan.points))


def group(plan: TunePlan) -> None:
    """A trial fits nothing: it is one task."""
    return None


def n_rungs(plan: TunePlan) -> int:
    """A trial is evaluated once."""
    return 1


def fits(plan: TunePlan, values: Values) -> set[str]:
    """Items of the models that a trial fits: none."""
    return set()


def arguments(run: Run, values: Values, rung: int) -> tuple:
    """What `work` is given beside the inputs."""
    return (values[WEIGHT],)


def work(inputs: TrialInputs, R: float) -> list[Part]:
    """All rows of one R as one part."""
    plan, signals = inputs.plan, inputs.signals
    population = inputs.population.with_scores({R: plan.ts(inputs.population.pool.terms, R)})
    choices = dict(zip(plan.statistics, assembled.choices(plan, plan.wanted_at(R)), strict=True))
    toys = _by_toys(plan, population, {name: one for name, one in choices.items() if has_toys(one.module)}, signals)
    laws = by_law(plan, population, {name: one for name, one in choices.items() if one.module.EXACT is True}, signals)
    _add_error(plan, population, choices[plan.tune.objective], signals, laws)
    item, made = plan.trial_item({WEIGHT: R}, 0), []
    for point in plan.points:
        mass = point.m_chi_GeV
        expectation = rows.Expectation(plan, population, signals[mass], point.exposure_ty)
        for name in choices:
            made.append(expectation.row(R, name, point.size) | toys.get((mass, name), NO_TOYS)
                        | laws.get((mass, name), NO_LAW)
                        | {"m_chi_GeV": mass, "statistic": name, "lineage": item})  # fmt: skip
    return [Part(f"{NAME}/{item}.parquet", (item,), schemas.of_rows(schemas.TRIAL, made))]


def _by_toys(plan: TunePlan, population: Population, choices: dict[str, Choice], signals: dict) -> dict[tuple, dict]:
    """What toys say, by mass and statistic."""
    if not choices:
        return {}
    exposure_ty, listed = plan.tune.exposure_ty, list(choices.values())
    drawn = [cells.background_toys(population, exposure_ty, name, listed, plan.n_toys(name)) for name in HYPOTHESES]
    numbers, columns = plan.study.toys, {}
    for point in plan.points:
        signal = plan.signal_at(point)
        (of_point,) = cells.signal_cells(
            population, signals[point.m_chi_GeV], signal.key, np.array([signal.scale]), exposure_ty,
            listed, *drawn, kde=numbers.tail == "kde",
        )  # fmt: skip
        for name, cell in zip(choices, of_point, strict=True):
            columns[point.m_chi_GeV, name] = cell.columns | {
                "z_median": cell.significance.z, "n_toys_null": numbers.null, "n_toys_signal": numbers.signal,
            }  # fmt: skip
    return columns


def by_law(plan: TunePlan, population: Population, choices: dict[str, Choice], signals: dict) -> dict[tuple, dict]:
    """What the exact laws say, by mass and statistic: columns of `schemas.TRIAL`."""
    exposure_ty, columns = plan.tune.exposure_ty, {}
    for name, choice in choices.items():
        laws = choice.laws(population.null(choice.R, exposure_ty))
        for point in plan.points:
            weights = signals[point.m_chi_GeV] * plan.signal_at(point).scale
            values = exact_values(*laws.distributions(population.signal(weights) * exposure_ty), None)
            columns[point.m_chi_GeV, name] = {
                "p_exact": values["p_exact"], "exact_tail": values["exact_tail"],
                "z_exact": z_one_sided(values["p_exact"]), "z_pool_error": None,
            }  # fmt: skip
    return columns


def _add_error(plan: TunePlan, population: Population, choice: Choice, signals: dict, laws: dict) -> None:
    """The objective's jack-knife error, at the signal where this R does worst; the others are spared its laws."""
    name = plan.tune.objective
    worst = min((point.m_chi_GeV for point in plan.points), key=lambda mass: laws[mass, name]["z_exact"])
    if laws[worst, name]["exact_tail"] == "exact":
        laws[worst, name]["z_pool_error"] = worst_error(plan, population, choice, signals, worst)


def worst_error(
    plan: TunePlan, population: Population, choice: Choice, signals: dict, m_chi_GeV: float | None
) -> float | None:
    """Jack-knife error of a statistic's exact Z at the signal of this mass."""
    (point,) = (point for point in plan.points if point.m_chi_GeV == m_chi_GeV)
    weights = signals[m_chi_GeV] * plan.signal_at(point).scale
    return z_pool_error(population, choice, weights, plan.tune.exposure_ty)


def objective(trial: pa.Table, statistic: str) -> tuple[float, float | None, float | None]:
    """(worst Z over the signals, its error, the mass of that signal) of one R."""
    of_statistic = trial.filter(pc.field("statistic") == statistic).to_pylist()
    worst = min(of_statistic, key=lambda row: row["z_exact"])
    return worst["z_exact"], worst["z_pool_error"], worst["m_chi_GeV"]


def evaluated(plan: TunePlan, trial: pa.Table) -> Objective:
    """The objective, as the sampler takes it."""
    return Objective(None, objective(trial, plan.tune.objective)[0])


def reason(trial: pa.Table) -> str:
    """Why a trial did not end: there is none that does not."""
    return "no reason given"


def chosen(plan: TunePlan, ended: list[Trial], parts: list[pa.Table], best: Trial) -> Trial:
    """The best: whether an R of the study ties with it, the interval around it says, which is no trial's."""
    return best


def table(plan: TunePlan, ended: list[Trial], parts: list[pa.Table], best: Trial) -> pa.Table:
    """All trials in rising R, with what the choice among them stands on."""
    grid, name, made = plan.tune.R.points(), plan.tune.objective, []
    point_of = {point.m_chi_GeV: point for point in plan.points}
    for R, trial in {one.values[WEIGHT]: part for one, part in zip(ended, parts, strict=True)}.items():
        value, _, _ = objective(trial, name)
        of_trial = {"objective": value, "origin": "grid" if R in grid else "tpe", "best": R == best.values[WEIGHT]}
        for row in trial.to_pylist():
            joined = rows.joined(plan, point_of[row["m_chi_GeV"]], R, row["statistic"])
            made.append(row | joined | of_trial | {"is_objective": row["statistic"] == name})
    order = [(column, "ascending") for column in ("R", "m_chi_GeV", "statistic")]
    return schemas.of_rows(schemas.tuned(plan.study.signal.size), made).sort_by(order)
