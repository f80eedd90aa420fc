"""Eq. 6 of the arXiv paper without its pull from the bare count: ln f0 is measured from its mean under f0.

q = c(N) - 2 sum (ln f0(TS_i) + h), h = -<ln f0> under f0. A change of unit, TS -> a TS, shifts ln f0 by -ln a and h
by +ln a, so q is invariant under affine maps of TS; a log or a rank map changes it.
"""

from functools import cached_property

import numpy as np

from engine.inference.hypothesis import Null, Scored
from engine.inference.teststats.extended_poisson import ExtendedPoisson
from engine.options import Options

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score", "density")
LAW_VERSION = 3  # of another arithmetic than those before: 1e-9 of p


class Centred(ExtendedPoisson):
    """q = c(N) - 2 sum (ln f0(TS_i) + h), c(N) = 2 (B + ln N! - N ln B)."""

    @cached_property
    def entropy_nat(self) -> float:
        """h, from the events that f0 was made of."""
        expected = self.null.reference.total
        return float(-(expected @ self.null.f0.ln(self.null.reference.events.ts)) / expected.sum())

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1) ln f0(TS) + h."""
        return super().columns(events) + self.entropy_nat


def prepare(null: Null, options: Options) -> Centred:
    """The centred statistic under this null."""
    return Centred(null, ln_n_factorial=True)
