"""How much of a significance is the finite pool: groups of pool events left out in turn."""

from dataclasses import replace

import numpy as np

from engine.inference.cells import Choice
from engine.inference.population import Population
from engine.inference.significance import z_one_sided

GROUPS = 5


def z_pool_error(
    population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float
) -> float | None:
    """Delete-a-group jack-knife error of the exact Z of the median, in sigma (Shao & Tu 1995, section 1.2).

    Each replicate makes f0, thresholds and laws anew without a fifth of both halves of the pool.
    signal_weights (pool,): selected signal events per t y at the point. None where a median experiment says nothing
    (p = 1) without some group.
    """
    scores = {} if choice.R is None else {choice.R: population.ts[choice.R]}
    population = replace(population, ts=scores, laws={})
    z = [_z(population, choice, signal_weights, exposure_ty, group) for group in range(GROUPS)]
    return float(np.sqrt((GROUPS - 1) * np.var(z))) if np.isfinite(z).all() else None


def _z(population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float, group: int) -> float:
    kept = population.pool.groups(GROUPS) != group
    fewer = population.without(group, GROUPS)
    statistic = choice.prepare(fewer.null(choice.R, exposure_ty))
    signal = fewer.signal(signal_weights[kept] * GROUPS / (GROUPS - 1)) * exposure_ty
    null, alternative = statistic.distributions(signal)
    return z_one_sided(max(float(null.sf(np.array([alternative.median()]))[0]), null.smallest_p))
