"""The conditional density statistic: p = P(S_N >= s given N), S_N = sum of -ln f0; and the exact law of -ln p.

Affine-invariant in ln f0 and immune to the total rate. The law of q = -ln p needs no table of its own: q is at
least x where S_N reaches a critical value s_N(x), so P(q >= x) = P(S_N - s_N(x) >= 0), which is the tail of a
sum with a penalty on N.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from engine.inference.exact.atoms import pair_tail
from engine.inference.exact.given import Shape, Table, table
from engine.inference.exact.law import merged
from engine.inference.exact.sums import Sums

EVERY_N = 48  # up to here each N has its table; beyond, tables at a few N are interpolated in 1 / sqrt(N)
N_NODES = 9
HIGHEST_U = 16.0  # of the interpolated tables: p = 1e-57
NEVER = 1e9  # standard deviations: a critical value that no sum reaches


class Conditional:
    """p-values of toys given their N, and the law of -ln p.

    values (n,): -ln f0; weights (components, n): expected background events; relative_sd (components,);
    most_events: the largest N that will be asked for.
    """

    def __init__(self, values, weights, relative_sd, most_events: int):
        self._values = np.asarray(values, dtype=np.float64)
        self._weights, self._sd = np.asarray(weights, dtype=np.float64), np.asarray(relative_sd)
        y, p = merged(self._values, self._weights.sum(axis=0)[None])
        p = p[0] / p.sum()
        self.mean, self.sd = float(p @ y), float(np.sqrt(p @ (y - p @ y) ** 2))
        if not self.sd > 0:
            raise ValueError("all events have the same density: given N there is nothing to test")
        self._shape = Shape((y - self.mean) / self.sd, p)
        self._tail = np.append(np.cumsum(p[::-1])[::-1], 0.0)
        self._tables: dict[int, Table] = {}
        least = 1 / np.sqrt(max(most_events, EVERY_N + 1) * 1.001)
        nodes = np.linspace(least, 1 / np.sqrt(EVERY_N), N_NODES)
        self._nodes = np.unique(np.round(nodes**-2).astype(int))
        self.most_events = int(self._nodes[-1])

    def ln_p(self, n_events: np.ndarray, total: np.ndarray) -> np.ndarray:
        """ln P(S_N >= total given N), of the shape of both: finite, falling in `total`, 0 for N = 0."""
        n, s = np.broadcast_arrays(n_events, total)
        if n.max(initial=0) > self.most_events:
            raise ValueError(f"{n.max()} events, prepared for at most {self.most_events}")
        u = (s - n * self.mean) / (self.sd * np.sqrt(np.maximum(n, 1)))
        out, many = np.zeros(n.shape), n > EVERY_N
        for k in np.unique(n[~many & (n > 0)]):
            out[n == k] = self._few(int(k), u[n == k])
        if many.any():
            out[many] = self._interpolated(n[many], u[many])
        return out

    def _few(self, n: int, u: np.ndarray) -> np.ndarray:
        if n > 2:
            return self._table(n)(u)
        y, p, tie = self._shape.y, self._shape.p, 1e-10 * np.ptp(self._shape.y)
        if n == 1:
            tail = self._tail[np.searchsorted(y, u - tie)]
        else:
            factor, both = np.ones(1), (p[None], self._tail[None, :-1])
            tail = np.array([pair_tail(y, *both, factor, x * np.sqrt(2) - tie) for x in u])
        return np.log(np.clip(tail, np.finfo(float).tiny, 1.0))

    def _table(self, n: int) -> Table:
        if n not in self._tables:
            self._tables[n] = table(self._shape, n, highest_u=None if n < EVERY_N else HIGHEST_U)
        return self._tables[n]

    def _interpolated(self, n: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Across N at fixed u: ln p is smooth in 1 / sqrt(N), the parameter of Edgeworth's series."""
        columns = np.array([self._table(k)(u) for k in self._nodes])
        return np.minimum(_lagrange(self._nodes**-0.5, columns, n**-0.5), 0.0)

    def critical(self, q: float, counts: np.ndarray) -> np.ndarray:
        """s_N(q) for integers (k,): -ln P(S_N >= s given N) >= q where s reaches it."""
        u = np.full(len(counts), NEVER if q > 0 else -NEVER)
        for i in np.flatnonzero((counts > 0) & (counts <= EVERY_N)):
            u[i] = self._critical_few(int(counts[i]), q)
        many = counts > EVERY_N
        columns = np.array([self._table(k).critical(-q) for k in self._nodes])
        u[many] = _lagrange(self._nodes**-0.5, columns[:, None], np.minimum(counts[many], self.most_events) ** -0.5)
        return counts * self.mean + self.sd * np.sqrt(np.maximum(counts, 1)) * u

    def _critical_few(self, n: int, q: float) -> float:
        if n > 2:
            return self._table(n).critical(-q)
        y = np.append(self._shape.y, NEVER) if n == 1 else self._shape.y
        if n == 1:
            return float(y[np.argmax(self._tail <= np.exp(-q))])
        low, high = np.sqrt(2) * (y[0] - 1), np.sqrt(2) * (y[-1] + 1)
        return float(brentq(lambda u: -self._few(2, np.array([u]))[0] - q + 1e-12, low, high)) if q > 0 else -NEVER

    def distribution(self, signal=None) -> "ConditionalLaw":
        """The law of -ln p under background alone, rates drawn, or with signal (n,) expected events."""
        return ConditionalLaw(self, signal)

    def law(self, penalty: Callable, signal) -> Sums:
        """The law of S_N + penalty(N), prepared."""
        weights, sd = self._weights, self._sd
        if signal is not None:
            weights, sd = np.vstack([weights, signal]), np.append(sd, 0.0)
        return Sums(self._values, weights, sd, penalty, 1.0)


class ConditionalLaw:
    """The law of q = -ln p; every value of q costs one law of a sum."""

    smallest_p = 1e-45

    def __init__(self, statistic: Conditional, signal):
        self._statistic, self._signal = statistic, signal

    def sf(self, q) -> np.ndarray:
        """P(-ln p >= q)."""
        q = np.asarray(q, dtype=np.float64)
        return np.array([self._at(x) for x in q.ravel()]).reshape(q.shape)

    def _at(self, q: float) -> float:
        if q <= 0:
            return 1.0
        law = self._statistic.law(lambda n: -self._statistic.critical(q, n), self._signal)
        return float(law.distribution().sf(0.0))

    def median(self) -> float:
        """The smallest q with P(-ln p <= q) >= 1/2, to 1e-6."""
        high = 1.0
        while self._at(high) > 0.5:
            high *= 2
        return float(brentq(lambda q: self._at(q) - 0.5, 0.0 if high == 1 else high / 2, high, xtol=1e-6))


def _lagrange(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The polynomial through values (nodes, k or 1) at the points `at` (k,)."""
    out = np.zeros(len(at))
    for i, node in enumerate(nodes):
        others = np.delete(nodes, i)
        out += values[i] * np.prod((at[:, None] - others) / (node - others), axis=1)
    return out
