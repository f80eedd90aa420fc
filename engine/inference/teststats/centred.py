"""Eq. 6 of the arXiv paper without its pull from the bare count: ln f0 is measured from its mean under f0.

q = c(N) - 2 sum (ln f0(TS_i) + h), h = -<ln f0> under f0. A change of unit, TS -> a TS, shifts ln f0 by -ln a and h
by +ln a, so q is invariant under affine maps of TS; a log or a rank map changes it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from engine.inference.exact import Distribution
from engine.inference.exact.sums import Sums
from engine.inference.hypothesis import Null, Scored
from engine.options import Options

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score", "density")


@dataclass(frozen=True)
class Centred:
    """q = c(N) - 2 sum (ln f0(TS_i) + h), c(N) = 2 (B + ln N! - N ln B)."""

    null: Null

    @cached_property
    def entropy_nat(self) -> float:
        """h, from the events that f0 was made of."""
        expected = self.null.reference.total
        return float(-(expected @ self.null.f0.ln(self.null.reference.events.ts)) / expected.sum())

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1) ln f0(TS) + h."""
        return (self.null.f0.ln(events.ts) + self.entropy_nat)[:, None]

    def penalty(self, n_events: np.ndarray) -> np.ndarray:
        """c(N)."""
        b = self.null.n_background
        return 2 * (b + gammaln(n_events + 1) - n_events * np.log(b))

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """q of each toy."""
        return self.penalty(n_events) - 2 * totals[:, 0]

    @cached_property
    def _sums(self) -> Sums:
        law = self.null.drawn
        return Sums(self.columns(law.events)[:, 0], law.weights, law.relative_sd, self.penalty, -2.0)

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with a signal of these expected events."""
        return self._sums.distribution(), self._sums.distribution(signal)


def prepare(null: Null, options: Options) -> Centred:
    """The centred statistic under this null."""
    return Centred(null)
