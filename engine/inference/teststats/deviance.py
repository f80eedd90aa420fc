"""Goodness of fit: the binned Poisson likelihood ratio to the saturated model, in equal-probability bins of TS.

The bins hold equal expectations under background alone, so that no monotone map of TS changes them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import rates
from engine.inference.exact.bins import DevianceLaw, deviance
from engine.inference.hypothesis import Null, Scored

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ("score",)
LAW_VERSION = 2  # the first was wrong where rates move a bin by more than some three of its count's deviations


class Options(options.Options):
    """bins: how many, of equal expectation under background alone; at least one background event in each."""

    bins: int = Field(64, ge=2, le=4096)


@dataclass(frozen=True)
class Deviance:
    """q = 2 sum_k [n_k ln(n_k / m_k) - (n_k - m_k)], m_k expected in each bin."""

    null: Null
    most_bins: int
    sees_deficit = True  # of events in any bin

    @cached_property
    def edges(self) -> np.ndarray:
        """Scores between the bins, rising."""
        law = self.null.reference
        n_bins = max(2, min(self.most_bins, int(self.null.n_background)))
        order = np.argsort(law.events.ts, kind="stable")
        below = np.cumsum(law.total[order]) / law.n_expected
        places = np.searchsorted(below, np.arange(1, n_bins) / n_bins)
        return np.unique(law.events.ts[order][np.minimum(places, len(order) - 1)])

    @property
    def n_bins(self) -> int:
        """Bins; fewer than asked for where scores are tied or events are few."""
        return len(self.edges) + 1

    def bins(self, events: Scored) -> np.ndarray:
        """(n,) bin of each event, rising with TS; an edge belongs to the bin below it."""
        return np.searchsorted(self.edges, events.ts, side="left")

    @cached_property
    def expected(self) -> np.ndarray:
        """(bins,) m_k."""
        law = self.null.reference
        expected = np.bincount(self.bins(law.events), law.total, minlength=self.n_bins)
        return np.maximum(expected, 1e-9 * law.n_expected)

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The deviance of each toy."""
        return deviance(totals, self.expected)

    def _law(self, signal: np.ndarray | None, **reach: float) -> DevianceLaw:
        law = self.null.drawn.grouped
        bins = self.bins(law.events)
        means = np.array([np.bincount(bins, w, minlength=self.n_bins) for w in law.weights])
        more = None if signal is None else np.bincount(bins, signal, minlength=self.n_bins)
        return DevianceLaw(self.expected, rates.nodes(means, law.relative_sd, more, **reach))

    @cached_property
    def background(self) -> DevianceLaw:
        """The law of q under background."""
        return self._law(None)

    def distributions(self, signal: np.ndarray) -> tuple[DevianceLaw, DevianceLaw]:
        """The law of q under background, and with a signal of these expected events, for its median."""
        return self.background, self._law(signal, z=0, step=1.5)


def prepare(null: Null, options: Options) -> Deviance:
    """The deviance under this null."""
    return Deviance(null, options.bins)
