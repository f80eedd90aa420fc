"""Share of electron-recoil background above the TS that 30 % of nuclear recoils reach: it knows no signal.

Electron recoils count as the study's backgrounds weigh them, nuclear ones alike at every true energy (keV) of the pool,
both within the study's windows. The papers quote the classifier's at the same acceptance (EPJC paper, section 3).
"""

import numpy as np

from engine.inference import jackknife
from engine.inference.exact.veto import NR_ACCEPTANCE
from engine.inference.pools import KINDS
from engine.inference.population import Population
from engine.plan.tune_plan import TunePlan
from engine.run.tuning.objectives import Measure

LARGER_IS_BETTER = False


def rank(plan: TunePlan, population: Population, signals: dict, R: float) -> float:
    """Minus the leakage."""
    return -_of(population, R, np.ones(len(population.pool.kind), bool))


def measure(plan: TunePlan, population: Population, signals: dict, R: float) -> Measure:
    """The leakage with its jack-knife error."""
    groups = population.pool.groups(jackknife.GROUPS)
    without = [_of(population, R, groups != group) for group in range(jackknife.GROUPS)]
    everything = np.ones(len(groups), bool)
    return Measure(_of(population, R, everything), jackknife.error(without))


def leakage(ts: np.ndarray, er_weights: np.ndarray, nr_weights: np.ndarray, acceptance: float) -> float:
    """Share of er_weights at or above the TS where the summed nr_weights reach `acceptance` of all; each (n,)."""
    falling = np.argsort(ts)[::-1]
    reached = np.cumsum(nr_weights[falling])
    cut = ts[falling][np.searchsorted(reached, acceptance * reached[-1])]
    return float(er_weights[ts >= cut].sum() / er_weights.sum())


def _of(population: Population, R: float, kept: np.ndarray) -> float:
    pool = population.pool
    nr = pool.kind == KINDS.index("NR")
    er_weights = np.where(nr, 0.0, population.weights.sum(axis=0))
    nr_weights = np.where(nr, 1 / pool.proposal_per_keV, 0.0)
    return leakage(population.ts[R][kept], er_weights[kept], nr_weights[kept], NR_ACCEPTANCE)
