"""The law of Q by inversion: for each q the line on which its tail is computed accurately."""

from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from engine.inference.exact.atoms import SMALLEST_P, Few
from engine.inference.exact.contour import LN_COPIES, Contour, contour, copies_apart
from engine.inference.exact.event_sum import LN_R, LN_WINDOW, EventSum

LN_LOSS = 5.0  # e-folds of accuracy that a line which was drawn for another q may cost
FIRST_T, GROWTH, MOST_T = 0.1, 1.3, 150  # the first step in t, in units of 1 / sd(Q); how steps grow; how many
MOST_LN = 4.0  # between two tilts, in ln p
LEAST_LN = 0.5  # of -ln p: no line comes closer to the pole at t = 0
MEDIAN_LN = 2.0  # of -ln p: the line from which medians are read
ROOM = 3.0  # how many times its own width the line for signals leaves to them
LEAK = 1e-8
MOST_MOVED = 2.0  # standard deviations of N, of some 9 that a line sees, by which a pool's group may move its mean
LN_BLIND = 12.0  # e-folds of accuracy lost at the lowest q that a median is sought at
SHIFT_SD = 3.0  # signal events, in standard deviations of N, that the circles of the background still serve


class Inverted:
    """N <= 2 event by event, the rest along lines near the saddle point of each q."""

    smallest_p = SMALLEST_P

    def __init__(self, law: EventSum):
        self.law = law
        self.few = Few(law)
        self.mass = 1 - self.few.mass
        self._t, self._k = tilts(law, law.scale())
        self._saddle = np.gradient(self._k, self._t)
        self._ln_p = self._t * self._saddle - self._k + law.cumulant(0.0)
        self._ln_p[[0, -1]] = -np.inf  # no line through the outermost tilts
        self._lines: dict[int, Contour] = {}
        self._wide: Contour | None = None

    def sf(self, q) -> np.ndarray:
        """P(Q >= q); ties count."""
        q = np.asarray(q, dtype=np.float64)
        p = np.array([self._many(x) + self.few.at_least(x) for x in q.ravel()]).reshape(q.shape)
        return np.clip(p, np.finfo(float).tiny, 1.0)

    def tails_without(self, q: float, events: EventSum, group: np.ndarray, groups: int) -> np.ndarray | None:
        """(groups,) P(Q >= q) of a pool that lacks each of so many groups of events, along the line that serves all.

        events: those of the law, not merged; group (n,): of each. The integral is exact along any line; which one it
        is, how far apart copies are and which N count are taken from the whole pool. None where experiments of two
        events or none may matter, the law is discrete, q beyond all lines, or a group has so many of the expected
        events, or none of the pool's, that other N count without it.
        """
        share = np.bincount(group, events.weights.sum(axis=0), groups) / self.law.expected.sum()
        moved = abs((1 - share) * groups / (groups - 1) - 1).max() * self.law.expected.sum()
        if not share.all() or moved > MOST_MOVED * np.sqrt(self.law.variance_of_n):
            return None
        chernoff = self._k - self._t * q
        ln_tail, ln_rest = self._bounds(chernoff)
        if self.law.counts[0] <= 3 or ln_tail < LN_WINDOW or ln_rest < -LN_COPIES:
            return None
        index = self._best(chernoff - ln_tail)
        line = contour(self.law, self._t[index], self.period(index), self.counts(index), keep=True)
        if line.is_blurred:
            return None
        tails = np.array([one.tail(np.array([q]))[0] for one in line.without_each(events, group, groups)])
        return np.clip(tails if line.t > 0 else 1.0 + tails, np.finfo(float).tiny, 1.0)

    def _bounds(self, chernoff: np.ndarray) -> tuple[float, float]:
        """ln of the most that P(Q >= q) and P(Q < q) may be, N >= 3."""
        return chernoff[self._t >= 0].min(), chernoff[self._t <= 0].min()

    def _many(self, q: float) -> float:
        """P(Q >= q, N >= 3)."""
        chernoff = self._k - self._t * q
        ln_tail, ln_rest = self._bounds(chernoff)
        if ln_tail < LN_WINDOW:
            return float(np.exp(max(ln_tail, -700.0)))
        if ln_rest < -LN_COPIES:
            return self.mass
        line = self._line(chernoff - ln_tail)
        tail = float(line.tail(np.array([q - 6 * line.resolution]))[0])
        return min(max(tail if line.t > 0 else self.mass + tail, 0.0), self.mass)

    def _line(self, ln_loss: np.ndarray) -> Contour:
        """A line that loses little accuracy; ln_loss has one entry per tilt."""
        index = min(self._lines, key=lambda i: ln_loss[i], default=None)
        if index is None or ln_loss[index] > LN_LOSS:
            index = self._best(ln_loss)
        if index not in self._lines:
            self._lines[index] = contour(self.law, self._t[index], self.period(index), self.counts(index))
        return self._lines[index]

    def _best(self, ln_loss: np.ndarray) -> int:
        return int(np.argmin(np.where(self._ln_p >= LEAST_LN, ln_loss, np.inf)))

    def period(self, index: int) -> float:
        """The distance of the copies on this line."""
        return copies_apart(self._t, self._k, index, self._ln_p[index])

    def counts(self, index: int, *, all_above: bool = False) -> np.ndarray:
        """Which N of the window the law weighted by exp(t q) sees."""
        terms = self.law.ln_terms(self._t[index])
        seen = np.flatnonzero(terms > terms.max() - LN_COPIES)
        wanted = np.zeros(len(terms), dtype=bool)
        wanted[seen[0] : None if all_above else seen[-1] + 1] = True
        return wanted

    def wide(self) -> tuple[Contour, float, float, float]:
        """The line for medians, with room for signals; the q, the mean and the variance of N that its tilt gives."""
        index = int(np.flatnonzero((self._t > 0) & (self._ln_p > MEDIAN_LN))[0])
        if self._wide is None:
            counts = self.counts(index, all_above=True)
            self._wide = contour(self.law, self._t[index], ROOM * self.period(index), counts, keep=True)
        mean, variance, _ = self.law.count_saddles(self.law.totals(self._t[index])[1])
        middle = len(LN_R) // 2
        return self._wide, float(self._saddle[index]), mean[middle], variance[middle]

    def median(self) -> float:
        """The smallest q with P(Q <= q) >= 1/2."""
        line, near, *_ = self.wide()
        quick = median_on(line, self.few, self.mass, near)
        return crossing(self._many, self.few, self._saddle[0], self._saddle[-1]) if quick is None else quick


def tilts(law: EventSum, sd: float, ln_deepest: float = -LN_WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Ascending t, 0 among them, out to where the tail is below exp(-ln_deepest); ln E[exp(t Q); N >= 3]."""
    sides = [_side(law, sign * FIRST_T / sd, ln_deepest) for sign in (-1, 1)]
    (down, k_down), (up, k_up) = sides
    return np.array(down[:0:-1] + up), np.array(k_down[:0:-1] + k_up)


def _side(law: EventSum, step: float, ln_deepest: float) -> tuple[list[float], list[float]]:
    """Tilts from 0 in growing steps, but never more than MOST_LN of the tail's exponent t K' - K apart."""
    t, k, ln_p = [0.0], [law.cumulant(0.0)], 0.0
    while len(t) < MOST_T and ln_p < ln_deepest:
        value = law.cumulant(t[-1] + step)
        reached = (t[-1] + step) * (value - k[-1]) / step - (value - k[0])
        if reached - ln_p > MOST_LN and abs(step) > 1e-9 * abs(t[-1]):
            step /= 2
            continue
        t, k, ln_p = [*t, t[-1] + step], [*k, value], reached
        step *= GROWTH
    return t, k


class WithSignal:
    """The law with a signal added: its median from the background's own tables, all else by an inversion anew.

    values, signal (k,): the events' values, and how many of each are expected.
    """

    smallest_p = SMALLEST_P

    def __init__(self, null: Inverted, values: np.ndarray, signal: np.ndarray):
        self._null, self._values, self._signal = null, values, signal

    @cached_property
    def full(self) -> Inverted:
        """The law from scratch."""
        return Inverted(self._null.law.added(self._values, self._signal))

    def sf(self, q) -> np.ndarray:
        """P(Q >= q); ties count."""
        return self.full.sf(q)

    def median(self) -> float:
        """The smallest q with P(Q <= q) >= 1/2."""
        if self._null.law.counts[0] > 3:
            quick = self._quick_median()
            if quick is not None:
                return quick
        return self.full.median()

    def _quick_median(self) -> float | None:
        """The median if the signal fits the background's circles and period, and too few events never happen."""
        line, near, mean, variance = self._null.wide()
        weights = self._signal * np.exp(line.t * self._values - line.kappa)
        extra, counts = weights.sum(), self._null.law.counts
        if extra > SHIFT_SD * np.sqrt(variance) or mean + extra + 9 * np.sqrt(variance + extra) > counts[-1]:
            return None
        penalties = np.interp([mean, mean + extra], counts, self._null.law.penalties)
        near += weights @ self._values + penalties[1] - penalties[0]
        return median_on(line.with_signal(self._values, self._signal), None, 1.0, near)


def median_on(line: Contour, few: Few | None, mass: float, near: float) -> float | None:
    """The median read from one line (t > 0), or None where the law overflows the line's period or accuracy.

    few: the law of N < 3, if it counts; mass: the probability of the rest; near: about where the rest lies.
    """
    middle, half = line.middle(near), 0.999 * np.pi / line.step
    if max(line.leak(middle - half), line.leak(middle + half)) > LEAK:
        return None
    low, high = max(middle - half, line.lowest(LN_BLIND)), middle + half
    if low >= high or line.tail(np.array([low]))[0] + (few.above(low) if few else 0.0) < 0.5:
        return None

    def many(q: float) -> float:
        return float(line.tail(np.array([q]))[0]) if low <= q < high else mass * (q < low)

    return crossing(many, few, low, high)


def crossing(many, few: Few | None, low: float, high: float) -> float:
    """The q at which P(Q > q) falls through 1/2; many(q): the part with N >= 3, which falls between low and high."""
    margin = high - low
    if few:
        low, high = min(low, few.lowest), max(high, few.highest)

    def excess(q: float) -> float:
        return many(q) - 0.5 + (few.above(q) if few else 0.0)

    return float(brentq(excess, low - margin, high + margin, xtol=1e-13 * margin))
