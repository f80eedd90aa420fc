"""The law of q under background where the leakage is uncertain: the average of its laws at every factor on what leaks.

ln P(Q >= q) is a smooth function of the factor, whose logarithm (or, of a Gamma posterior, whose normal quantile) is
the standard normal z. So the laws of a few z, made as they are needed, and a spline between them give the average to
far below the errors that the pool leaves: a direct quadrature of hundreds of laws is its slow twin in the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from engine.inference import bisection
from engine.inference.exact import Distribution
from engine.inference.leakage import WIDEST_STEP

NEGLIGIBLE = 1e-3  # relative, of p: what laws beyond the outermost may add
PER_STEP = 40  # places of the quadrature between two laws
FARTHEST = 37.0  # sigma: no probability beyond is a double


@dataclass(frozen=True)
class Averaged:
    """The law of q averaged over z; `at(z)`: its law there. step: between two z whose laws are made, in sigma
    (`Leakage.step`); where that is not the widest, it is half of it about the integrand's peak. Places are numbered in
    half steps. p is right to 5e-3 of itself, at a factor of 1.2 to 1e-3.
    """

    at: Callable[[float], Distribution]
    step: float
    made: dict[int, Distribution] = field(default_factory=dict, compare=False, repr=False)
    known: dict[float, float] = field(default_factory=dict, compare=False, repr=False)

    def law(self, place: int) -> Distribution:
        """The law at `place` half steps from the nominal one, made once."""
        if place not in self.made:
            self.made[place] = self.at(self._z(place))
        return self.made[place]

    @property
    def central(self) -> Distribution:
        """The nominal law."""
        return self.law(0)

    @property
    def smallest_p(self) -> float:
        """Below it p is a bound: that of the nominal law, whose tail any other only widens or leaves."""
        return self.central.smallest_p

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        q = np.asarray(q, dtype=np.float64)
        for value in set(q.ravel().tolist()) - self.known.keys():
            self.known[value] = self._sf(value)
        return np.array([self.known[value] for value in q.ravel().tolist()]).reshape(q.shape)

    def _z(self, place: int) -> float:
        return place * self.step / 2

    def _sf(self, q: float) -> float:
        tails = {place: self._tail(place, q) for place in (-2, 0, 2)}
        for side in (2, -2):
            place = side
            while self._left(tails, place) > NEGLIGIBLE * self._total(tails) and abs(self._z(place)) < FARTHEST:
                place += side
                tails[place] = self._tail(place, q)
        if self.step < WIDEST_STEP:  # P turns within it
            peak = max(tails, key=lambda place: np.log(tails[place]) - self._z(place) ** 2 / 2)
            tails |= {place: self._tail(place, q) for place in (peak - 3, peak - 1, peak + 1, peak + 3)}
        return self._total(tails)

    def _tail(self, place: int, q: float) -> float:
        law = self.law(place)
        return max(float(law.sf(np.array([q]))[0]), law.smallest_p)

    def _left(self, tails: dict[int, float], place: int) -> float:
        """The most that lies beyond an outermost place: ln P grows no faster there than within the last step, and
        what P is two steps further is all that counts."""
        growth = max(tails[place] / tails[place - (2 if place > 0 else -2)], 1.0)
        return float(ndtr(-abs(self._z(place)))) * min(tails[place] * growth**2, 1.0)

    def _total(self, tails: dict[int, float]) -> float:
        """The average by a spline through ln P; beyond the outermost laws the tail stays what it is there."""
        places = np.array(sorted(tails))
        ln_p = np.log([tails[place] for place in places])
        z = np.linspace(self._z(places[0]), self._z(places[-1]), PER_STEP * (len(places) - 1) + 1)
        p = np.exp(np.minimum(CubicSpline(self._z(places), ln_p)(z), 0.0))
        inside = np.trapezoid(p * np.exp(-(z**2) / 2), z) / np.sqrt(2 * np.pi)
        return float(inside + ndtr(z[0]) * p[0] + ndtr(-z[-1]) * p[-1])

    def median(self) -> float:
        """The median of the nominal law."""
        return self.central.median()

    def threshold(self, p: float) -> int:
        """The smallest count that is reached with probability p at most, where q is a count."""
        low = high = self.central.threshold(p)
        while self.sf(np.array([high]))[0] > p:
            high = 2 * high + 1
        return bisection.first(lambda n: self.sf(np.array([n]))[0] <= p, min(low, high), high)
