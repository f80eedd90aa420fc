"""What an additive statistic's law is made of: event values, expected events, rate errors and a penalty on N."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.inference.exact import generating

LN_WINDOW = -115.0  # ln of the probability that N lies outside its window: 1e-50
MOST_OF_FEW = 1 - 1e-4  # of a law's weight in experiments of two events or none, for what remains to be a difference
CELLS = 8192  # of equal width, in which values share their mean: (range / CELLS)^2 / 12 is lost of the variance
COARSE_CELLS = 1024
PER_DEVIATION = 8  # of N: counts to each standard deviation, where some stand for all
LN_R = 1e-3 * np.sinh(np.linspace(-10, 10, 401))  # weights r^N that move the mean of N from next to 0 to beyond all use
COARSE_LN_R = LN_R[::4]
COARSE_VARIANCE = 1e7  # of N, up to which these are 0.6 standard deviations apart, and ln of a Gaussian off by 0.05


@dataclass(frozen=True)
class EventSum:
    """Q = penalty(N) + sum of y over the N events of an experiment.

    values (n,): y; weights (components, n): expected events; relative_sd (components,): of each rate;
    penalty: integers (k,) -> (k,); slope: where penalty(N) = slope N, None where it has another form.
    """

    values: np.ndarray
    weights: np.ndarray
    relative_sd: np.ndarray
    penalty: Callable
    slope: float | None = None

    @cached_property
    def expected(self) -> np.ndarray:
        """(components,) expected events b_j."""
        return self.weights.sum(axis=1)

    def tilted(self, t: float) -> tuple[float, np.ndarray]:
        """kappa, and exp(t y - kappa) of every value (n,), which leaves the sum of all weights as it is."""
        ln_tilt = t * self.values
        top = ln_tilt.max()
        tilt = np.exp(ln_tilt - top)
        scale = (self._of_all @ tilt) / self.expected.sum()
        return float(top + np.log(scale)), tilt / scale

    def totals(self, t: float) -> tuple[float, np.ndarray]:
        """kappa, and A_j(t) (components,): the weights times exp(t y - kappa), summed."""
        kappa, tilt = self.tilted(t)
        return kappa, self.weights @ tilt

    @cached_property
    def _of_all(self) -> np.ndarray:
        return self.weights.sum(axis=0)

    @cached_property
    def without_events(self) -> tuple[float, np.ndarray, np.ndarray]:
        """ln P(N = 0), and mean and variance of theta (components,) in experiments without an event."""
        mean, variance = generating.tilted_moments(-self.expected, self.relative_sd)
        return float(generating.ln_mgf(-self.expected, self.relative_sd).sum()), mean, variance

    def of_every_n(self, t: float, tau: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the penalty is slope N: z (frequencies,) and ln E exp(lambda Q) over all N, at lambda = t + i tau.

        total (components, frequencies): A_j over exp(kappa N). No circle is needed to weigh the N apart.
        """
        z = np.exp(self.tilted(t)[0] + (t + 1j * tau) * self.slope)
        return z, generating.ln_generating(z, total, self.expected, self.relative_sd)

    def of_few(self, z: np.ndarray, total: np.ndarray) -> np.ndarray:
        """E[exp(lambda Q); N <= 2] of the same z (frequencies,) and total (components, frequencies)."""
        ln_none, mean, variance = self.without_events
        one = z * (mean @ total)
        return np.exp(ln_none) * (1 + one + (one**2 + z**2 * (variance @ total**2)) / 2)

    def share_of_few(self, t: float) -> float:
        """E[exp(t Q); N <= 2] / E exp(t Q), where the penalty is slope N."""
        return self._along_slope(t)[1]

    def _along_slope(self, t: float) -> tuple[float, float]:
        """Where the penalty is slope N: ln E exp(t Q), and the share that N <= 2 have of E exp(t Q)."""
        kappa, total = self.totals(t)
        z, total = np.exp(np.array([kappa + t * self.slope])), total[:, None]
        ln_g = generating.ln_generating(z, total, self.expected, self.relative_sd)
        return float(ln_g[0]), float((self.of_few(z, total) * np.exp(-ln_g))[0])

    @cached_property
    def counts(self) -> np.ndarray:
        """All N >= 3 outside of which N lies with probability below 1e-50 (Chernoff); fewer are handled apart."""
        ln_g = generating.ln_generating(np.exp(LN_R), self.expected[:, None], self.expected, self.relative_sd).real
        bound = (ln_g - LN_WINDOW) / np.where(LN_R == 0, 1.0, LN_R)
        highest = np.min(bound[LN_R > 0])
        lowest = max(3.0, np.max(bound[LN_R < 0]))
        return np.arange(int(lowest), int(max(highest, lowest)) + 2)

    @cached_property
    def penalties(self) -> np.ndarray:
        """The penalty at every N of the window."""
        return np.asarray(self.penalty(self.counts), dtype=np.float64)

    def count_saddles(self, total: np.ndarray, ln_r: np.ndarray = LN_R) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean of N, its variance, and ln of the saddle-point weight of N, at every weight r^N.

        total (components,): A_j(t). The weight is good to some per cent: enough to choose contours by.
        """
        r = np.exp(ln_r)
        mean, variance = generating.count_moments(r, total, self.expected, self.relative_sd)
        ln_g = generating.ln_generating(r, total[:, None], self.expected, self.relative_sd).real
        return mean, variance, ln_g - mean * ln_r - 0.5 * np.log(2 * np.pi * variance + 1)

    def ln_terms(self, t: float) -> np.ndarray:
        """ln of E[exp(t Q); N] for every N of the window, by the saddle point in N."""
        return self._ln_terms(t, self.counts, self.penalties, LN_R)

    def _ln_terms(self, t: float, counts: np.ndarray, penalties: np.ndarray, ln_r: np.ndarray) -> np.ndarray:
        kappa, totals = self.totals(t)
        mean, _, ln_weight = self.count_saddles(totals, ln_r)
        return t * penalties + kappa * counts + np.interp(counts, mean, ln_weight)

    def cumulant(self, t: float) -> float:
        """ln E[exp(t Q); N >= 3], approximately."""
        return self._coarse._cumulant(t)

    @cached_property
    def _coarse(self) -> "EventSum":
        """This law with values that share cells: what chooses a contour asks for some hundred cumulants."""
        values, weights = cells(self.values, self.weights, COARSE_CELLS)
        return self if len(values) == len(self.values) else replace(self, values=values, weights=weights)

    def _cumulant(self, t: float) -> float:
        """`cumulant` of the values as they are; by a saddle point in N, where the penalty is not slope N."""
        if self.slope is not None:
            ln_g, few = self._along_slope(t)
            if few < MOST_OF_FEW:
                return float(ln_g + np.log1p(-few))
        ln_r = COARSE_LN_R if self.variance_of_n < COARSE_VARIANCE else LN_R
        ln_terms = self._ln_terms(t, *self._few_counts, ln_r)
        largest = ln_terms.max()
        return float(largest + np.log(np.exp(ln_terms - largest).sum()) + np.log(self._stride))

    @property
    def variance_of_n(self) -> float:
        """Variance of N, but for the cut of rates at 0."""
        return float(self.expected.sum() + np.square(self.expected * self.relative_sd).sum())

    @cached_property
    def _stride(self) -> int:
        """Every so many N stand for all in a sum of smooth terms that only has to be about right."""
        return max(1, int(np.sqrt(self.variance_of_n) / PER_DEVIATION)) if self.counts[0] > 3 else 1

    @cached_property
    def _few_counts(self) -> tuple[np.ndarray, np.ndarray]:
        return self.counts[:: self._stride], self.penalties[:: self._stride]

    def scale(self) -> float:
        """The standard deviation of Q over N >= 3, roughly."""
        p = np.exp(self.ln_terms(0.0))
        p = p / p.sum() if p.sum() > 0 else np.full(len(p), 1 / len(p))
        shape = self._of_all / self.weights.sum()
        spread = shape @ self.values**2 - (shape @ self.values) ** 2
        middle = p @ self.penalties
        return float(np.sqrt(p @ (self.penalties - middle) ** 2 + (p @ self.counts) * max(spread, 0.0)))

    def added(self, values: np.ndarray, signal: np.ndarray) -> "EventSum":
        """This law with another component of known rate; values, signal (k,)."""
        weights = np.zeros((len(self.weights) + 1, len(self.values) + len(values)))
        weights[:-1, : len(self.values)] = self.weights
        weights[-1, len(self.values) :] = signal
        y = np.concatenate([self.values, values])
        return EventSum(*merged(y, weights), np.append(self.relative_sd, 0.0), self.penalty, self.slope)


def merged(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values that carry weight, and the weight of each; weights (components, n)."""
    used = weights.sum(axis=0) > 0
    values, weights = values[used], weights[:, used]
    order = np.argsort(values)
    ascending = values[order]
    if (ascending[1:] > ascending[:-1]).all():
        return ascending, weights[:, order]
    distinct, which = np.unique(values, return_inverse=True)
    columns = [np.bincount(which, w, minlength=len(distinct)) for w in weights]
    return distinct, np.array(columns)


def cells(values: np.ndarray, weights: np.ndarray, n: int = CELLS) -> tuple[np.ndarray, np.ndarray]:
    """Ascending values and weights (components, k), k <= n: each value is the mean of what its cell holds."""
    values, weights = merged(values, weights)
    if len(values) <= n:
        return values, weights
    cell = np.minimum((values - values[0]) * (n / np.ptp(values)), n - 1).astype(np.int64)
    held = np.array([np.bincount(cell, w, minlength=n) for w in weights])
    total = held.sum(axis=0)
    used = total > 0
    mean = np.bincount(cell, values * weights.sum(axis=0), minlength=n)[used] / total[used]
    return mean, held[:, used]


def one_process(weights: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (components, n) and sd (components,) with all components of known rate as one Poisson process."""
    known = sd == 0
    if known.sum() < 2:
        return weights, sd
    return np.vstack([weights[~known], weights[known].sum(axis=0)]), np.append(sd[~known], 0.0)
