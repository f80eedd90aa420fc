"""Exact laws of a number of events: all of them (`count`), or those above a threshold (`tail_count`)."""

from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from scipy.special import gammaln, xlogy

from engine.inference.exact import rates

LN_SMALLEST_SIGNAL = -46.0  # 1e-20: with a signal, medians are asked for
LN_SMALLEST_WIDENED = -230.0  # 1e-100: a pool of a few tail events is no ground for claims beyond
PANEL = 12  # Gauss-Legendre nodes in a panel two widths of the integrand wide


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
    """The null of `tail_count` where the pool is limited: what `teststats.tail_count.widen` does to toys.

    tail_pool: (k, w) of each kind: k effective pool events of weight w expect b = sum_i w_i Gamma(k_i + 1),
    nominally b0 = sum_i k_i w_i; of more than two kinds, all but the widest share one Gamma of their moments.
    Given b < b0 the count is thinned by b / b0, which scales every component; given b > b0 a Poisson count of
    mean b - b0 is added. Only the null is widened.
    """
    means = np.asarray(means, dtype=np.float64)
    nominal = float(sum(k * w for k, w in tail_pool))
    b, weights = _expectation(tail_pool, nominal)
    below = b < nominal
    first, base = rates.count_pmf(means, relative_sd, LN_SMALLEST_WIDENED)
    start, most = rates.count_pmf([b[-1] - nominal], [0.0], LN_SMALLEST_WIDENED)
    excess = np.arange(start + len(most))
    pmf = np.zeros(first + len(base) + len(excess) - 1)
    for kept, weight in zip(b[below] / nominal if nominal else (), weights[below], strict=True):
        start, thinned = rates.count_pmf(means * kept, relative_sd, LN_SMALLEST_WIDENED)
        pmf[start : start + len(thinned)] += weight * thinned
    ln_poisson = stats.poisson.logpmf(excess[:, None], (b - nominal)[None, ~below])
    pmf[first:] += np.convolve(base, np.exp(ln_poisson) @ weights[~below])
    return CountLaw(0, pmf, smallest_p=10 * float(np.exp(LN_SMALLEST_WIDENED)))


def _expectation(tail_pool, nominal: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of b, ascending, with a panel edge at the nominal value, where the law has a kink."""
    kinds = _two([(float(k), float(w)) for k, w in tail_pool if w > 0])
    if not kinds:
        return np.zeros(1), np.ones(1)
    sd = float(np.sqrt(sum(w * w * (k + 1) for k, w in kinds)))
    last = sum(w * float(stats.gamma.isf(1e-100, k + 1)) for k, w in kinds)
    first = sum(w * float(stats.gamma.ppf(1e-20, k + 1)) for k, w in kinds)
    edges = [0.0 if first < 1e-3 * sd else first]
    while edges[-1] < last:
        edges.append(edges[-1] + 2 * min(sd, np.sqrt(edges[-1] + 1)))
        if edges[-2] < nominal < edges[-1]:
            edges[-1] = nominal
    x, w = np.polynomial.legendre.leggauss(PANEL)
    low, high = np.array(edges[:-1])[:, None], np.array(edges[1:])[:, None]
    b, widths = (low + (high - low) * (x + 1) / 2).ravel(), (w * (high - low) / 2).ravel()
    weights = widths * _density(b, kinds)
    return b, weights / weights.sum()


def _two(kinds: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The widest kind, and the others as one Gamma of the same mean and variance."""
    if len(kinds) <= 2:
        return kinds
    widest, *others = sorted(kinds, key=lambda kind: kind[1] ** 2 * (kind[0] + 1), reverse=True)
    mean = sum(w * (k + 1) for k, w in others)
    weight = sum(w**2 * (k + 1) for k, w in others) / mean
    return [widest, (mean / weight - 1, weight)]


def _density(b: np.ndarray, kinds: list[tuple[float, float]]) -> np.ndarray:
    """The density of sum_i w_i Gamma(k_i + 1) at b, for one kind or two.

    For two, y of b comes from the first; the integrand's logarithm is concave, with its peak where
    k1 / y - k2 / (b - y) = 1 / w1 - 1 / w2: Gauss-Legendre over the interval where it is within e^-40 of it.
    """
    if len(kinds) == 1:
        (k, w), = kinds  # fmt: skip
        return stats.gamma.pdf(b, k + 1, scale=w)
    (k1, w1), (k2, w2) = kinds

    def ln_integrand(y, b):
        both = xlogy(k1, y / w1) - y / w1 + xlogy(k2, (b - y) / w2) - (b - y) / w2
        return both - gammaln(k1 + 1) - gammaln(k2 + 1) - np.log(w1 * w2)

    def falling(y):
        return k1 / y - k2 / np.maximum(b - y, 1e-300) < 1 / w1 - 1 / w2

    peak = _boundary(np.zeros_like(b), b, falling)
    level = ln_integrand(peak, b) - 40
    low = _boundary(np.zeros_like(b), peak, lambda y: ln_integrand(y, b) > level)
    high = _boundary(peak, b, lambda y: ln_integrand(y, b) < level)
    x, w = np.polynomial.legendre.leggauss(rates.N_QUADRATURE)
    y = low[:, None] + (high - low)[:, None] * (x + 1) / 2
    return (np.exp(ln_integrand(y, b[:, None])) * w).sum(axis=1) * (high - low) / 2


def _boundary(low: np.ndarray, high: np.ndarray, after) -> np.ndarray:
    """Where `after` turns from false to true between low and high, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        passed = after(middle)
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    return (low + high) / 2
