"""What a task does for one R: every statistic at every signal, from toys and from its exact law."""

import numpy as np

from engine import plugins, schemas
from engine.assembly import assemble, rows, scores
from engine.inference import cells
from engine.inference.cells import Choice
from engine.inference.jackknife import z_pool_error
from engine.inference.population import Population
from engine.inference.significance import z_one_sided
from engine.plan.plan import HYPOTHESES
from engine.plan.tune_plan import TunePlan
from engine.stages.work import exact_values
from engine.store.parts import Part

NO_TOYS = {"q_median": None, "p_median": None, "p_low": None, "p_high": None, "z_median": None, "tail": None,
           "half_shift": None, "n_toys_null": 0, "n_toys_signal": 0}  # fmt: skip
NO_LAW = {"p_exact": None, "z_exact": None, "exact_tail": None, "z_pool_error": None}


def trial(plan: TunePlan, population: Population, signals: dict[float | None, np.ndarray], R: float) -> list[Part]:
    """All rows of one R as one part. signals: weights (pool,) by mass, at the reference strength."""
    ts = scores.anomaly_score(population.pool.terms, plan.beta, R)
    population = population.with_scores({R: ts})
    choices = dict(zip(plan.statistics, assemble.choices(plan, plan.wanted_at(R)), strict=True))
    toys = _by_toys(plan, population, {name: one for name, one in choices.items() if one.module.ADDITIVE}, signals)
    laws = by_law(plan, population, {name: one for name, one in choices.items() if one.module.EXACT is True}, signals)
    _add_error(plan, population, choices[plan.tune.objective], signals, laws)
    item, found = plan.trial_item(R), []
    for point in plan.points:
        mass = point.m_chi_GeV
        describe = rows.Describer(plan, population, signals[mass], point.exposure_ty)
        for name in choices:
            found.append(describe.row(R, name, mass, point.size) | toys.get((mass, name), NO_TOYS)
                         | laws.get((mass, name), NO_LAW) | {"lineage": item})  # fmt: skip
    table = schemas.table(schemas.TRIALS, {name: [row[name] for row in found] for name in schemas.TRIALS.names})
    return [Part(f"trials/{item}.parquet", (item,), table)]


def _by_toys(plan: TunePlan, population: Population, choices: dict[str, Choice], signals: dict) -> dict[tuple, dict]:
    """What toys say, by mass and statistic."""
    if not choices:
        return {}
    exposure_ty, listed = plan.tune.exposure_ty, list(choices.values())
    drawn = [cells.background_toys(population, exposure_ty, name, listed, plan.n_toys(name)) for name in HYPOTHESES]
    spectrum = plugins.identity("engine.physics.spectra", plan.study.signal.name)
    numbers, found = plan.study.toys, {}
    for point in plan.points:
        scale = np.array([point.size / assemble.REFERENCE[plan.study.signal.axes[-1]]])
        (of_point,) = cells.signal_cells(
            population, signals[point.m_chi_GeV], (spectrum, point.m_chi_GeV), scale, exposure_ty,
            listed, *drawn, kde=numbers.tail == "kde",
        )  # fmt: skip
        for name, cell in zip(choices, of_point, strict=True):
            found[point.m_chi_GeV, name] = cell.columns | {
                "z_median": cell.significance.z, "n_toys_null": numbers.null, "n_toys_signal": numbers.signal,
            }  # fmt: skip
    return found


def by_law(plan: TunePlan, population: Population, choices: dict[str, Choice], signals: dict) -> dict[tuple, dict]:
    """What the exact laws say, by mass and statistic: columns of `schemas.TRIALS`."""
    exposure_ty, found = plan.tune.exposure_ty, {}
    for name, choice in choices.items():
        statistic = choice.prepare(population.null(choice.R, exposure_ty))
        for point in plan.points:
            weights = signals[point.m_chi_GeV] * (point.size / assemble.REFERENCE[plan.study.signal.axes[-1]])
            values = exact_values(*statistic.distributions(population.signal(weights) * exposure_ty), None)
            found[point.m_chi_GeV, name] = {
                "p_exact": values["p_exact"], "exact_tail": values["exact_tail"],
                "z_exact": z_one_sided(values["p_exact"]), "z_pool_error": None,
            }  # fmt: skip
    return found


def _add_error(plan: TunePlan, population: Population, choice: Choice, signals: dict, laws: dict) -> None:
    """The objective's jack-knife error, at the signal where this R does worst; the others are spared its laws."""
    name = plan.tune.objective
    worst = min((point.m_chi_GeV for point in plan.points), key=lambda mass: laws[mass, name]["z_exact"])
    laws[worst, name]["z_pool_error"] = worst_error(plan, population, choice, signals, worst)


def worst_error(
    plan: TunePlan, population: Population, choice: Choice, signals: dict, m_chi_GeV: float | None
) -> float | None:
    """Jack-knife error of a statistic's exact Z at the signal of this mass."""
    (point,) = (point for point in plan.points if point.m_chi_GeV == m_chi_GeV)
    weights = signals[m_chi_GeV] * (point.size / assemble.REFERENCE[plan.study.signal.axes[-1]])
    return z_pool_error(population, choice, weights, plan.tune.exposure_ty)
