"""How much of a result is the finite pool: groups of its events left out in turn (Shao & Tu 1995, section 1.2).

Two errors, of which a result has the larger. A forecast is off by what a pool does to null and signal together, and
much of that cancels. What an experiment claims is off by what it does to the null alone: data know nothing of the pool.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.inference.cells import Choice
from engine.inference.exact import Distribution
from engine.inference.hypothesis import Null
from engine.inference.population import Population
from engine.inference.significance import z_of_median

GROUPS = 5
DISAGREE = 3.0  # errors of a difference of two halves, each of which has the row's error


def error(replicates: Sequence[float] | np.ndarray) -> float:
    """Delete-a-group jack-knife error of a value, from what it is without each of the groups, in its own unit.

    replicates (groups,), or (groups, ways): the largest error of several ways to leave a group out.
    """
    return float(np.sqrt((len(replicates) - 1) * np.var(replicates, axis=0)).max())


@dataclass(frozen=True)
class Replicate:
    """null: without a group of either half; with_signal: what experiments with signal are drawn from, of the same
    statistic, and the expected signal (drawn events,): the same groups, and all of the half that toys draw from. Where
    the statistic is made for the signal, the first alone."""

    null: Null
    with_signal: list[tuple[Null, np.ndarray]]

    def laws(self, choice: Choice) -> tuple[Distribution, list[Distribution]]:
        """The law of q under background, and those with signal."""
        first, *others = (choice.prepare(null).distributions(signal) for null, signal in self.with_signal)
        return first[0], [first[1], *(alternative for _, alternative in others)]


def replicates(
    population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float, groups: int
) -> Iterator[Replicate]:
    """Without each of so many groups of the pool in turn; signal_weights (pool,): selected signal events per t y.

    Only the choice's score is kept, and f0 is made anew. The leakage is the nominal one: an average over it would take
    many times as long, and only make an error smaller, since what is open of the leakage does not move with the pool.
    """
    population = population.nominal(choice.R)
    whole, of_whole = population.null(choice.R, exposure_ty).drawn, population.signal(signal_weights) * exposure_ty
    for group in range(groups):
        kept, fewer = population.pool.groups(groups) != group, population.without(group, groups)
        null, signal = fewer.null(choice.R, exposure_ty), signal_weights[kept] * groups / (groups - 1)
        with_signal = [(null, fewer.signal(signal) * exposure_ty)]
        if not choice.module.MODEL_DEPENDENT:
            with_signal.append((replace(null, drawn=whole, stated=null.n_background), of_whole))
        yield Replicate(null, with_signal)


def z_pool_error(
    population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float
) -> float | None:
    """Jack-knife error of the exact Z of the median, in sigma: f0, thresholds and laws anew without each group.

    signal_weights (pool,): selected signal events per t y at the point. None where a median experiment says nothing
    (p = 1) without some group, or its p is only a bound.
    """
    z = []
    for replicate in replicates(population, choice, signal_weights, exposure_ty, GROUPS):
        null, alternatives = replicate.laws(choice)
        z.append([z_of_median(null, alternative) for alternative in alternatives])
    return None if any(None in of_group for of_group in z) else error(z)


def half_z_shift(
    population: Population, choice: Choice, signal_weights: np.ndarray, exposure_ty: float
) -> float | None:
    """Z of the median with signal if the half that f0 and thresholds are made of were the truth, minus that by the half
    that toys draw from; at the nominal leakage.

    None for a statistic that is made for the signal, and where either is a bound or says nothing.
    """
    if choice.module.MODEL_DEPENDENT:
        return None
    population = population.nominal(choice.R)
    null = population.null(choice.R, exposure_ty)
    own, alternative = choice.prepare(null).distributions(population.signal(signal_weights) * exposure_ty)
    other = choice.prepare(replace(null, drawn=null.reference, stated=null.n_background)).background
    z, z_other = (z_of_median(law, alternative) for law in (own, other))
    return None if z is None or z_other is None else z_other - z


def halves_disagree(half_z_shift: np.ndarray, z_pool_error: np.ndarray) -> np.ndarray:
    """Whether two halves differ by more than a row's error, which either has, explains; never where one is nan."""
    return np.abs(half_z_shift) > DISAGREE * np.sqrt(2) * np.asarray(z_pool_error)
