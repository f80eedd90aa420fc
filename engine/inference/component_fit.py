"""Rates of background components, and perhaps one option of their events, fitted to a list in (cS1, log10 cS2).

An extended, binned likelihood with the study's priors of the rates (Gaussian, as toys draw them), in columns of equal
expectation in cS1, each in bins of cS2 by the quantiles of what is expected, finer in its tails. What is expected of a
bin is linear in the rates, and a polynomial in the option.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from scipy import optimize, special

from engine.inference import profile
from engine.inference.density import weighted_quantiles
from engine.inference.population import Population
from engine.inference.profile import Groups

EVENTS_PER_COLUMN, COLUMNS = 50.0, (2, 20)  # expected events of a column; fewest and most columns
QUANTILES = tuple(special.ndtr(np.arange(-2.5, 2.6, 0.25)))  # of cS2 in a column: steps of a quarter of its sigma
FLOOR = 1e-6  # of the mean expectation: of a bin that no event was thrown in
ONE_SIGMA = 0.5  # of -ln L
DEGREE = 5  # of what is expected of a bin in the option that is fitted
LOOKS = 24  # values of it at which the minimum is first sought


@dataclass(frozen=True)
class Bins:
    """Edges in cS1 (columns - 1,), and in cS2 of each column (columns, bins - 1), in PE."""

    cs1_pe: np.ndarray
    cs2_pe: np.ndarray

    @property
    def n(self) -> int:
        """Columns times bins in each."""
        return len(self.cs2_pe) * (self.cs2_pe.shape[1] + 1)

    def counts(self, cs1_pe: np.ndarray, cs2_pe: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """(bins,) events, or the sum of their weights."""
        column = np.searchsorted(self.cs1_pe, cs1_pe)
        row = (cs2_pe[:, None] > self.cs2_pe[column]).sum(axis=1)
        return np.bincount(column * (self.cs2_pe.shape[1] + 1) + row, weights, self.n).astype(np.float64)


def bins(population: Population, exposure_ty: float) -> Bins:
    """The bins that suit what is expected of a population."""
    pool, weights = population.pool, population.weights.sum(axis=0)
    n = int(np.clip(weights.sum() * exposure_ty / EVENTS_PER_COLUMN, *COLUMNS))
    edges = weighted_quantiles(pool.cs1_pe, weights, tuple(np.arange(1, n) / n))
    column = np.searchsorted(edges, pool.cs1_pe)
    mine = [column == i for i in range(n)]
    return Bins(edges, np.array([weighted_quantiles(pool.cs2_pe[m], weights[m], QUANTILES) for m in mine]))


@dataclass(frozen=True)
class Templates:
    """Expected events per bin of groups of components, as polynomials in the option that is fitted.

    coefficients (terms, groups, bins): of Legendre polynomials over `ends`, the option's range; one term without any.
    """

    groups: Groups
    coefficients: np.ndarray
    ends: tuple[float, float] | None = None

    def at(self, value: float | None) -> np.ndarray:
        """(groups, bins) at a value of the option."""
        if self.ends is None:
            return self.coefficients[0]
        low, high = self.ends
        return np.maximum(legendre.legval((2 * value - low - high) / (high - low), self.coefficients), 0.0)


def templates(
    population: Population,
    exposure_ty: float,
    of: Bins,
    component: str | None = None,
    moved: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None,
) -> Templates:
    """Of a population; `moved`: by many values of the option cS1, cS2 and weights per t y of what `component` has then.

    A polynomial through them all is smooth where the noise of each would be mistaken for what the option does.
    """
    areas = population.pool.cs1_pe, population.pool.cs2_pe
    fixed = {name: of.counts(*areas, weights) for name, weights in zip(population.names, population.weights,
                                                                      strict=True)}  # fmt: skip
    groups = profile.nuisances(population.names, population.relative_uncertainty)
    rows = [fixed] if moved is None else [fixed | {component: of.counts(*one)} for one in moved.values()]
    expected = exposure_ty * np.array([groups.member @ np.array(list(row.values())) for row in rows])
    if moved is None:
        return Templates(groups, expected)
    values, shape = np.array(list(moved)), expected.shape[1:]
    ends = float(values.min()), float(values.max())
    x = (2 * values - ends[0] - ends[1]) / (ends[1] - ends[0])
    return Templates(groups, legendre.legfit(x, expected.reshape(len(x), -1), DEGREE).reshape(-1, *shape), ends)


@dataclass(frozen=True)
class FittedRates:
    """Factors on the rates of the groups, and the option's value, that a list is likeliest at.

    factor, error (groups,): the error is the curvature of -ln L (observed Fisher information), the option's included;
    low, high: where -ln L, with the rates profiled, is half above its minimum: None where that is beyond the option's
    range; covariance (parameters, parameters): of the factors, then of the option if there is one.
    """

    groups: Groups
    factor: np.ndarray
    covariance: np.ndarray
    expected: np.ndarray
    minus_ln_l: float
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> np.ndarray:
        """(groups,)"""
        return np.sqrt(np.diag(self.covariance)[: len(self.factor)])

    @cached_property
    def total(self) -> tuple[float, float]:
        """Expected events of all groups at the best fit, and their error with all correlations of the rates."""
        k, n = len(self.factor), self.expected
        return float(self.factor @ n), float(np.sqrt(n @ self.covariance[:k, :k] @ n))


def fit(of: Templates, counts: np.ndarray) -> FittedRates:
    """The likeliest rates, and value of the option, of counts (bins,).

    A factor at zero has the error that its prior and the bound leave: it is not Gaussian.
    """
    if of.ends is None:
        factor, best = _rates(of, counts, None)
        return FittedRates(of.groups, factor, _covariance(of, counts, factor), of.at(None).sum(axis=1), best)

    def profiled(value: float) -> float:
        return _rates(of, counts, value)[1]

    value, best = _minimum(profiled, np.linspace(*of.ends, LOOKS))
    factor = _rates(of, counts, value)[0]
    low, high = (_crossing(profiled, best + ONE_SIGMA, value, end) for end in of.ends)
    made = FittedRates(of.groups, factor, _covariance(of, counts, factor, value), of.at(value).sum(axis=1), best)
    return replace(made, value=value, low=low, high=high)


def _rates(of: Templates, counts: np.ndarray, value: float | None) -> tuple[np.ndarray, float]:
    expected = of.at(value)
    return profile.fit(_rows(expected), counts, expected.sum(axis=1), of.groups.relative_sd)


def _rows(expected: np.ndarray) -> np.ndarray:
    """(bins, groups), with something of the first group in bins that no event was thrown in."""
    rows = expected.T.copy()
    empty = rows.sum(axis=1) <= 0
    rows[empty, int(np.argmax(expected.sum(axis=1)))] = FLOOR * expected.sum() / expected.shape[1]
    return rows


def _minimum(of: Callable[[float], float], values: np.ndarray) -> tuple[float, float]:
    """Where a function is smallest between the first and the last of the values, and how small."""
    at = int(np.argmin(known := [of(value) for value in values]))
    around = values[max(at - 1, 0)], values[min(at + 1, len(values) - 1)]
    found = optimize.minimize_scalar(of, bounds=around, method="bounded", options={"xatol": 1e-4})
    return (float(found.x), float(found.fun)) if found.fun < known[at] else (float(values[at]), float(known[at]))


def _crossing(of: Callable[[float], float], level: float, start: float, end: float) -> float | None:
    """Where a function that is below the level at `start` reaches it on the way to `end`; None if it does not."""
    if start == end or of(end) < level:
        return None
    return float(optimize.brentq(lambda value: of(value) - level, start, end, xtol=1e-4))


def _covariance(of: Templates, counts: np.ndarray, factor: np.ndarray, value: float | None = None) -> np.ndarray:
    """Inverse of the second derivatives of -ln L: of the rates in closed form, of the option by differences.

    Rates that are known have no variance.
    """
    free, rows = of.groups.relative_sd > 0, _rows(of.at(value))
    slopes, density = rows[:, free], rows @ factor
    if value is not None:
        step = (of.ends[1] - of.ends[0]) * 0.01
        low, high = (float(np.clip(value + sign * step, *of.ends)) for sign in (-1, 1))
        slopes = np.column_stack([slopes, (_rows(of.at(high)) - _rows(of.at(low))) @ factor / (high - low)])
    sd = of.groups.relative_sd[free]
    prior = np.diag(np.append(1 / np.square(sd), 0.0)) if value is not None else np.diag(1 / np.square(sd))
    information = (slopes * (counts / density**2)[:, None]).T @ slopes + prior
    covariance = np.zeros((len(factor) + (value is not None),) * 2)
    places = np.append(np.flatnonzero(free), [len(factor)] if value is not None else []).astype(int)
    covariance[np.ix_(places, places)] = np.linalg.pinv(information, hermitian=True)
    return covariance
