"""The smallest exposure beyond which a count rejects background with a power of one half (T3 at three sigma).

The threshold is an integer: with exposure the power rises while the threshold stays, and falls where it must
step up to keep the false-alarm rate. The exposure looked for is the end of the last stretch below one half.
"""

from collections.abc import Callable

import numpy as np
from scipy import optimize

P_THREE_SIGMA = 1.35e-3
POWER = 0.5
TOLERANCE = 1e-6  # relative, of an exposure
N_CONFIRMED = 4  # teeth beyond the first good one that must be good too


def smallest_exposure(
    null: Callable, signal: Callable, low_ty: float, high_ty: float, *, p: float = P_THREE_SIGMA
) -> float:
    """The exposure in t y between low_ty and high_ty; inf where the power at high_ty is below one half.

    null(exposure_ty), signal(exposure_ty): `counts.CountLaw` of background, and with the signal. Both may only
    grow with exposure, and so must the least power of a tooth, as it does where rates are proportional to it.
    """
    teeth = _Teeth(null, signal, low_ty, high_ty, p)
    first, last = null(low_ty).threshold(p), null(high_ty).threshold(p)
    if teeth.power(high_ty, last) < POWER:
        return float("inf")
    good = teeth.first_good(first, last)
    if good == first:
        return low_ty
    end = teeth.start(good) if good <= last else high_ty
    if teeth.power(end, good - 1) < POWER:
        return end
    return teeth.crossing(good - 1, end)


class _Teeth:
    """Stretches of exposure with one threshold n, which begin where P(N >= n - 1) passes p."""

    def __init__(self, null: Callable, signal: Callable, low_ty: float, high_ty: float, p: float):
        self._null, self._signal, self._low, self._high, self._p = null, signal, low_ty, high_ty, p

    def power(self, exposure_ty: float, threshold: int) -> float:
        """P(N >= threshold) with the signal."""
        return float(self._signal(exposure_ty).sf(threshold))

    def start(self, threshold: int) -> float:
        """The exposure from which on this threshold is needed."""

        def too_many(exposure_ty):
            return float(np.log(self._null(exposure_ty).sf(threshold - 1) / self._p))

        if too_many(self._low) >= 0:
            return self._low
        return optimize.brentq(too_many, self._low, self._high, rtol=TOLERANCE)

    def crossing(self, threshold: int, end_ty: float) -> float:
        """Where the power of a tooth that ends at end_ty passes one half."""
        low = self.start(threshold)
        return optimize.brentq(lambda t: self.power(t, threshold) - POWER, low, end_ty, rtol=TOLERANCE)

    def first_good(self, first: int, last: int) -> int:
        """The first tooth from which on the power is nowhere below one half (last + 1 if there is none)."""
        low, high = first, last + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_good(middle) else (middle + 1, high)
        for threshold in range(min(low + N_CONFIRMED, last), low, -1):
            if not self._is_good(threshold):
                return self.first_good(threshold + 1, last)
        return low

    def _is_good(self, threshold: int) -> bool:
        return self.power(self.start(threshold), threshold) >= POWER
