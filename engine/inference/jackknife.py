"""How much of a result is the finite pool: groups of its events left out in turn (Shao & Tu 1995, section 1.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.inference.cells import Choice
from engine.inference.leakage import KNOWN
from engine.inference.population import Population
from engine.inference.significance import z_one_sided

GROUPS = 5


def error(replicates: Sequence[float]) -> float:
    """Delete-a-group jack-knife error of a value, from what it is without each of the groups, in its own unit."""
    return float(np.sqrt((len(replicates) - 1) * np.var(replicates)))


def replicates(
    population: Population, choice: Choice, signal_weights: np.ndarray, groups: int
) -> Iterator[tuple[Population, np.ndarray]]:
    """Without each of so many groups of both halves of the pool in turn: the population, and the signal's weights.

    signal_weights (pool,): selected signal events per t y; those of what is left have the same sum on average. Only
    the choice's score is kept, and f0 is made anew. The leakage is the nominal one: an average over it would take many
    times as long, and only make an error smaller, since what is open of the leakage does not move with the pool.
    """
    scores = {} if choice.R is None else {choice.R: population.ts[choice.R]}
    population = replace(population, ts=scores, leakage=KNOWN, laws={})
    for group in range(groups):
        kept = population.pool.groups(groups) != group
        yield population.without(group, groups), signal_weights[kept] * groups / (groups - 1)


def z_pool_error(
    population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float
) -> float | None:
    """Jack-knife error of the exact Z of the median, in sigma: f0, thresholds and laws anew without each group.

    signal_weights (pool,): selected signal events per t y at the point. None where a median experiment says nothing
    (p = 1) without some group.
    """
    without = replicates(population, choice, signal_weights, GROUPS)
    z = [_z(fewer, choice, signal, exposure_ty) for fewer, signal in without]
    return error(z) if np.isfinite(z).all() else None


def _z(population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float) -> float:
    laws = choice.laws(population.null(choice.R, exposure_ty))
    null, alternative = laws.distributions(population.signal(signal_weights) * exposure_ty)
    return z_one_sided(max(float(null.sf(np.array([alternative.median()]))[0]), null.smallest_p))
