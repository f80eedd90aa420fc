"""Exact laws of a number of events: all of them (`count`), or those above a threshold (`tail_count`)."""

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from scipy import special

from engine.inference.exact import rates

LN_SMALLEST_SIGNAL = -46.0  # 1e-20: with a signal, medians are asked for
LN_SMALLEST_WIDENED = -230.0  # 1e-100: a pool of a few tail events is no ground for claims beyond
WIDENED_Z = 21.3  # sigma of that
NO_ERROR = 1e8  # a Gamma shape beyond which its logarithms cancel: it is 1e-4 wide


@dataclass(frozen=True)
class CountLaw:
    """The law of a count: pmf[i] = P(N = first + i); what the table leaves out is below `smallest_p`."""

    first: int
    pmf: np.ndarray
    smallest_p: float
    upper: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        upper = np.cumsum(self.pmf[::-1])[::-1]  # from the small end: relative accuracy in the tail
        object.__setattr__(self, "upper", np.minimum(upper, 1.0))

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(N >= q) for q of any shape."""
        index = np.ceil(np.asarray(q, dtype=np.float64)) - self.first
        inside = np.clip(index, 0, len(self.pmf) - 1).astype(np.int64)
        p = np.where(index <= 0, 1.0, self.upper[inside])
        return np.maximum(np.where(index >= len(self.pmf), 0.0, p), self.smallest_p)

    def median(self) -> float:
        """The smallest n with P(N <= n) >= 1/2."""
        return float(self.first + np.argmax(np.append(self.upper[1:], 0.0) <= 0.5))

    def threshold(self, p: float) -> int:
        """The smallest n with P(N >= n) <= p."""
        return int(self.first + np.searchsorted(-self.upper, -p, side="left"))

    def with_signal(self, n_signal: float) -> "CountLaw":
        """The law with a Poisson signal of fixed mean, down to 1e-20: it serves medians, and costs a millisecond."""
        kept = np.flatnonzero(self.pmf > np.exp(LN_SMALLEST_SIGNAL))
        first, poisson = rates.count_pmf([n_signal], [0.0], LN_SMALLEST_SIGNAL)
        pmf = np.convolve(self.pmf[kept[0] : kept[-1] + 1], poisson)
        return CountLaw(self.first + int(kept[0]) + first, pmf, smallest_p=10 * float(np.exp(LN_SMALLEST_SIGNAL)))


def law(means: np.ndarray, relative_sd: np.ndarray) -> CountLaw:
    """N of components with uncertain rates: `count`, and `tail_count` where the means are those above the
    threshold and the pool has events enough.
    """
    return CountLaw(*rates.count_pmf(means, relative_sd), smallest_p=10 * float(np.exp(rates.LN_SMALLEST)))


def widened_law(means: np.ndarray, relative_sd: np.ndarray, tail_pool) -> CountLaw:
    """The null of `tail_count` with the pool's error: what `teststats.tail_count.widen` does to toys.

    tail_pool: (k, w) of each kind: k effective pool events of weight w expect b = sum_i w_i Gamma(k_i + 1), nominally
    sum_i k_i w_i = sum(means). The rates move b as they move the nominal sum (1 where that is 0). Given the rates, N
    is the sum of a negative binomial count of each kind. Only the null is widened.
    """
    means = np.asarray(means, dtype=np.float64)
    nodes = rates.nodes(means[:, None], relative_sd, z=WIDENED_Z)
    factors = nodes.means[:, 0] / means.sum() if means.sum() > 0 else np.ones(len(nodes.weights))
    kinds = [(float(k), float(w)) for k, w in tail_pool if w > 0]
    tables = [_negative_binomials(k + 1, w * factors) for k, w in kinds]
    pmf = np.zeros(1 + sum(table.shape[1] - 1 for table in tables))
    for share, *of_kinds in zip(nodes.weights, *tables, strict=True):
        table = reduce(np.convolve, sorted((_kept(one) for one in of_kinds), key=len), np.ones(1))
        pmf[: len(table)] += share * table
    return CountLaw(0, pmf, smallest_p=10 * float(np.exp(LN_SMALLEST_WIDENED)))


def _kept(pmf: np.ndarray) -> np.ndarray:
    """Up to the last entry that counts."""
    return pmf[: np.flatnonzero(pmf > np.exp(LN_SMALLEST_WIDENED))[-1] + 1]


def _negative_binomials(shape: float, scales: np.ndarray) -> np.ndarray:
    """(scales, k) probabilities of a Poisson count whose mean is Gamma of this shape and each scale, from 0 to the last
    that counts."""
    shape, scales = (shape, scales) if shape < NO_ERROR else (NO_ERROR, scales * shape / NO_ERROR)
    last = 32 + int(2 * shape * scales.max())
    while (ln_p := _ln_negative_binomial(np.arange(last), shape, scales.max()))[-1] > LN_SMALLEST_WIDENED:
        last *= 2
    n = np.arange(np.flatnonzero(ln_p > LN_SMALLEST_WIDENED)[-1] + 1)
    return np.exp(_ln_negative_binomial(n, shape, scales[:, None]))


def _ln_negative_binomial(n: np.ndarray, shape: float, scale: np.ndarray) -> np.ndarray:
    of_n = special.gammaln(n + shape) - special.gammaln(shape) - special.gammaln(n + 1)
    return of_n - shape * np.log1p(scale) + special.xlogy(n, scale / (1 + scale))
