"""The companion paper's test (arXiv:2110.12248, Eqs. 12 and 13), literally: a formula on expected histograms of TS.

The histogram expected under background alone is compared with that of background plus signal; q is read as a
chi-square of one degree of freedom. Nothing fluctuates: it reproduces the paper's Figs. 7 to 9, and no rate of false
alarms stands behind its p.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from engine import options
from engine.inference.exact.pearson import AsimovLaw, ChiSquareLaw
from engine.inference.hypothesis import Null

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score",)


class Options(options.Options):
    """bins: equally wide in TS, from the lowest to the highest score of the pool."""

    bins: int = Field(50, ge=2, le=10_000)


@dataclass(frozen=True)
class Pearson:
    """q = sum_k (b_k - n_k)^2 / (b_k + n_k) for the expected n_k."""

    null: Null
    n_bins: int
    background = ChiSquareLaw()  # whatever the truth

    def distributions(self, signal: np.ndarray) -> tuple[ChiSquareLaw, AsimovLaw]:
        """What the paper takes for the law of q, and all of q at its value with these expected signal events."""
        law = self.null.drawn
        edges = np.histogram_bin_edges(law.events.ts, self.n_bins)
        background, more = (np.histogram(law.events.ts, edges, weights=w)[0] for w in (law.total, signal))
        return self.background, AsimovLaw(background, more)


def prepare(null: Null, options: Options) -> Pearson:
    """The companion paper's test on this score."""
    return Pearson(null, options.bins)
