"""The smallest local Poisson p over many thresholds in TS: an excess sought at every height of the score at once.

There is no threshold to choose: the thresholds are set by background alone, evenly in the logarithm of the events
expected above them, and the trial factor of looking at all of them is in the null. No threshold has fewer effective
electron recoils of the pool above it than `pool_events`: a tail of heavier or lighter events says nothing of leakage.

What is expected above a threshold is itself a count of pool events. Its null carries that (`pool_error`): of each kind
the k events of weight w above the highest threshold stand for w Gamma(k + 1), those of every bin below for
w Gamma(k), so that above each threshold they are w Gamma(k + 1) of all its events, as in `tail_count`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import rates, scan
from engine.inference.hypothesis import Law, Null, Scored
from engine.inference.pools import KINDS, effective_size

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ("score",)
LAW_VERSION = 3  # the first left out up to 1e-5 of p; the second nothing where no event lies above a threshold

REACH = 6.0  # standard deviations down to which its null is known: every further one costs a recursion per rate more


class Options(options.Options):
    """thresholds: how many; pool_events: effective electron recoils of the pool that every one of them has above it at
    least (of all kinds together where no electron recoil is expected); smallest_b, largest_b: expected background
    events above the highest and the lowest at most; pool_error: of what is expected above thresholds, in the null."""

    thresholds: int = Field(scan.N_THRESHOLDS, ge=2, le=1000)
    pool_events: float = Field(25.0, ge=1)
    smallest_b: float = Field(0.1, gt=0)
    largest_b: float = Field(scan.LARGEST_B, gt=0)
    pool_error: bool = True


@dataclass(frozen=True)
class ExcessScan:
    """q = max over thresholds of -ln P(Poisson(b_k) >= n_k)."""

    null: Null
    options: Options

    @cached_property
    def edges(self) -> np.ndarray:
        """Thresholds in TS, falling: b_k events are expected above the k-th."""
        return self._thresholds[0]

    @cached_property
    def _thresholds(self) -> tuple[np.ndarray, np.ndarray]:
        law, given = self.null.reference, self.options
        order = np.argsort(-law.events.ts, kind="stable")
        order = order[law.total[order] > 0]
        ts, expected = law.events.ts[order], law.total[order]
        above, w = np.cumsum(expected), np.where(_counted(law)[order], expected, 0.0)
        # kinds of other weights apart, and no place beyond which a heavy event makes them fewer again
        short = np.flatnonzero(np.cumsum(w) ** 2 < given.pool_events * np.cumsum(w * w))
        last = min(int(short[-1]) + 1 if len(short) else 0, len(ts) - 1)  # at least so many down to it
        highest = min(int(np.searchsorted(-ts, -ts[last], side="right")), len(ts) - 1)
        smallest = max(given.smallest_b, above[highest])
        wanted = scan.thresholds(smallest, above[-1], n=given.thresholds, largest_b=max(given.largest_b, 2 * smallest))
        edges = np.unique(ts[np.minimum(np.searchsorted(above, wanted), len(ts) - 1)])[::-1]
        b = np.array([expected[ts > edge].sum() for edge in edges])
        return edges[b > 0], b[b > 0]

    @cached_property
    def table(self) -> scan.LocalSignificances:
        """Local significance by threshold and count."""
        return scan.table(self._thresholds[1])

    @property
    def n_bins(self) -> int:
        """Bins between the thresholds, and one below the lowest."""
        return len(self.edges) + 1

    def bins(self, events: Scored) -> np.ndarray:
        """(n,) 0 above the highest threshold, n_bins - 1 at or below the lowest."""
        return np.searchsorted(-self.edges, -events.ts, side="right")

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The largest -ln p of each toy."""
        return scan.statistic(np.rint(totals[:, :-1]).astype(np.int64), self.table.minus_ln_p)

    @property
    def pool_limited(self) -> bool:
        """Whether the half that toys draw from has fewer than half as many electron recoils above the highest threshold
        as the other must have: as many would be there by chance in every second pool."""
        law = self.null.drawn
        return effective_size(law.total[_counted(law) & (law.events.ts > self.edges[0])]) < self.options.pool_events / 2

    @cached_property
    def _means(self) -> np.ndarray:
        bins = self.bins(self.null.drawn.events)
        rows = [np.bincount(bins, w, minlength=self.n_bins)[:-1] for w in self.null.drawn.grouped.weights]
        return np.array(rows)

    @cached_property
    def pool(self) -> tuple[np.ndarray, np.ndarray]:
        """(thresholds,) mean of what each bin expects, over its nominal value, and the shape of its Gamma law."""
        bins, mean, variance = self.bins(self.null.drawn.events), 0.0, 0.0
        for kind in range(int(self.null.drawn.events.kind.max()) + 1):
            w = np.where(self.null.drawn.events.kind == kind, self.null.drawn.total, 0.0)
            sums = [np.bincount(bins, power, minlength=self.n_bins)[:-1] for power in (w, w * w)]
            _, weight = self.null.effective_above(bins == 0)[kind]
            mean, variance = mean + sums[0], variance + sums[1]
            mean[0], variance[0] = mean[0] + weight, variance[0] + weight**2
        nominal = self._means.sum(axis=0)
        known = (nominal > 0) & (variance > 0)
        shape = np.where(known, mean**2 / np.where(known, variance, 1.0), np.inf)
        return np.where(known, mean / np.where(known, nominal, 1.0), 1.0), shape

    def widen(self, totals: np.ndarray, expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Null counts whose expectation in each bin has a factor with the pool's Gamma error: thinned where it is
        below 1, and with a Poisson count more where it is above."""
        if not self.options.pool_error:
            return totals
        factor, shape = self.pool
        finite = np.isfinite(shape)
        drawn = np.where(finite, factor * rng.gamma(np.where(finite, shape, 1.0), size=(len(totals), len(shape)))
                         / np.where(finite, shape, 1.0), factor)  # fmt: skip
        counts = np.rint(totals[:, :-1]).astype(np.int64)
        kept = rng.binomial(counts, np.minimum(drawn, 1.0))
        more = rng.poisson(np.maximum(drawn - 1, 0.0) * expected[:, :-1])
        return np.column_stack([kept + more, totals[:, -1]]).astype(np.float64)

    @cached_property
    def _toys(self) -> scan.ScanLaw:
        return scan.ScanLaw(self.table, rates.nodes(self._means, self.null.drawn.grouped.relative_sd, z=REACH))

    @cached_property
    def background(self) -> scan.ScanLaw:
        """The law of q under background, widened as its toys are."""
        if not self.options.pool_error:
            return self._toys
        factor, shape = self.pool
        nodes = replace(self._toys.nodes, means=self._toys.nodes.means * factor)
        return scan.ScanLaw(self.table, nodes, shape)

    def unwidened(self) -> scan.ScanLaw:
        """The law of q under background as if the pool were the truth."""
        return self._toys

    def distributions(self, signal: np.ndarray) -> tuple[scan.ScanLaw, scan.ScanLaw]:
        """The law of q under background, widened as its toys are, and with a signal of these expected events."""
        more = np.bincount(self.bins(self.null.drawn.events), signal, minlength=self.n_bins)[:-1]
        nodes = rates.nodes(self._means, self.null.drawn.grouped.relative_sd, more, z=0)  # for medians
        return self.background, scan.ScanLaw(self.table, nodes)


def _counted(law: Law) -> np.ndarray:
    """(events,) the electron recoils, where any is expected, else all."""
    electron = law.events.kind == KINDS.index("ER")
    return electron if law.total[electron].any() else np.full(len(electron), True)


def prepare(null: Null, options: Options) -> ExcessScan:
    """The scan under this null."""
    return ExcessScan(null, options)
