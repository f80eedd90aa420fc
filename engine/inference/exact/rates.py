"""Poisson means that are themselves uncertain: each component's rate is a Gaussian factor, truncated at zero.

Everywhere below, component j expects `means[j]` events at its nominal rate and theta_j means[j] in one
experiment, theta_j being drawn once from a Gaussian of mean 1 and standard deviation `relative_sd[j]`.
"""

from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import scipy
from numba import njit
from scipy.special import gammaln, log_ndtr, ndtr

from engine.inference import bisection

NARROW = 0.12  # up to here the truncation takes Phi(-1/0.12) = 4e-17, and sums of Gaussians stay Gaussian
LN_SMALLEST = -680.0  # probabilities below e^-680 = 1e-295 are left out of tables
N_QUADRATURE = 96
FEW, SEVERAL = 200.0, 1000.0  # events
WINDOW = 9.0  # in widths of the integrand, either side of its peak
CENTRAL_REACH = 4.0  # in standard deviations of a rate: what lies beyond moves no median
WEAK = 0.7  # influence up to which Gauss's nodes are fewer than even ones
OWN_AXIS = 0.3
MOST_PRODUCTS = 5_000_000  # of a direct convolution
OF_SD, CLOSE = 12.0, 32  # places of a smooth table to its standard deviation; counts apart from which a spline pays
SMALLEST_INFLUENCE = 0.02  # a direction's standard deviation over the Poisson noise, below which it is dropped

_legendre = lru_cache(np.polynomial.legendre.leggauss)  # an eigenvalue problem; a table asks for it hundreds of times


def ln_pmf(n: np.ndarray, mean: float, relative_sd: float) -> np.ndarray:
    """ln P(N = n) of one component, for integers n (any shape): the Poisson law averaged over the rate.

    Gauss-Legendre about the peak in theta of each n by itself, so that far tails are as exact as the bulk:
    the peak solves theta^2 - (1 - mean sd^2) theta - n sd^2 = 0.
    """
    n = np.asarray(n, dtype=np.float64)
    if relative_sd == 0 or mean == 0:
        return scipy.stats.poisson.logpmf(n, mean)
    x, w = _legendre(N_QUADRATURE)
    ln_integral = _ln_integrals(n.ravel(), float(mean), float(relative_sd) ** 2, x, w).reshape(n.shape)
    return ln_integral - np.log(relative_sd * np.sqrt(2 * np.pi)) - gammaln(n + 1) - log_ndtr(1 / relative_sd)


@njit(cache=True)
def _ln_integrals(n, mean, variance, x, w):
    """(k,) ln of the integral over theta of exp(-(theta - 1)^2 / (2 variance)) (mean theta)^n exp(-mean theta)."""
    out, drift = np.empty(len(n)), 1 - mean * variance
    for i in range(len(n)):
        at_least_one = max(n[i], 1.0)
        root = np.sqrt(drift**2 + 4 * at_least_one * variance)
        # the same root twice: one form cancels where the other does not
        peak = (drift + root) / 2 if drift > 0 else 2 * at_least_one * variance / (root - drift)
        width = 1 / np.sqrt(1 / variance + at_least_one / peak**2)
        low = max(peak - WINDOW * width, 0.0)
        # a Gamma shape of few events falls slower than a Gaussian
        half = (peak + (WINDOW + 35 / np.sqrt(at_least_one)) * width - low) / 2
        ln_top, total = n[i] * np.log(mean * peak) - mean * peak - (peak - 1) ** 2 / (2 * variance), 0.0
        for j in range(len(x)):
            theta = low + half * (x[j] + 1)
            ln_term = n[i] * np.log(mean * theta) - mean * theta - (theta - 1) ** 2 / (2 * variance)
            total += w[j] * np.exp(ln_term - ln_top)
        out[i] = ln_top + np.log(total * half)
    return out


def count_pmf(means: np.ndarray, relative_sd: np.ndarray, ln_smallest: float = LN_SMALLEST) -> tuple[int, np.ndarray]:
    """The first count and the probabilities from there on of N ~ Poisson(sum_j theta_j means_j), read-only.

    Fixed and narrow components add up to one Gaussian rate; every wide one is convolved (`_convolved`).
    """
    given = (tuple(np.asarray(some, dtype=np.float64).tolist()) for some in (means, relative_sd))
    return _count_pmf(*given, ln_smallest)


@lru_cache(maxsize=64)  # every mass at an exposure asks for the same ones, of some leakages each
def _count_pmf(means: tuple[float, ...], relative_sd: tuple[float, ...], ln_smallest: float) -> tuple[int, np.ndarray]:
    means, relative_sd = np.array(means), np.array(relative_sd)
    wide = (relative_sd > NARROW) & (means > 0)
    mean = float(means[~wide].sum())
    sd = float(np.sqrt(np.square(means * relative_sd)[~wide].sum()))
    parts = [(mean, sd / mean if mean > 0 else 0.0), *zip(means[wide], relative_sd[wide], strict=True)]
    tables = [_table(float(m), float(s), ln_smallest) for m, s in parts]
    pmf = reduce(_convolved, (pmf for _, pmf in tables))
    pmf.flags.writeable = False
    return sum(first for first, _ in tables), pmf


def _convolved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Their convolution, as a sum of positive products: it keeps the relative accuracy of the tail that an FFT loses.

    Of long tables every so many entries of the narrower one will do: both are smooth, so that the trapezoid rule is
    exact but for the end of the narrower one where its rate is cut at 0, of which Euler and Maclaurin take care. And
    beyond SEVERAL every so many entries of what comes out, with a spline in ln P between them.
    """
    if len(a) * len(b) < MOST_PRODUCTS:
        return np.convolve(a, b)
    a, b = sorted((a, b), key=_sd, reverse=True)
    stride = max(int(_sd(b) / OF_SD), 1)
    weights = np.where(np.arange(len(b)) % stride == 0, float(stride), 0.0)
    weights[:3] += np.array([0.5 - stride / 2, 0.0, 0.0]) + (stride**2 - 1) / 12 * np.array([-1.5, 2.0, -0.5])
    some = np.flatnonzero(weights)
    last = len(a) + len(b) - 2
    n = np.unique(np.concatenate([np.arange(int(SEVERAL)), np.arange(0, last, max(int(_sd(a) / OF_SD), 1)), [last]]))
    above = np.concatenate([np.zeros(len(b)), a, np.zeros(len(b))])
    p = np.concatenate([above[part[:, None] + len(b) - some] @ (weights * b)[some] for part in np.array_split(n, 64)])
    kept = np.flatnonzero(p > np.exp(LN_SMALLEST))
    first, end, out = n[kept[0]], n[kept[-1]] + 1, np.zeros(last + 1)
    out[first:end] = np.exp(scipy.interpolate.CubicSpline(n[kept], np.log(p[kept]))(np.arange(first, end)))
    return out


def _sd(pmf: np.ndarray) -> float:
    n = np.arange(len(pmf))
    return float(np.sqrt(pmf @ (n - pmf @ n) ** 2))


def _table(mean: float, relative_sd: float, ln_smallest: float) -> tuple[int, np.ndarray]:
    """One component's probabilities wherever ln P exceeds the smallest (the law has one peak)."""
    if mean == 0:
        return 0, np.ones(1)
    if mean < FEW:
        return _small_table(mean, relative_sd, ln_smallest)
    low = bisection.first(lambda n: ln_pmf(n, mean, relative_sd) >= ln_smallest, 0, int(mean))
    last = int(mean) + 16
    while ln_pmf(last, mean, relative_sd) >= ln_smallest:
        last *= 2
    high = bisection.first(lambda n: ln_pmf(n, mean, relative_sd) < ln_smallest, int(mean), last)
    apart = max(int(np.sqrt(mean + (mean * relative_sd) ** 2) / OF_SD), 1)
    first = high if apart < CLOSE else min(max(low, int(SEVERAL)), high)  # below, and of close ones, every count
    n = np.unique(np.concatenate([np.arange(low, first), np.arange(first, high, apart), [high - 1]]))
    ln_p = np.concatenate([ln_pmf(some, mean, relative_sd) for some in np.array_split(n, 1 + len(n) // 4096)])
    return low, np.exp(ln_p if len(n) == high - low else scipy.interpolate.CubicSpline(n, ln_p)(np.arange(low, high)))


def _small_table(mean: float, relative_sd: float, ln_smallest: float) -> tuple[int, np.ndarray]:
    """The same where all counts up to the last are few enough to be looked at together."""
    last = 32 + int(2 * mean - ln_smallest / 4)
    while (ln_p := ln_pmf(np.arange(last), mean, relative_sd))[-1] >= ln_smallest:
        last *= 2
    kept = np.flatnonzero(ln_p >= ln_smallest)
    return int(kept[0]), np.exp(ln_p[kept[0] : kept[-1] + 1])


@dataclass(frozen=True)
class Nodes:
    """A quadrature over rates: means (nodes, bins), weights (nodes,) that sum to one.

    dropped: the largest standard deviation, in units of the Poisson noise, of a direction that was left out;
    smallest_p: tails below it would need rates beyond the outermost nodes.
    """

    means: np.ndarray
    weights: np.ndarray
    dropped: float
    smallest_p: float


def nodes(means, relative_sd, signal=None, *, z: float = 8.0, step: float = 1.25) -> Nodes:
    """The rates of bins as a quadrature: means (components, bins), relative_sd (components,), signal (bins,).

    The bins move along few directions: the left singular vectors of means[j, k] relative_sd[j] over the
    Poisson noise sqrt(sum_j means[j, k]), whose singular values say how much they matter; those below
    SMALLEST_INFLUENCE stay at their mean (a value S widens q by 1 + S^2 / 2 at most). Components whose
    truncation matters are directions of their own. z: the significance down to whose p a tail is right (0 is
    enough for a median). Those whose truncation matters but which move the bins by less than OWN_AXIS of the
    noise enter by mean and variance alone, as every sum of small effects does; step: spacing in units of
    1 / sqrt(1 + S^2), the width that a count leaves to a direction: the trapezoidal error of a Gaussian is
    2 exp(-2 pi^2 / step^2), 6e-6 at 1.25, 3e-4 at 1.5.
    """
    means, sd = np.asarray(means, dtype=np.float64), np.asarray(relative_sd, dtype=np.float64)
    base = means.sum(axis=0) + (0.0 if signal is None else signal)
    noise = np.sqrt(np.maximum(base, 1e-300))
    moves = means * sd[:, None] / noise
    wide = (sd > NARROW) & (np.linalg.norm(moves, axis=1) > OWN_AXIS)
    mean, spread = np.array([_truncated(s) for s in sd[~wide]]).reshape(-1, 2).T
    centre = base + mean @ moves[~wide] * noise  # the mean of a truncated Gaussian lies above 1
    _, influence, axes = np.linalg.svd(moves[~wide] * spread[:, None], full_matrices=False)
    directions = [(float(s), 0.0, s * v) for s, v in zip(influence, axes, strict=True)]
    directions += [(float(np.linalg.norm(v)), s, v) for v, s in zip(moves[wide], sd[wide], strict=True)]
    kept = [d for d in directions if d[0] > SMALLEST_INFLUENCE]
    left = [d for d in directions if d[0] <= SMALLEST_INFLUENCE]
    points, weights = _product([_axis(size, s, z, step) for size, s, _ in kept])
    inside = weights > weights.max() * np.exp(-(max(z, CENTRAL_REACH) ** 2) / 2 - 4)
    points, weights = points[inside], weights[inside]
    moved = points @ np.array([v for _, _, v in kept]).reshape(len(kept), len(base)) * noise
    dropped = max((d[0] for d in left), default=0.0)
    smallest_p = float(ndtr(-z)) if kept else 0.0
    return Nodes(np.maximum(centre + moved, 0.0), weights / weights.sum(), dropped, smallest_p)


def _truncated(relative_sd: float) -> tuple[float, float]:
    """Mean and standard deviation of a standard Gaussian above -1 / relative_sd."""
    if relative_sd == 0:
        return 0.0, 1.0
    cut = 1 / relative_sd
    mean = float(scipy.stats.norm.pdf(cut) / ndtr(cut))
    return mean, float(np.sqrt(1 - cut * mean - mean**2))


def _axis(influence: float, relative_sd: float, z: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of one standard Gaussian, truncated at -1 / relative_sd where that is not zero.

    Given an excess of z standard deviations, the direction lies at z S / sqrt(1 + S^2), give or take its width.
    """
    width = 1 / np.sqrt(1 + influence**2)
    spacing, reach = step * width, max(CENTRAL_REACH, (z * influence + 4.5) * width)
    if influence < WEAK:
        # given z, the integrand is a Gaussian times about e^(S z x), of which Gauss's rule takes 2 n terms
        points, weights = _gauss(-1 / relative_sd if relative_sd else -np.inf, 3 + int(np.ceil(influence * z)))
    elif relative_sd == 0 or 1 / relative_sd > reach:
        half = int(np.ceil(reach / spacing))
        points = spacing * np.arange(-half, half + 1)
        weights = np.exp(-(points**2) / 2)
    else:
        low = -1 / relative_sd
        # Gauss's nodes are pi / 2 times wider apart in the middle than even ones
        x, w = _legendre(4 + int(np.ceil(np.pi / 2 * (reach - low) / spacing)))
        points = low + (reach - low) * (x + 1) / 2
        weights = w * np.exp(-(points**2) / 2)
    return points, weights / weights.sum()


def _gauss(low: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss's n nodes and weights for a standard Gaussian above `low` (Golub & Welsch 1969), by Lanczos's recursion."""
    low = max(low, -12.0)
    x, w = _legendre(400)
    x = low + (12.0 - low) * (x + 1) / 2
    before, now = np.zeros(400), np.sqrt(w * np.exp(-(x**2) / 2))
    now, beta, diagonal, beside = now / np.linalg.norm(now), 0.0, [], []
    for _ in range(n):
        diagonal.append(now @ (x * now))
        rest = x * now - diagonal[-1] * now - beta * before
        beta = np.linalg.norm(rest)
        beside.append(beta)
        before, now = now, rest / beta
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return nodes, vectors[0] ** 2


def _product(axes: list) -> tuple[np.ndarray, np.ndarray]:
    """All combinations of the axes' nodes (nodes, axes) with the products of their weights."""
    points, weights = np.zeros((1, 0)), np.ones(1)
    for places, shares in axes:
        points = np.column_stack([np.repeat(points, len(places), axis=0), np.tile(places, len(points))])
        weights = np.outer(weights, shares).ravel()
    return points, weights
