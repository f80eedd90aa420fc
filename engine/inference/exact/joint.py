"""The joint law of the number of events N and the sum S of their values: P(S >= s_N) for critical values s_N.

One line in the plane of the transform of S serves every N and every set of critical values: the terms of the
generating function in z are read off circles (`contour`), and the tail in S of each by the inversion along the line.
Where N is some hundreds or more, its terms are smooth on the scale of its standard deviation, and every few of
them stand for all: a trapezoidal sum over a smooth bump is good to 2 exp(-2 pi^2 (sd / stride)^2).

A line keeps its accuracy where the tail that it gives is not far below Chernoff's bound. Where s_N lies far below
what S is given N, as it does where a signal makes N large, the upper tail is nearly all of P(N), and a line with
t > 0 has it as a huge factor times a sum that nearly vanishes. Such an N is P(N) less P(S < s_N, N), along t < 0; and
every N is taken from a line that loses little of the accuracy of p, of which there may be several.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from engine.inference.exact import generating
from engine.inference.exact.atoms import Few, count_law
from engine.inference.exact.contour import (
    FEW_VALUES,
    LN_COPIES,
    LN_SILENT,
    ROWS,
    TAPER,
    Shelf,
    copies_apart,
    shelves,
    transforms,
)  # fmt: skip
from engine.inference.exact.event_sum import EventSum, cells, one_process
from engine.inference.exact.inversion import tilts

STRIDE = 0.5  # in standard deviations of N
MOST_BLOCKS = 64  # of ROWS frequencies each; only a few events, or ties, need more, and are blurred
LN_LOSS = 5.0  # e-folds of accuracy that a line which was drawn for other critical values may cost
TIES = 1e-4  # of a transform that has not died out by the last frequency: below, no value is heavy
LEAST_T = 1.0  # of a line's tilt, in 1 / sd(S): closer to the pole at 0, more frequencies are needed
LN_UNSEEN = 30.0  # e-folds below a tail from which on N do not matter to it
LN_LEAST = (-35.0, -70.0, -np.inf)  # of P(N) that is looked at, as p turns out smaller
ACCURACY = 1e-6
SMALLEST_P = 1e-45
LN_LARGEST = 700.0  # beyond, exp() overflows
FAR = 100.0  # in ranges of the values: what no sum of two reaches
NO_EVENTS = 1e-25  # probability of N <= 2 that is left out


@dataclass(frozen=True)
class JointLine:
    """E[exp(lambda S); N] over exp(ln_scale) along Re lambda = t: h (counts, frequencies), at tau (frequencies,).

    first: the place of the first count; resolution: width by which ties are blurred, 0 for none that matter; ln_p: of
    the smallest tail that it is good for.
    """

    first: int
    t: float
    step: float
    tau: np.ndarray
    h: np.ndarray
    ln_scale: float
    resolution: float
    ln_p: float

    def tail(self, critical: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(k,) P(S >= s_N, N) for t > 0, -P(S < s_N, N) for t < 0, at some places (k,) of critical (counts,)."""
        places = places[(places >= self.first) & (places < self.first + len(self.h))]
        s = critical[places] - 6 * self.resolution
        terms = self.h[places - self.first] * (np.where(self.tau == 0, 0.5, 1.0) / (self.t + 1j * self.tau))
        total = (terms * np.exp(-1j * s[:, None] * self.tau)).sum(axis=1).real
        return total * (self.step / np.pi) * np.exp(np.minimum(self.ln_scale - self.t * s, LN_LARGEST))


class JointLaw:
    """P(S >= s_N) where N and S are those of one experiment, and s_N one of many functions of N.

    values (n,), weights (components, n): expected events; relative_sd (components,): of each rate; smooth: whether
    s_N is so smooth that every few N stand for all; smallest_p: tails below it are not asked for.
    """

    def __init__(self, values, weights, relative_sd, *, smooth: bool = True, smallest_p: float = SMALLEST_P):
        weights, sd = np.asarray(weights, dtype=np.float64), np.asarray(relative_sd, dtype=np.float64)
        present = weights.sum(axis=1) > 0
        weights, sd = one_process(weights[present], sd[present])
        self._law = law = EventSum(*cells(np.asarray(values), weights), sd, np.zeros_like)
        self._window = law.counts
        spread = np.sqrt(law.expected.sum() + np.square(law.expected * law.relative_sd).sum())
        self._stride = max(1, int(STRIDE * spread)) if smooth and self._window[0] > 3 else 1
        self.counts = self._window[:: self._stride]
        self._with_few = self._window[0] == 3 and Few(law).mass > NO_EVENTS
        scale = law.scale()
        self._t, self._k = tilts(law, scale, -np.log(smallest_p))
        self._usable = np.flatnonzero(abs(self._t) * scale > LEAST_T)[1:-1]
        self._lines: dict[int, JointLine] = {}  # by the place of the tilt among the usable ones

    def tail(self, critical: Callable) -> float:
        """P(S >= s_N); critical: integers (k,) -> s_N, -inf for all that have N events and inf for none."""
        few = self._of_few(critical) if self._with_few else 0.0
        for ln_least in LN_LEAST:  # a critical value for N that never occur can cost more than all else
            seen = self._ln_p > ln_least
            s = np.full(len(self.counts), np.inf)
            s[seen] = critical(self.counts[seen])
            p = few + self._stride * (self._p[np.isneginf(s)].sum() + self._some(s))
            if p > np.exp(ln_least) / ACCURACY or seen.all():
                break
        return float(np.clip(p, np.finfo(float).tiny, 1.0))

    def _of_few(self, critical: Callable) -> float:
        far = FAR * (np.ptp(self._law.values) + abs(self._law.values).max())
        s = np.clip(critical(np.arange(3)), -far, far)
        return Few(replace(self._law, penalty=lambda n: -s[n])).at_least(0.0)

    @cached_property
    def _p(self) -> np.ndarray:
        """(counts,) P(N)."""
        return count_law(self._law)[1][:: self._stride]

    @cached_property
    def _ln_p(self) -> np.ndarray:
        """(counts,) ln P(N), about."""
        return self._law.ln_terms(0.0)[:: self._stride]

    @cached_property
    def _ln_terms(self) -> np.ndarray:
        """(usable tilts, counts) ln E[exp(t S); N], about."""
        return np.array([self._law.ln_terms(t)[:: self._stride] for t in self._t[self._usable]])

    def _some(self, s: np.ndarray) -> float:
        """The part of those N whose s is finite, each from a line that loses little of the accuracy of their sum."""
        finite, t = np.isfinite(s), self._t[self._usable]
        s = np.where(finite, s, 0.0)
        ln_bound = self._ln_terms - t[:, None] * s  # Chernoff's, of P(S >= s, N) for t > 0 and P(S < s, N) for t < 0
        upper, lower = ln_bound[t > 0].min(axis=0), ln_bound[t < 0].min(axis=0)
        ln_p = np.minimum(upper, self._ln_p)[finite].max(initial=-np.inf)
        mostly = (upper > ln_p + LN_LOSS) & (lower < upper)
        ln_bound, least = np.where((t < 0)[:, None] == mostly, ln_bound, np.inf), np.where(mostly, lower, upper)
        p, left = float(self._p[finite & mostly].sum()), np.flatnonzero(finite & (least > ln_p - LN_COPIES))
        enough = max(ln_p + LN_LOSS, least[left].max(initial=-np.inf))
        while len(left):
            index = self._index(ln_bound[:, left], enough)
            served = left[ln_bound[index, left] <= enough]
            p += self._line(index, ln_p, s, served).tail(s, served).sum()
            left = np.setdiff1d(left, served)
        return p

    def _index(self, ln_bound: np.ndarray, enough: float) -> int:
        """Of the tilt whose bounds are small enough for most of the counts, of one with a line already if there is one.

        ln_bound (usable tilts, counts).
        """
        served = (ln_bound <= enough).sum(axis=1)
        best = np.flatnonzero(served == served.max())
        there = [i for i in best if i in self._lines]
        return int(there[0] if there else best[np.argmin(logsumexp(ln_bound[best], axis=1))])

    def _line(self, index: int, ln_p: float, s: np.ndarray, served: np.ndarray) -> JointLine:
        """The line of a tilt, as far as it is good for exp(ln_p) and these of the counts."""
        line = self._lines.get(index)
        if line is None or line.ln_p > ln_p + LN_LOSS:
            ln_weight = np.full(len(s), -np.inf)
            ln_weight[served] = -self._t[self._usable[index]] * s[served]
            ln_weight -= (self._ln_terms[index] + ln_weight)[served].max()
            line = self._lines[index] = self._new_line(int(self._usable[index]), ln_p, ln_weight)
        return line

    def _new_line(self, index: int, ln_p: float, ln_weight: np.ndarray) -> JointLine:
        """Frequencies are added until the terms, weighted as the tail weighs them (counts,), have died out.

        A term that is small beside others before it is weighted would be cut off too early.
        """
        t = float(self._t[index])
        step = 2 * np.pi / copies_apart(self._t, self._k, index, max(-ln_p, 0.0))
        seen = np.flatnonzero(self._ln_p > min(ln_p, 0.0) - LN_UNSEEN)
        wanted = (self._window >= self.counts[seen[0]]) & (self._window <= self.counts[seen[-1]])
        floor, ln_scale, _, weights = shelves(self._law, t, wanted)
        weight = np.exp(np.minimum(ln_weight[seen[0] : seen[-1] + 1] + ln_scale, LN_LARGEST))[:, None]
        parts = []
        for block, total in enumerate(transforms(self._law.values, weights, step, MOST_BLOCKS * ROWS)):
            tau = step * np.arange(block * ROWS, (block + 1) * ROWS)
            parts.append(self._terms(floor, tau, total))
            left = (weight * abs(parts[-1][:, -ROWS // 2 :])).max() / (weight * abs(parts[0][:, :1])).max()
            if left < np.exp(LN_SILENT):
                break
        h = np.concatenate(parts, axis=1)
        tau = step * np.arange(h.shape[1])
        blur = TAPER / tau[-1] if left > TIES else 0.0
        ties = blur if len(self._law.values) <= FEW_VALUES else 0.0
        return JointLine(int(seen[0]), t, step, tau, h * np.exp(-0.5 * (blur * tau) ** 2), ln_scale, ties, ln_p)

    def _terms(self, floor: list[Shelf], tau: np.ndarray, total: np.ndarray) -> np.ndarray:
        """(counts, frequencies): E[exp(lambda S); N] over exp(ln_scale); total (components, frequencies): A_j."""
        turn = np.angle(total.sum(axis=0))  # taken out of every event, so that the arc lies where the function is
        straight, terms = total * np.exp(-1j * turn), []
        for shelf in floor:
            some = np.isin(shelf.counts, self.counts)
            counts, law = shelf.counts[some], self._law
            ln_g = generating.ln_generating(shelf.z, straight[:, :, None], law.expected, law.relative_sd)
            circle = np.exp(-1j * counts[:, None] * np.angle(shelf.z)) / shelf.n_circle
            phase = np.exp(shelf.ln_weight[some][:, None] + 1j * counts[:, None] * turn)
            terms.append(phase * (circle @ np.exp(ln_g - shelf.ln_top).T))
        return np.concatenate(terms)
