"""The exposure from which on a search succeeds, where only toys say what a statistic does.

At every exposure toys of its own give the power at p = (k + 1) / (n + 1) (Davison & Hinkley 1997, section 4.2). The
exposure is doubled until the power is there, and the last step is halved in its logarithm. A dip behind that exposure,
which a statistic that is a count may have, is not looked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy

from engine.inference import coupled, jackknife
from engine.inference.cells import Choice, background_toys, signal_q
from engine.inference.population import Population
from engine.inference.reach import BELOW, BEYOND, FOUND, STRIDE, Aim
from engine.inference.significance import CENTRAL, clopper_pearson

PRECISION = 0.05  # relative, of the bracket that an exposure is the middle of
N_EXPECTED = 10  # null toys beyond the critical value: p is known to a third, and Z of 3 to 0.1
SPAN = 1.3  # factor in exposure to either side over which the slope is taken: far beyond what toys move it by


@dataclass(frozen=True)
class Power:
    """A power from toys, and bounds on it that include what the toys leave open of the critical value."""

    best: float
    low: float
    high: float


@dataclass(frozen=True)
class ToyReach:
    """An exposure with its interval, which the toys' errors give: at least 68.27 % of it.

    exposure_ty: inf beyond the range, its lower end where there is nothing below; low_ty, high_ty: None there, and
    where the power does not rise; checked_to_ty: the largest exposure at which the power was looked for; error_ty: of
    the finite pool, None where the interval is, and where it is not asked for.
    """

    status: str
    exposure_ty: float
    checked_to_ty: float
    low_ty: float | None = None
    high_ty: float | None = None
    error_ty: float | None = None


def least_null_toys(p: float) -> int:
    """The smallest number of null toys that resolve p."""
    return int(np.ceil(N_EXPECTED / p))


def most_beyond(p: float, n: int) -> tuple[int, int, int]:
    """How many of n null toys a critical value of p leaves at or above it at most: for (k + 1) / (n + 1) <= p, and
    for the lower and for the upper end of the interval of Clopper and Pearson from k, which is how few it needs for p
    to be surely no larger, and how many for it to be possibly so.
    """
    alpha = (1 - CENTRAL) / 2
    surely, possibly = scipy.stats.binom.ppf(alpha, n, p) - 1, scipy.stats.binom.isf(alpha, n, p)
    return int(np.floor(p * (n + 1) * (1 + 1e-12))) - 1, int(surely), int(possibly)


def power(q_null: np.ndarray, q_signal: np.ndarray, p: float) -> Power:
    """The share of signal toys that the null toys give p at most; q_null (n,) and q_signal (m,) in any order."""
    ranked = np.sort(q_null)
    beyond = len(ranked) - np.searchsorted(ranked, q_signal, side="left")
    n, (k, surely, possibly) = len(q_signal), most_beyond(p, len(ranked))
    best, low, high = (int(np.count_nonzero(beyond <= most)) for most in (k, surely, possibly))
    return Power(best / n, clopper_pearson(low, n)[0], clopper_pearson(high, n)[1])


@dataclass(frozen=True)
class _Ready:
    """Stands for a statistic's module where one null serves all blocks of toys: templates are made once."""

    statistic: object

    def prepare(self, null, options):
        """The statistic, whatever the null."""
        return self.statistic


def read(
    population: Population, choice: Choice, weights: np.ndarray, signal_key: tuple, exposure_ty: float, p: float,
    n_toys: tuple[int, int],
) -> Power:  # fmt: skip
    """The power of one statistic at one exposure; weights (pool,): selected signal events per t y; n_toys: without
    and with signal. The toys are those of a cell at this exposure, or would be."""
    n_null, n_signal = n_toys
    statistic = choice.prepare(population.null(choice.R, exposure_ty))
    ready = Choice(choice.R, _Ready(statistic), choice.options)
    (null,) = background_toys(population, exposure_ty, "null", [ready], n_null)
    q_signal = signal_q(population, weights, signal_key, exposure_ty, ready, n_signal)
    return power(statistic.q(null.n_events, null.totals), q_signal, p)


def search(reader: Callable[[float], Power], wanted: float, low_ty: float, high_ty: float) -> ToyReach:
    """Where in low ... high the power becomes what is wanted; `reader`: the power at an exposure."""
    at = cache(reader)
    below, above, checked_to_ty = _bracket(lambda t: at(t).best >= wanted, low_ty, high_ty)
    if np.isinf(above):
        return ToyReach(BEYOND, np.inf, high_ty)
    if above == low_ty:
        return ToyReach(BELOW, low_ty, low_ty)
    middle = float(np.sqrt(below * above))
    down, up = _steps(at, middle)
    if not np.isfinite(down + up):
        return ToyReach(FOUND, middle, checked_to_ty)
    ends = min(below, middle * np.exp(-down)), max(above, middle * np.exp(up))
    return ToyReach(FOUND, middle, checked_to_ty, *map(float, ends))


def find(
    population: Population, choice: Choice, weights: np.ndarray, signal_key: tuple, aim: Aim,
    range_ty: tuple[float, float], n_toys: tuple[int, int], groups: int | None = None,
) -> ToyReach:  # fmt: skip
    """The reach of one statistic by toys (see `read`), with the pool's error from so many groups of it, or without."""
    if n_toys[0] < (least := least_null_toys(aim.p)):
        raise ValueError(f"{n_toys[0]} null toys do not resolve p = {aim.p:g}; at least {least} do")
    at = cache(lambda t: read(population, choice, weights, signal_key, t, aim.p, n_toys))
    reach = search(at, aim.power, *range_ty)
    if groups is None or reach.low_ty is None:
        return reach
    moved = pool_moves(population, choice, weights, reach.exposure_ty, aim.p, n_toys, groups)
    return replace(reach, error_ty=reach.exposure_ty * jackknife.error(moved) / _slope(at, reach.exposure_ty))


def pool_moves(
    population: Population, choice: Choice, weights: np.ndarray, exposure_ty: float, p: float,
    n_toys: tuple[int, int], groups: int,
) -> np.ndarray:  # fmt: skip
    """(groups, ways) normal quantile of the power, templates and toys made anew without a group of the pool: replicates
    of a jack-knife (`jackknife.Replicate`).

    All from the same random numbers (`coupled`): left to themselves, toys would add twice their own error to it.
    """
    key, quantiles = (*population.stream_key, exposure_ty, "coupled"), []
    for replicate in jackknife.replicates(population, choice, weights, exposure_ty, groups):
        q_null = coupled.q_values(replicate.null, choice, None, n_toys[0], (*key, "null"))
        q = [coupled.q_values(null, choice, signal, n_toys[1], (*key, "with signal"))
             for null, signal in replicate.with_signal]  # fmt: skip
        quantiles.append([scipy.stats.norm.ppf(_inner(power(q_null, one, p))) for one in q])
    return np.array(quantiles)


def _bracket(passes: Callable[[float], bool], low_ty: float, high_ty: float) -> tuple[float, float, float]:
    """The first step of a stride at whose end it passes, halved until it is short; and that end.

    The upper of the two is the range's lower end where that passes, and inf where nothing does.
    """
    below = above = low_ty
    while not passes(above):
        if above == high_ty:
            return high_ty, np.inf, high_ty
        below, above = above, min(above * STRIDE, high_ty)
    end = above
    while above > below * (1 + PRECISION):
        middle = float(np.sqrt(below * above))
        below, above = (below, middle) if passes(middle) else (middle, above)
    return below, above, end


def _steps(at: Callable[[float], Power], exposure_ty: float) -> tuple[float, float]:
    """How far ln t may be off downwards and upwards: the power's bounds over its slope, both in normal quantiles.

    Quantiles of a power are nearly linear in ln t, and hold the bounds of a single reading. inf without a slope.
    """
    slope = _slope(at, exposure_ty)
    if slope <= 0:
        return np.inf, np.inf
    here = at(exposure_ty)
    low, best, high = scipy.stats.norm.ppf([here.low, _inner(here), here.high])
    return (high - best) / slope, (best - low) / slope


def _slope(at: Callable[[float], Power], exposure_ty: float) -> float:
    """Of the power's normal quantile, per ln t."""
    before, after = (scipy.stats.norm.ppf(_inner(at(exposure_ty * f))) for f in (1 / SPAN, SPAN))
    return float((after - before) / (2 * np.log(SPAN)))


def _inner(power: Power) -> float:
    """The power; where all toys or none succeed, the middle of its bounds, whose normal quantile is finite."""
    return power.best if 0 < power.best < 1 else (power.low + power.high) / 2
