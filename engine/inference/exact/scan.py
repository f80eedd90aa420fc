"""`excess_scan`: the smallest local Poisson p over many thresholds, with its exact law.

With b_k events expected above threshold k and n_k seen, q = max_k -ln P(Poisson(b_k) >= n_k). The n_k are a
Markov chain: each threshold adds an independent Poisson count to the one above it. So P(Q >= q) is the
probability that the chain ever reaches the boundary c_k(q), the smallest n with a local p of e^-q, and is
summed over the threshold of its first passage, all terms positive.
"""

from dataclasses import dataclass, field
from math import lgamma

import numpy as np
from numba import njit
from scipy.special import betainc, gammainc, gammaln

from engine.inference import bisection
from engine.inference.exact import rates

# at most; to each factor of e in what is expected above them, as 64 are from 0.1 to 300
N_THRESHOLDS, PER_E = 64, 8.0
LARGEST_B = 300.0  # events: above it a local excess is what the other statistics see, and the recursion costs most
NEGLIGIBLE = 1e-19  # share of the chains that may be lost far below the mean, whence they cross least of all
SMALLEST_P = 1e-290
LEFT_OUT = 1e-7  # of p, in nodes that add little
NO_ERROR = 1e8  # a Gamma shape from which on its factor is 1: the logarithms of larger ones cancel


def thresholds(smallest_b: float, n_background: float, *, n: int = N_THRESHOLDS, largest_b: float = LARGEST_B):
    """Expected background counts above n thresholds at most, spaced evenly in their logarithm, ascending.

    smallest_b: what the pool supports, at least; the last is the total n_background or largest_b. Where these are
    close, PER_E of them are as good as more, for they count the same events.
    """
    last = min(n_background, largest_b)
    enough = 1 + int(np.ceil(PER_E * np.log(max(last / smallest_b, 1.0))))
    return np.geomspace(smallest_b, last, max(min(n, enough), 2))


@dataclass(frozen=True)
class LocalSignificances:
    """Local significances: minus_ln_p[k, n] = -ln P(Poisson(b_k) >= n); they do not fall along n.

    levels: all values that q can take, ascending.
    """

    minus_ln_p: np.ndarray
    levels: np.ndarray


def table(b: np.ndarray) -> LocalSignificances:
    """Local significances at thresholds with b events expected, up to the counts whose p underflows."""
    last = int(b[-1])
    while _ln_poisson(last, b[-1]) > np.log(SMALLEST_P) - 20:
        last += 8 + int(np.sqrt(last))
    n = np.arange(last + 1)
    ln_pmf = _ln_poisson(n, np.asarray(b, dtype=np.float64)[:, None])
    minus_ln_p = -np.minimum(np.logaddexp.accumulate(ln_pmf[:, ::-1], axis=1)[:, ::-1], 0.0)
    minus_ln_p[:, 0] = 0.0
    return LocalSignificances(minus_ln_p, np.unique(minus_ln_p[minus_ln_p < -np.log(SMALLEST_P)]))


def _ln_poisson(n, mean):
    return n * np.log(mean) - mean - gammaln(n + 1.0)


@njit(cache=True)
def statistic(counts, minus_ln_p):
    """q per toy, from the events of each toy in the bins between thresholds (n_toys, thresholds).

    The first bin holds the highest scores, and lies above the first threshold.
    """
    q = np.zeros(len(counts))
    last = minus_ln_p.shape[1] - 1
    for toy in range(len(counts)):
        n = 0
        for k in range(counts.shape[1]):
            n += counts[toy, k]
            q[toy] = max(q[toy], minus_ln_p[k, min(n, last)])
    return q


@njit(cache=True)
def first_passage(boundary, increment, shape, ln_factorial):
    """P(n_k >= boundary[k] at any k) for a chain whose steps are Poisson with these means (thresholds,), times
    Gamma factors of mean 1 and these shapes (thresholds,); of an infinite shape, 1.

    state[n]: probability to be at n and never to have crossed. A step's probabilities are `step`, from the
    one below its peak that no longer matters; what reaches the boundary is counted and leaves.
    """
    size = boundary.max()
    state, moved = np.zeros(size + 1), np.zeros(size + 1)
    step, beyond = np.zeros(size + 2), np.zeros(size + 2)
    state[0], low, high, crossed = 1.0, 0, 1, 0.0  # the occupied states are low ... high - 1
    for k in range(len(boundary)):
        mean, edge = increment[k], boundary[k]
        first, last = _step(mean, shape[k], edge - low, ln_factorial, step, beyond)
        for n in range(low, high):
            crossed += state[n] * beyond[min(max(edge - n, 0), last)]
        moved[:] = 0.0
        for n in range(low, min(high, edge)):
            mass, end = state[n], min(last, edge - n)
            target, source = moved[n + first : n + end], step[first:end]
            for i in range(len(source)):
                target[i] += mass * source[i]
        low, high = min(low + first, edge), min(high + last, edge)
        state[:] = moved
        while low < high - 1 and state[low] < NEGLIGIBLE:
            low += 1
        while high > low + 1 and state[high - 1] < 1e-300:
            high -= 1
    return crossed


@njit(cache=True)
def _step(mean, shape, room, ln_factorial, step, beyond):
    """Fills step[i] = P(i) for i < last and beyond[i] = P(>= i) for i <= last; returns first and last.

    `last` is `room` at most, for from there on every chain crosses.
    """
    if mean <= 0:
        step[0], beyond[0], beyond[1] = 1.0, 1.0, 0.0
        return 0, 1
    last = max(room, 1)
    least = np.exp(_ln_p(int(mean), mean, shape, lgamma(int(mean) + 1.0)) + np.log(NEGLIGIBLE))
    peak = min(int(mean), last - 1)
    step[peak] = np.exp(_ln_p(peak, mean, shape, ln_factorial[peak]))
    is_poisson = shape > NO_ERROR
    for i in range(peak + 1, last):  # each from its neighbour, which is far sooner than a logarithm of a Gamma function
        step[i] = step[i - 1] * (mean / i if is_poisson else (i - 1 + shape) / i * (mean / (shape + mean)))
    first = peak
    while first > 0 and step[first] >= least:
        first -= 1
        i = first + 1
        step[first] = step[i] * (i / mean if is_poisson else i / (i - 1 + shape) * ((shape + mean) / mean))
    beyond[last] = 1 - step[first:last].sum() if last < mean else _upper(last, mean, shape, ln_factorial)
    for i in range(last - 1, first - 1, -1):
        beyond[i] = min(beyond[i + 1] + step[i], 1.0)
    for i in range(first):
        beyond[i] = 1.0
    return first, last


@njit(cache=True)
def _ln_p(i, mean, shape, ln_factorial):
    """ln of a Poisson probability, averaged over a Gamma factor of this shape: a negative binomial one."""
    if shape > NO_ERROR:
        return i * np.log(mean) - mean - ln_factorial
    gammas = lgamma(i + shape) - lgamma(shape) - ln_factorial
    return gammas - shape * np.log1p(mean / shape) + i * np.log(mean / (shape + mean))


@njit(cache=True)
def _upper(last, mean, shape, ln_factorial):
    """P(>= last) of such a count, last at its mean or above."""
    tail, term, i = 0.0, np.exp(_ln_p(last, mean, shape, ln_factorial[last])), last
    while term > 1e-17 * tail:
        tail += term
        i += 1
        term *= mean / i if shape > NO_ERROR else mean / i * (i - 1 + shape) / (shape + mean)
    return tail


@dataclass(frozen=True)
class ScanLaw:
    """The law of q; nodes: the expected events in the bins between thresholds, as rates move them; shape (bins,): of
    the Gamma factor that each of them has besides, inf for none."""

    table: LocalSignificances
    nodes: rates.Nodes
    shape: np.ndarray | None = None
    known: dict = field(default_factory=dict, compare=False, repr=False)  # tails by q: points share their medians

    @property
    def smallest_p(self) -> float:
        """Below it p is a bound."""
        return max(SMALLEST_P, self.nodes.smallest_p)

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape: one recursion per value and node."""
        q = np.asarray(q, dtype=np.float64)
        for value in set(q.ravel().tolist()) - self.known.keys():
            self.known[value] = self._sf(value, self.nodes.means, self.nodes.weights)
        p = np.array([self.known[value] for value in q.ravel().tolist()])
        return np.clip(p, SMALLEST_P, 1.0).reshape(q.shape)

    def _sf(self, q: float, increments: np.ndarray, weights: np.ndarray) -> float:
        boundary = np.array([np.searchsorted(row, q, side="left") for row in self.table.minus_ln_p])
        ln_factorial = gammaln(np.arange(boundary.max() + 2) + 1.0)
        shape = np.full(len(boundary), np.inf) if self.shape is None else self.shape
        most = weights * _at_most(boundary, increments, shape)
        order = np.argsort(-most, kind="stable")
        left = np.cumsum(most[order][::-1])[::-1]
        return _mixture(boundary, increments[order], weights[order], left, shape, ln_factorial)

    def median(self) -> float:
        """The smallest value with P(Q <= value) >= 1/2, looked for from where the central rates have theirs."""
        means, weights, levels = self.nodes.means, self.nodes.weights, self.table.levels
        centre = (weights @ means)[None]

        def within(i, increments, weights):
            return self._sf(levels[i], increments, weights) <= 0.5

        guess = bisection.first(lambda i: within(i, centre, np.ones(1)), 1, len(levels)) - 1
        low, high = _bracket(lambda i: not within(i, means, weights), guess, len(levels))
        return float(levels[bisection.first(lambda i: within(i, means, weights), low + 1, high) - 1])


def _at_most(boundary: np.ndarray, increments: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(nodes,) about the most that each node's chains cross: the sum over thresholds of the chance to lie beyond each,
    counts being negative binomial with the mean and the variance that they have."""
    mean = np.cumsum(increments, axis=1)
    variance = np.cumsum(increments**2 / shape, axis=1)  # of the factors
    is_poisson = mean**2 >= NO_ERROR * variance  # and where nothing is expected
    shapes = mean**2 / np.where(is_poisson, 1.0, variance)
    with np.errstate(invalid="ignore"):
        beyond = np.where(is_poisson, gammainc(np.maximum(boundary, 1), mean),
                          betainc(np.maximum(boundary, 1), shapes, mean / (mean + shapes)))  # fmt: skip
    return np.minimum(np.where(boundary > 0, beyond, 1.0).sum(axis=1), 1.0)


@njit(cache=True)
def _mixture(boundary, increments, weights, left, shape, ln_factorial):
    """The average of `first_passage` over nodes, until the rest cannot matter: left[i] is about the most that the nodes
    from i on add."""
    p = 0.0
    for node in range(len(weights)):
        if left[node] < LEFT_OUT * p:
            break
        p += weights[node] * first_passage(boundary, increments[node], shape, ln_factorial)
    return p


def _bracket(holds, guess: int, size: int) -> tuple[int, int]:
    """Places around the guess, the first of which holds and the second does not."""
    low, high, reach = guess, guess + 1, 1
    while low > 0 and not holds(low):
        low, high, reach = max(low - reach, 0), low, 2 * reach
    while high < size and holds(high):
        low, high, reach = high, min(high + reach, size), 2 * reach
    return low, high
