"""The likelihood ratio with the true signal density in TS: an oracle, the ceiling of every test on this score.

q = sum ln(1 + s f_s(TS_i) / (B f0(TS_i))), the extended likelihood ratio up to a constant. f_s is estimated as f0 is,
from the events that toys draw. Its null depends on the point: no toys, its law alone, right to 1e-6 at four sigma
and to 1e-4 next to the q of experiments that hold nothing of the signal's kind. Where all experiments but 1e-4 of them
have two events or fewer it is blurred there: 1e-2 of p at q of about 0.6.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from engine import options
from engine.inference import density
from engine.inference.exact import Distribution
from engine.inference.exact.sums import Sums
from engine.inference.hypothesis import Null

ADDITIVE = False
EXACT = True
AFFINE_INVARIANT = True
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = True
NEEDS = ("score", "density")
LAW_VERSION = 3  # the first blurred what lies next to a value that most experiments have; then 1e-9 of p


class Options(options.Options):
    """bandwidth of f_s: a factor on Silverman's rule."""

    bandwidth: float = Field(0.3, gt=0)


@dataclass(frozen=True)
class KnownSignal:
    """q = sum over events of ln(1 + s f_s / (B f0))."""

    null: Null
    bandwidth: float

    def distributions(self, signal: np.ndarray) -> tuple[Distribution, Distribution]:
        """The law of q under background, and with the signal that the ratio is made for, of these expected events."""
        law = self.null.drawn.grouped
        sums = Sums(np.log1p(self._ratio(signal)), law.weights, law.relative_sd, None, 1.0)
        return sums.distribution(), sums.distribution(signal)

    def _ratio(self, signal: np.ndarray) -> np.ndarray:
        """(n,) expected signal over expected background at each drawn event."""
        ts = self.null.drawn.events.ts
        if not signal.sum() > 0:
            return np.zeros(len(ts))
        f_s = density.estimate(ts, signal[None], bandwidth=self.bandwidth, relative_floor=1e-12)
        return signal.sum() * f_s(ts) / (self.null.n_background * self.null.f0.of(ts)[0])


def prepare(null: Null, options: Options) -> KnownSignal:
    """The oracle on this score."""
    return KnownSignal(null, options.bandwidth)
