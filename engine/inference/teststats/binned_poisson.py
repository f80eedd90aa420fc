"""The XENONnT paper's classical line: -2 ln of the Poisson probability of a list's counts in bins of (cS1, cS2).

(arXiv:2110.12248, section VII E and Fig. 9.) The paper bootstraps the distribution under background, and with a signal,
and takes what it tends to; here mean and variance of each bin are sums over the Poisson law, and the sum over bins is
taken to be normal. It names no bins: `bins` along each axis, 69 of the public simulation that it ran (laidbax).
As -2 ln L without a ratio it is no test of one hypothesis against another, and its tail is wider than a normal one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import rates
from engine.inference.exact.normal import NormalLaw, ln_poisson_moments
from engine.inference.hypothesis import Null, Scored

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = False
NEEDS = ()


class Options(options.Options):
    """bins: along cS1 and along cS2, equally wide, from the smallest to the largest of the pool."""

    bins: int = Field(69, ge=1, le=1000)


@dataclass(frozen=True)
class BinnedPoisson:
    """q = -2 sum_k ln Poisson(n_k; b_k), b_k no less than one event of the pool stands for."""

    null: Null
    n_bins: int

    @cached_property
    def _edges(self) -> list[np.ndarray]:
        sides = self.null.reference.events, self.null.drawn.events
        charges = [np.concatenate([getattr(events, name) for events in sides]) for name in ("cs1_pe", "cs2_pe")]
        return [np.histogram_bin_edges(values, self.n_bins) for values in charges]

    def _binned(self, events: Scored, weights: np.ndarray) -> np.ndarray:
        """(rows, bins) from weights (rows, events)."""
        return np.array([np.histogram2d(events.cs1_pe, events.cs2_pe, self._edges, weights=w)[0].ravel()
                         for w in weights])  # fmt: skip

    @cached_property
    def _expected(self) -> np.ndarray:
        """(bins,) b_k."""
        law = self.null.reference
        total = law.total
        return np.maximum(self._binned(law.events, total[None])[0], total[total > 0].mean())

    @cached_property
    def _nodes(self) -> rates.Nodes:
        law = self.null.drawn.grouped
        return rates.nodes(self._binned(law.events, law.weights), law.relative_sd)

    def _law(self, signal: np.ndarray) -> NormalLaw:
        """With so many more events (bins,): the variance of q at given rates, and of its mean as they move."""
        moments = [ln_poisson_moments(self._expected, means + signal) for means in self._nodes.means]
        mean, variance = (np.array([each.sum() for each in part]) for part in zip(*moments, strict=True))
        centre = float(self._nodes.weights @ mean)
        return NormalLaw(centre, float(np.sqrt(self._nodes.weights @ (variance + np.square(mean - centre)))))

    @cached_property
    def background(self) -> NormalLaw:
        """The law of q under background."""
        return self._law(np.zeros(self.n_bins**2))

    def distributions(self, signal: np.ndarray) -> tuple[NormalLaw, NormalLaw]:
        """The law of q under background, and with these expected signal events."""
        return self.background, self._law(self._binned(self.null.drawn.events, signal[None])[0])


def prepare(null: Null, options: Options) -> BinnedPoisson:
    """The Poisson likelihood of counts in (cS1, cS2)."""
    return BinnedPoisson(null, options.bins)
