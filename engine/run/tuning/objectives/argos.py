"""ARGOS (arXiv:2511.14832), a figure of merit that knows no signal: `engine.inference.merit`.

The background are electron recoils as the study's backgrounds weigh them, what takes the place of an anomaly nuclear
recoils alike at every true energy (keV) of the pool, both within the study's windows. Neutrinos' nuclear recoils are
left out: no score parts them from an anomaly, and a cut that no electron recoil passes would be judged by them alone.
"""

import numpy as np

from engine.inference import jackknife, merit
from engine.inference.pools import KINDS
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run.tuning.objectives import Measure

LARGER_IS_BETTER = True


def rank(plan: TunePlan, population: Population, signals: dict, R: float) -> float:
    """The merit."""
    return _of(population, R, np.ones(len(population.pool.kind), bool))


def measure(plan: TunePlan, population: Population, signals: dict, R: float) -> Measure:
    """The merit with its jack-knife error."""
    groups = population.pool.groups(jackknife.GROUPS)
    without = [_of(population, R, groups != group) for group in range(jackknife.GROUPS)]
    return Measure(_of(population, R, np.ones(len(groups), bool)), jackknife.error(without))


def _of(population: Population, R: float, kept: np.ndarray) -> float:
    pool = population.pool
    is_nr = pool.kind == KINDS.index("NR")
    er_weights = np.where(is_nr, 0.0, population.weights.sum(axis=0))
    nr_weights = np.where(is_nr, 1 / pool.proposal_per_keV, 0.0)
    return merit.argos(population.ts[R][kept], er_weights[kept], nr_weights[kept]).value
