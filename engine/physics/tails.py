"""Which recoils are worth a whole event: those that look like nuclear recoils in cS1 and cS2, and a few of the others.

A whole event costs twenty times what its S1 and S2 cost alone. Of very many electron recoils a search needs the few
that a nuclear recoil could be taken for, so each is kept with a probability that follows from its cS1 and cS2
(`events.enriched`), and weighs 1 / probability: every expectation stays that of all that were thrown, whatever the
probability. It only says how events are spent. Beyond a line in (cS1, cS2) nearly all are kept; what a network takes
for a nuclear recoil for any other reason is kept as seldom as the rest, so that it gains less.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

VERSION = 1  # of the probability: part of the digest of events that were kept by one
KEPT = 2.6  # events kept for each that a plain pool would select, which with 20 times the throws costs 2.5 such pools
STEEPNESS = 0.7  # of the probability in `likeness`: steeper would gain a line a little, and cost a network as much
RIDGE = 1.0  # on the coefficients, in events: they stay finite where the pilot's kinds do not overlap
DIGITS = 3  # of the coefficients, so that they are the same wherever they are fitted


@dataclass(frozen=True)
class Tail:
    """The probability to be kept, least + (1 - least) expit(STEEPNESS (likeness - half)).

    coefficients: of 1, x, y, x^2, x y and y^2 in the likeness, where x = ln cS1 and y = ln cS2, in PE, less `centre`;
    least: no weight exceeds its inverse.
    """

    coefficients: tuple[float, ...]
    centre: tuple[float, float]
    half: float
    least: float

    def likeness(self, cs1_pe: np.ndarray, cs2_pe: np.ndarray) -> np.ndarray:
        """(n,) ln of how much likelier a nuclear recoil is, of as many of either; without charge that of a trace."""
        x, y = (np.log(np.maximum(c, 1e-3)) - at for c, at in zip((cs1_pe, cs2_pe), self.centre, strict=True))
        one, to_x, to_y, to_xx, to_xy, to_yy = self.coefficients
        return one + x * (to_x + to_xx * x + to_xy * y) + y * (to_y + to_yy * y)

    def probability(self, cs1_pe: np.ndarray, cs2_pe: np.ndarray) -> np.ndarray:
        """(n,) between `least` and 1."""
        return self._at(self.likeness(cs1_pe, cs2_pe), self.half)

    def _at(self, likeness: np.ndarray, half: float) -> np.ndarray:
        return self.least + (1 - self.least) * expit(STEEPNESS * (likeness - half))

    def keeping(self, likeness: np.ndarray, share: float) -> "Tail":
        """The one that keeps this share of events of these likenesses, on average; or all, or as few as it can."""
        low, high = likeness.min() - 100, likeness.max() + 100
        surplus = [float(self._at(likeness, end).mean()) - share for end in (low, high)]
        half = low if surplus[0] <= 0 else high if surplus[1] >= 0 else brentq(
            lambda half: float(self._at(likeness, half).mean()) - share, low, high)  # fmt: skip
        return replace(self, half=round(float(half), DIGITS))


def fit(er: tuple[np.ndarray, np.ndarray], nr: tuple[np.ndarray, np.ndarray], enrichment: int) -> Tail:
    """The tail for `enrichment` times as many throws as a plain pool's, from a pilot's selected recoils.

    er, nr: cS1 and cS2 of each kind, in PE, above 0. No event weighs more than in the plain pool, and KEPT times as
    many are kept as it would select.
    """
    logs = [np.log(np.concatenate(pair)) for pair in zip(er, nr, strict=True)]
    centre = tuple(round(float(log.mean()), DIGITS) for log in logs)
    x, y = (log - at for log, at in zip(logs, centre, strict=True))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    is_nr = np.repeat([0.0, 1.0], [len(er[0]), len(nr[0])])
    weight = np.where(is_nr == 1, len(er[0]) / len(nr[0]), 1.0)

    def loss(c: np.ndarray) -> tuple[float, np.ndarray]:
        z = c @ terms
        value = weight @ (np.logaddexp(0, z) - is_nr * z) + RIDGE / 2 * c @ c
        return value, terms @ (weight * (expit(z) - is_nr)) + RIDGE * c

    with threadpool_limits(1):
        found = minimize(loss, np.zeros(len(terms)), jac=True, method="BFGS", options={"gtol": 1e-4})
    tail = Tail(tuple(round(float(c), DIGITS) for c in found.x), centre, 0.0, 1 / enrichment)
    return tail.keeping(tail.likeness(*er), KEPT / enrichment)
