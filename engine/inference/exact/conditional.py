"""The conditional density statistic: p = P(S_N >= s given N), S_N = sum of -ln f0; and the exact law of -ln p.

Affine-invariant in ln f0 and immune to the total rate. The law of q = -ln p needs no table of its own: q is at
least x where S_N reaches a critical value s_N(x), so that P(q >= x) = P(S_N >= s_N(x)) under the joint law of N and
S_N, whatever the rates and the signal (`joint`). With the count's p added (Fisher 1932), s_N(x + ln p_N) is reached.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq

from engine.inference.exact.atoms import pair_tail
from engine.inference.exact.event_sum import cells
from engine.inference.exact.given import Shape, TailTable, table
from engine.inference.exact.joint import JointLaw

EVERY_N = 48  # up to here each N has its table; beyond, tables at a few N are interpolated in 1 / sqrt(N)
N_NODES = 9
HIGHEST_U = 16.0  # of the interpolated tables: p = 1e-57
SMALLEST_P = 1e-40  # the window of N leaves out 1e-50


class Conditional:
    """p-values of experiments given their N, and the values of S_N that they begin at.

    values (n,): -ln f0; expected (n,): events of each, in any unit; most_events: the largest N that will be asked for.
    """

    def __init__(self, values, expected, most_events: int):
        y, p = cells(np.asarray(values, dtype=np.float64), np.asarray(expected, dtype=np.float64)[None])
        p = p[0] / p.sum()
        self.mean, self.sd = float(p @ y), float(np.sqrt(p @ (y - p @ y) ** 2))
        if not self.sd > 0:
            raise ValueError("all events have the same density: given N there is nothing to test")
        self._shape = Shape((y - self.mean) / self.sd, p)
        self._tail = np.append(np.cumsum(p[::-1])[::-1], 0.0)
        self._tables: dict[int, TailTable] = {}
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

    def _table(self, n: int) -> TailTable:
        if n not in self._tables:
            self._tables[n] = table(self._shape, n, highest_u=None if n < EVERY_N else HIGHEST_U)
        return self._tables[n]

    def _interpolated(self, n: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Across N at fixed u: ln p is smooth in 1 / sqrt(N), the parameter of Edgeworth's series."""
        columns = np.array([self._table(k)(u) for k in self._nodes])
        return np.minimum(_lagrange(self._nodes**-0.5, columns, n**-0.5), 0.0)

    def critical(self, q: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """s_N for q and integers (k,): -ln P(S_N >= s given N) >= q where s reaches it.

        -inf where q <= 0, inf where no sum reaches it.
        """
        q = np.broadcast_to(np.asarray(q, dtype=np.float64), counts.shape)
        u = np.where(q > 0, np.inf, -np.inf)
        for i in np.flatnonzero((q > 0) & (counts > 0) & (counts <= EVERY_N)):
            u[i] = self._critical_few(int(counts[i]), q[i])
        many = (q > 0) & (counts > EVERY_N)
        within = np.minimum(counts, self.most_events)
        if many.any():
            columns = np.array([self._table(k).critical(-q[many]) for k in self._nodes])
            u[many] = _lagrange(self._nodes**-0.5, columns, within[many] ** -0.5)
        beyond = np.maximum(counts, 1) / np.maximum(within, 1)  # as toys are taken beyond the tables
        return counts * self.mean + self.sd * np.sqrt(np.maximum(within, 1)) * beyond * u

    def _critical_few(self, n: int, q: float) -> float:
        if n > 2:
            return float(self._table(n).critical(-q))
        y = np.append(self._shape.y, np.inf)
        if n == 1:
            return float(y[np.argmax(self._tail <= np.exp(-q))])
        low, high = np.sqrt(2) * (y[0] - 1), np.sqrt(2) * (y[-2] + 1)
        return float(brentq(lambda u: -self._few(2, np.array([u]))[0] - q + 1e-12, low, high))


@dataclass(frozen=True)
class ConditionalLaw:
    """The law of q = -ln p - ln p_N, of experiments with the joint law of N and S_N less N times the mean of -ln f0.

    minus_ln_p_n: integers (k,) -> -ln p_N, of the count beside it; None for the conditional p alone; smallest_p: below
    it p is a bound.
    """

    statistic: Conditional
    joint: JointLaw
    minus_ln_p_n: Callable | None
    smallest_p: float
    known: dict = field(default_factory=dict, compare=False, repr=False)

    def sf(self, q) -> np.ndarray:
        """P(-ln p >= q) for q of any shape."""
        q = np.asarray(q, dtype=np.float64)
        return np.array([self._at(x) for x in q.ravel().tolist()]).reshape(q.shape)

    def _at(self, q: float) -> float:
        if q not in self.known:
            self.known[q] = 1.0 if q <= 0 else self.joint.tail(lambda n: self._critical(q, n))
        return self.known[q]

    def _critical(self, q: float, n: np.ndarray) -> np.ndarray:
        beside = 0.0 if self.minus_ln_p_n is None else self.minus_ln_p_n(n)
        return self.statistic.critical(q - beside, n) - n * self.statistic.mean

    def median(self) -> float:
        """The smallest q with P(-ln p <= q) >= 1/2, to 1e-6."""
        high = 1.0
        while self._at(high) > 0.5:
            high *= 2
        return float(brentq(lambda q: self._at(q) - 0.5, 0.0 if high == 1 else high / 2, high, xtol=1e-6))


def law(
    statistic: Conditional, values, weights, relative_sd, minus_ln_p_n: Callable | None = None, *, smallest_p=SMALLEST_P
) -> ConditionalLaw:
    """The law where events of values (n,) are expected as weights (components, n) say, rates drawn.

    Tails below smallest_p are a bound: a law that is asked for its median costs less with a larger one.
    """
    smooth = minus_ln_p_n is None
    joint = JointLaw(np.asarray(values) - statistic.mean, weights, relative_sd, smooth=smooth, smallest_p=smallest_p)
    return ConditionalLaw(statistic, joint, minus_ln_p_n, smallest_p)


def _lagrange(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The polynomial through values (nodes, k or 1) at the points `at` (k,)."""
    out = np.zeros(len(at))
    for i, node in enumerate(nodes):
        others = np.delete(nodes, i)
        out += values[i] * np.prod((at[:, None] - others) / (node - others), axis=1)
    return out
