"""What a search makes of fitted models: one number without beta in it, at the R of the grid that serves it best.

An ELBO contains beta, so that comparing it across beta says nothing; an objective looks at the order of events by TS
alone, which no monotone map of TS changes. Each is a file of this package with

- `LARGER_IS_BETTER`;
- `rank(plan, population, signals, R)` -> float, large where this R is good: by it R is chosen;
- `measure(plan, population, signals, R)` -> `Measure`, at the R that was chosen.

The population holds the scores of this R; signals: weights (pool,) by mass, at the reference of the signal's size, or
of `battery` its `Anomalies`.
An objective that is the name of a statistic is `worst_z`.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from engine import plugins
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.study.tune import ARGOS, BATTERY, ER_LEAKAGE, T3


@dataclass(frozen=True)
class Measure:
    """The value of an objective, its jack-knife error from the finite pool, and the mass where it is worst."""

    value: float
    error: float | None
    m_chi_GeV: float | None = None


def of(name: str) -> ModuleType:
    """The objective that a study means."""
    module = name if name in plugins.names(__name__) else "worst_z"
    return importlib.import_module(f"{__name__}.{module}")


def best_R(plan: TunePlan, population: Population, signals: dict, objective: ModuleType) -> tuple[float, Population]:
    """The R of the grid with the largest rank, and the population with its scores.

    Of equal ones that of the study, if it is one of them, else the middle one.
    """
    points = plan.tune.R.points()
    ranks = np.array([objective.rank(plan, scored(plan, population, R), signals, R) for R in points])
    equal = np.flatnonzero(ranks == ranks.max())
    own = [points[i] for i in equal if points[i] in plan.study.score.R]
    R = own[0] if own else points[int(equal[(len(equal) - 1) // 2])]
    return R, scored(plan, population, R)


def scored(plan: TunePlan, population: Population, R: float) -> Population:
    """The population with the scores of this R."""
    return population.with_scores({R: plan.ts(population.pool.terms, R)})


def words(plan: TunePlan) -> str:
    """What the objective of a study is, for a column."""
    tune = plan.tune
    named = {ER_LEAKAGE: "er_leakage", ARGOS: "argos", T3: f"t3 of {tune.t3_of} (t y)",
             BATTERY: f"battery: median t3 of {tune.t3_of} over the oracle's"}  # fmt: skip
    return named.get(tune.objective, f"worst Z of {tune.objective} (sigma)")
