"""The tail of a sum of N independent values, N fixed: a table of ln P(S >= s | N)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from engine.inference.exact.contour import LN_COPIES, ROWS, Contour, copies_apart, transforms

TILTS = np.concatenate([-np.geomspace(300, 1e-3, 120), [0.0], np.geomspace(1e-3, 300, 120)])
LN_LAST = -150.0  # the tables end where the Chernoff bound falls below
LN_LOSS, LEAST_LN = 14.0, 0.5  # as for `Inverted`; of 36 e-folds, and lines are what a table costs
STEP_U = 0.1  # of the tables, in standard deviations of the sum
LOWEST_U = -9.0
LN_SILENT = -28.0
MOST_ROWS = 32


@dataclass(frozen=True)
class Shape:
    """The law of one event's value, standardised: y (n,) with mean 0 and standard deviation 1 under p (n,)."""

    y: np.ndarray
    p: np.ndarray

    @cached_property
    def cumulants(self) -> np.ndarray:
        """k(t) = ln E exp(t y) at TILTS."""
        return np.array([logsumexp(t * self.y, b=self.p) for t in TILTS])

    def line(self, n: int, index: int) -> Contour:
        """The line through TILTS[index] for the sum of n values."""
        t, k = TILTS[index], n * self.cumulants
        step = 2 * np.pi / copies_apart(TILTS, k, index, t * np.gradient(k, TILTS)[index] - k[index])
        tilted = (self.p * np.exp(t * self.y - self.cumulants[index]))[None]
        phi = []
        for total in transforms(self.y, tilted, step, MOST_ROWS * ROWS):
            phi.append(total[0] ** n)
            if abs(phi[-1][-ROWS // 2 :]).max() < np.exp(LN_SILENT):
                break
        phi = np.concatenate(phi)
        return Contour(t, step, step * np.arange(len(phi)), phi, k[index], 0.0, 0.0, np.zeros(0), ())


@dataclass(frozen=True)
class TailTable:
    """ln P(S >= s | N) against u = s / sqrt(N): a spline, and beyond its end a line with the slope found there."""

    u: np.ndarray
    ln_p: np.ndarray

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.u, self.ln_p)

    @cached_property
    def _slope(self) -> float:
        return float((self.ln_p[-1] - self.ln_p[-2]) / (self.u[-1] - self.u[-2]))

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """ln p, falling in u without end."""
        inside = self._spline(np.clip(u, self.u[0], self.u[-1]))
        return np.minimum(inside + self._slope * np.maximum(u - self.u[-1], 0), 0.0)

    @cached_property
    def _inverse(self) -> tuple[np.ndarray, np.ndarray]:
        u = np.linspace(self.u[0], self.u[-1], 20 * len(self.u))
        return np.maximum.accumulate(-self._spline(u)), u

    def critical(self, ln_p: np.ndarray) -> np.ndarray:
        """The u at which the tail falls to exp(ln_p), of any shape."""
        q, u = self._inverse
        return np.interp(-ln_p, q, u) + np.minimum(ln_p - self.ln_p[-1], 0.0) / self._slope


def table(shape: Shape, n: int, *, highest_u: float | None = None) -> TailTable:
    """The tail of a sum of n >= 3 standardised values; ends where p is below exp(LN_LAST) or at highest_u."""
    k, lines = n * shape.cumulants, {}
    ln_p = TILTS * np.gradient(k, TILTS) - k
    ln_p[[0, -1]] = -np.inf  # no line through the outermost tilts
    us, ln_tails = [], []
    for u in np.arange(LOWEST_U, min(np.sqrt(n) * shape.y.max(), highest_u or np.inf), STEP_U):
        chernoff = k - TILTS * u * np.sqrt(n)
        ln_tail = chernoff[TILTS >= 0].min()
        if ln_tail < LN_LAST and highest_u is None:
            break
        us.append(u)
        ln_tails.append(_ln_tail(shape, n, u * np.sqrt(n), lines, chernoff, ln_p))
    return TailTable(np.array(us), np.minimum.accumulate(np.minimum(ln_tails, 0.0)))


def _ln_tail(shape: Shape, n: int, q: float, lines: dict[int, Contour], chernoff: np.ndarray, ln_p: np.ndarray):
    """ln P(S >= q) along a line that loses little accuracy, taken from `lines` or added to them."""
    ln_tail = chernoff[TILTS >= 0].min()
    if chernoff[TILTS <= 0].min() < -LN_COPIES:
        return 0.0
    index = min(lines, key=lambda i: chernoff[i], default=None)
    if index is None or chernoff[index] - ln_tail > LN_LOSS:
        index = int(np.argmin(np.where(ln_p >= LEAST_LN, chernoff, np.inf)))
        if index not in lines:
            lines[index] = shape.line(n, index)
    p = float(lines[index].tail(np.array([q]))[0]) + (0.0 if lines[index].t > 0 else 1.0)
    return np.log(p) if p > 0 else ln_tail
