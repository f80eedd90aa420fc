"""The likelihood ratio with the true signal density in TS: an oracle, the ceiling of every test on this score.

q = sum ln(1 + s f_s(TS_i) / (B f_b(TS_i))), the extended likelihood ratio up to a constant. Both densities are taken in
bins of equal expectation under background plus signal, from the half of the pool that toys do not draw from, so
that the ratio is monotone-invariant. Its null depends on the point: no toys, its law alone.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact import Distribution
from engine.inference.exact.sums import Sums
from engine.inference.hypothesis import Null

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = True
MODEL_DEPENDENT = True
NEEDS = ("score",)


class Options(options.Options):
    """bins: of TS, half of them of equal expectation under background, half under the signal."""

    bins: int = Field(100, ge=2, le=1000)


@dataclass(frozen=True)
class KnownSignal:
    """q = sum over events of ln(1 + s_k / b_k), k the bin of the event."""

    null: Null
    n_bins: int

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with the signal that the ratio is made for, of these expected events."""
        law = self.null.drawn
        place, n_bins = self._bins(signal)
        background = np.bincount(place, law.total, minlength=n_bins)
        ratio = np.bincount(place, signal, minlength=n_bins) / np.maximum(background, _floor(background))
        sums = Sums(np.log1p(ratio)[place], law.weights, law.relative_sd, np.zeros_like, 1.0)
        return sums.distribution(), sums.distribution(signal)

    def _bins(self, signal: np.ndarray) -> tuple[np.ndarray, int]:
        """(n,) bin of every drawn event, and how many there are."""
        law, edges = self.null.drawn, []
        order = np.argsort(law.events.ts, kind="stable")
        for expected in (law.total, signal):
            below = np.cumsum(expected[order])
            if below[-1] > 0:
                half = self.n_bins // 2
                places = np.searchsorted(below / below[-1], np.arange(1, half) / half)
                edges.append(law.events.ts[order][np.minimum(places, len(order) - 1)])
        edges = np.unique(np.concatenate(edges))
        return np.searchsorted(edges, law.events.ts, side="left"), len(edges) + 1


def _floor(background: np.ndarray) -> float:
    """Expected events that stand for a bin where the pool has none: a tenth of the least that it has elsewhere."""
    return 0.1 * float(background[background > 0].min())


def prepare(null: Null, options: Options) -> KnownSignal:
    """The oracle on this score."""
    return KnownSignal(null, options.bins)
