"""The papers' extended Poisson likelihood, literally: q = -2 ln L(TS | H0) (arXiv paper, Eq. 6).

Not invariant: with TS in another unit, q shifts by 2 N ln a, and N fluctuates. Reported to reproduce the
papers; never used to rank models.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from engine import options
from engine.inference.exact import Distribution
from engine.inference.exact.sums import Sums
from engine.inference.hypothesis import Null, Scored

ADDITIVE = True
EXACT = True
AFFINE_INVARIANT = False
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ("score", "density")
LAW_VERSION = 3  # of another arithmetic than those before: 1e-9 of p


class Options(options.Options):
    """ln_n_factorial: part of the definition; False reproduces packages and talks that leave it out."""

    ln_n_factorial: bool = True


@dataclass(frozen=True)
class ExtendedPoisson:
    """q = c(N) - 2 sum ln f0(TS_i), c(N) = 2 (B + ln N! - N ln B)."""

    null: Null
    ln_n_factorial: bool
    sees_deficit = True  # c(N) grows on both sides of B

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1) ln f0(TS)."""
        return self.null.f0.ln(events.ts)[:, None]

    def penalty(self, n_events: np.ndarray) -> np.ndarray:
        """c(N), with or without ln N!."""
        b = self.null.n_background
        factorial = gammaln(n_events + 1) if self.ln_n_factorial else 0.0
        return 2 * (b + factorial - n_events * np.log(b))

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """q of each toy."""
        return self.penalty(n_events) - 2 * totals[:, 0]

    @cached_property
    def _sums(self) -> Sums:
        law = self.null.drawn.grouped
        return Sums(self.columns(law.events)[:, 0], law.weights, law.relative_sd, self.penalty, -2.0)

    @cached_property
    def background(self) -> Distribution:
        """The law of q under background."""
        return self._sums.distribution()

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with a signal of these expected events."""
        return self.background, self._sums.distribution(signal)

    def tails_without(self, q: float, group: np.ndarray, groups: int) -> np.ndarray | None:
        """(groups,) P(Q >= q) under background of a pool without each of so many groups; group (events,): of each."""
        return self._sums.tails_without(q, group, groups)


def prepare(null: Null, options: Options) -> ExtendedPoisson:
    """Eq. 6 under this null."""
    return ExtendedPoisson(null, options.ln_n_factorial)
