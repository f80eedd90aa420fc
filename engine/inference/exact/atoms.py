"""What is discrete in a law: experiments of no, one or two events, and statistics that are functions of N alone."""

import numpy as np
from numba import njit

from engine.inference.exact import generating
from engine.inference.exact.contour import shelves
from engine.inference.exact.event_sum import EventSum

TIE = 1e-10  # relative: closer values of q are one, whatever the order of their sums
SMALLEST_P = 1e-45  # the window of N leaves out 1e-50


class Steps:
    """A finite measure on the real line: values q (k,) with probabilities p (k,), whose sum may be below 1."""

    def __init__(self, q: np.ndarray, p: np.ndarray):
        order = np.argsort(q, kind="stable")
        self.q, self.p = q[order], p[order]
        self._above = np.append(np.cumsum(self.p[::-1])[::-1], 0.0)

    def at_least(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q)."""
        return self._above[np.searchsorted(self.q, q, side="left")]

    def median(self) -> float:
        """The smallest q with P(Q <= q) >= 1/2, for a measure of mass 1."""
        return float(self.q[np.searchsorted(np.cumsum(self.p), 0.5 * (1 - 1e-12))])


class Few:
    """N = 0, 1 and 2. With theta_j weighted by exp(-b_j theta_j), of mean m_j and variance v_j, and p_0 = P(N = 0):

    one event has the measure p_0 sum_j m_j w_j, two have p_0 / 2 [(sum_j m_j w_j)^2 + sum_j v_j w_j^2], squares
    being convolutions. These are the coefficients of z and z^2 of the generating function.
    """

    def __init__(self, law: EventSum):
        ln_none, mean, variance = law.without_events
        p_none = np.exp(ln_none)
        none, one, self._two = np.asarray(law.penalty(np.arange(3)), dtype=np.float64)
        single = mean @ law.weights
        self._steps = Steps(np.append(one + law.values, none), p_none * np.append(single, 1.0))
        self._values = law.values
        self._factors = 0.5 * p_none * np.append(variance, 1.0)
        self._pairs = np.vstack([law.weights, single])
        self._tails = np.cumsum(self._pairs[:, ::-1], axis=1)[:, ::-1]
        self.lowest = min(self._steps.q[0], self._two + 2 * law.values[0])
        self.highest = max(self._steps.q[-1], self._two + 2 * law.values[-1])
        self._tie = TIE * max(abs(self.lowest), abs(self.highest))
        self.mass = p_none * (1 + single.sum()) + self._factors @ self._pairs.sum(axis=1) ** 2

    def at_least(self, q: float) -> float:
        """P(Q >= q, N <= 2), with a tolerance for ties."""
        return self._tail(q - self._tie)

    def above(self, q: float) -> float:
        """P(Q > q, N <= 2), to the last bit of q."""
        return self._tail(np.nextafter(q, np.inf))

    def _tail(self, q: float) -> float:
        pairs = pair_tail(self._values, self._pairs, self._tails, self._factors, q - self._two)
        return float(self._steps.at_least(q)) + pairs


@njit(cache=True)
def pair_tail(values, weights, tails, factors, least):
    """sum_j factor_j sum w_ji w_jk over the pairs with values_i + values_k >= least; values ascend."""
    n, total = len(values), 0.0
    first = n
    for i in range(n):
        while first > 0 and values[i] + values[first - 1] >= least:
            first -= 1
        if first < n:
            for j in range(len(factors)):
                total += factors[j] * weights[j, i] * tails[j, first]
    return total


def count_law(law: EventSum) -> tuple[np.ndarray, np.ndarray]:
    """All N of the law's window and P(N), each with its relative accuracy."""
    floor, ln_scale, _, weights = shelves(law, 0.0, np.ones(len(law.counts), dtype=bool))
    p, total = [], weights.sum(axis=1)[:, None]
    for shelf in floor:
        ln_g = generating.ln_generating(shelf.z, total, law.expected, law.relative_sd) - shelf.ln_top
        circle = np.exp(-1j * shelf.counts[:, None] * np.angle(shelf.z))
        p.append(np.exp(shelf.ln_weight + ln_scale) * (circle @ np.exp(ln_g)).real / shelf.n_circle)
    return law.counts, np.maximum(np.concatenate(p), 0.0)


class Counted:
    """The law of a statistic whose events all carry one value: a sum over N."""

    smallest_p = SMALLEST_P

    def __init__(self, law: EventSum):
        ln_none, mean, variance = law.without_events
        p_none = np.exp(ln_none)
        one = mean @ law.expected
        two = (one**2 + variance @ law.expected**2) / 2
        counts, p = count_law(law)
        counts, p = np.append(np.arange(3), counts), np.append(p_none * np.array([1, one, two]), p)
        self._steps = Steps(np.asarray(law.penalty(counts), dtype=np.float64) + law.values[0] * counts, p)
        self._tie = TIE * max(abs(self._steps.q[[0, -1]]))

    def sf(self, q) -> np.ndarray:
        """P(Q >= q); ties count."""
        q = np.asarray(q, dtype=np.float64)
        return np.clip(self._steps.at_least(q - self._tie), np.finfo(float).tiny, 1.0)

    def median(self) -> float:
        """The smallest q with P(Q <= q) >= 1/2."""
        return self._steps.median()
