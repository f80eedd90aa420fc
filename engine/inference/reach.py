"""The exposure from which on a search succeeds: its power at a false-alarm rate p stays at or above what is asked.

P(Q >= c) with the signal reaches `power`, at the critical value c of p, exactly where the tail of the null at the
(1 - power) quantile with signal is p at most: one law of either kind at an exposure says it. Where q is discrete,
Z of that tail climbs with exposure while the critical value stays and falls where it must step up. So stretches
are halved, the later half first, until they are too short to matter, or too far above or below to hide a step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy import optimize

from engine.inference import bisection, jackknife
from engine.inference.cells import Choice
from engine.inference.exact import Distribution
from engine.inference.exact.averaged import Averaged
from engine.inference.exact.counts import CountLaw
from engine.inference.exact.scan import ScanLaw
from engine.inference.population import Population
from engine.inference.significance import z_one_sided

TOLERANCE = 1e-3  # relative, of an exposure
SHORTEST_DIP = 2e-2  # relative: shorter bad stretches are found only where the critical value is a count
STRIDE = 2.0  # between exposures that are tried first
N_HELD = 2  # strides without a bad stretch: one threshold of a count is good for a factor of 2.4 at most, then a dip
JUMP_GROWTH = 1.1  # by which a step may be larger inside a stretch than at its ends
REACHED = 1e-9  # of the first step from a median
FAR_BELOW = 1.0  # sigma
SLOPE_SPAN = 1.2  # factor in exposure over which dZ / dln t is taken
FOUND, BEYOND, BELOW = ("found", "beyond_range", "below_range")


@dataclass(frozen=True)
class Aim:
    """Power at a false-alarm rate p."""

    p: float
    power: float

    @property
    def z(self) -> float:
        """The one-sided significance of p."""
        return z_one_sided(self.p)


@dataclass(frozen=True)
class Reading:
    """What the laws at one exposure say, in sigma.

    z: of the null's tail at the value that the signal reaches with the power asked for; smooth_z: the same between
    that value and the next, where the power would be just what is asked; jump: Z from the one to the other;
    critical: the smallest count whose tail is p at most, of a statistic that is a count.
    """

    z: float
    smooth_z: float
    jump: float
    critical: int | None


@dataclass(frozen=True)
class FoundExposure:
    """Where the power stays. exposure_ty: inf beyond the range, its lower end where there is nothing below;
    checked_to_ty: up to where the power was seen to stay."""

    status: str
    exposure_ty: float
    checked_to_ty: float


def read(
    population: Population, choice: Choice, weights: np.ndarray, exposure_ty: float, aim: Aim, roughly: bool = False
) -> Reading:
    """The laws of one statistic at one exposure; weights (pool,): selected signal events per t y; `roughly`: see
    `reading`."""
    laws = choice.laws(population.null(choice.R, exposure_ty))
    return reading(*laws.distributions(population.signal(weights) * exposure_ty), aim, roughly)


def reading(null: Distribution, alternative: Distribution, aim: Aim, roughly: bool = False) -> Reading:
    """What two laws of q, without and with signal, say of an aim.

    `roughly`: where Z is FAR_BELOW what is asked with the leakage exactly known, that Z, and no average over the
    leakage. Where more leakage makes the tail larger, the average has half of it at least, which is too much still: a
    sigma is more than a factor of two at any significance.
    """
    q = _reached(alternative, aim.power)
    if roughly and isinstance(null, Averaged) and _z(null.central, q) < aim.z - FAR_BELOW:
        null = null.central
    z = _z(null, q)
    critical = null.threshold(aim.p) if isinstance(alternative, CountLaw) else None
    above = _next_value(alternative, q)
    if above is None:
        return Reading(z, z, 0.0, critical)
    power, power_above = (float(p) for p in alternative.sf(np.array([q, above])))
    jump = _z(null, above) - z
    share = (power - aim.power) / (power - power_above) if power > power_above else 0.0
    return Reading(z, z + jump * float(np.clip(share, 0, 1)), jump, critical)


def _z(null: Distribution, q: float) -> float:
    return z_one_sided(max(float(null.sf(np.array([q]))[0]), null.smallest_p))


def _reached(law: Distribution, power: float) -> float:
    """The largest q with P(Q >= q) >= power, to 1e-9 of the median or of 1; by bisection where it is not the median."""
    low = high = law.median()
    if power == 0.5:
        return low

    def fails(q: float) -> bool:
        return float(law.sf(np.array([q]))[0]) < power

    step = first = max(abs(low), 1.0) / 64
    while fails(low):
        low, step = low - step, 2 * step
    step = first
    while not fails(high):
        high, step = high + step, 2 * step
    return bisection.bracket(fails, low, high, int(np.ceil(np.log2((high - low) / (REACHED * first)))))[0]


def _next_value(law: Distribution, q: float) -> float | None:
    """The value that q can take next; None where values lie close."""
    if isinstance(law, CountLaw):
        return float(np.ceil(q)) + 1
    if isinstance(law, ScanLaw):
        above = int(np.searchsorted(law.table.levels, q)) + 1
        return float(law.table.levels[min(above, len(law.table.levels) - 1)])
    return None


@dataclass(frozen=True)
class ExposureSearch:
    """Readings by exposure, each made once, far below `wanted_z` roughly; `wanted_z`: what a good one has at least.
    read(exposure, roughly): one of them."""

    read: Callable[[float, bool], Reading]
    wanted_z: float
    known: dict[float, Reading] = field(default_factory=dict)

    def at(self, exposure_ty: float) -> Reading:
        """The reading at an exposure."""
        if exposure_ty not in self.known:
            self.known[exposure_ty] = self.read(exposure_ty, True)
        return self.known[exposure_ty]

    def run(self, low_ty: float, high_ty: float) -> FoundExposure:
        """The exposure in low ... high from which on no reading is bad, for as long as a dip could be away."""
        strides = int(np.ceil(np.log(high_ty / low_ty) / np.log(STRIDE)))
        grid = np.geomspace(low_ty, high_ty, 1 + strides)
        grid[[0, -1]] = low_ty, high_ty
        start, held, b = (low_ty if self._is_good(low_ty) else np.inf), 0, low_ty
        for a, b in pairwise(grid.tolist()):
            end = self._end_of_bad(a, b) if self._is_good(b) else np.inf
            held = held + 1 if end is None else 0
            start = start if end is None else end
            if held == N_HELD:
                break
        if np.isinf(start):
            return FoundExposure(BEYOND, start, high_ty)
        return FoundExposure(BELOW if start == low_ty else FOUND, start, b)

    def slope(self, exposure_ty: float) -> float:
        """dZ / dln t, across the steps."""
        ends = [self.read(exposure_ty * factor, False).smooth_z for factor in (1 / SLOPE_SPAN, SLOPE_SPAN)]
        return (ends[1] - ends[0]) / (2 * np.log(SLOPE_SPAN))

    def _is_good(self, exposure_ty: float) -> bool:
        return self.at(exposure_ty).z >= self.wanted_z

    def _end_of_bad(self, a: float, b: float) -> float | None:
        """Where the last bad stretch in a ... b ends, b being good; None if there is none."""
        if self._is_good(a):
            if self._surely_good(a, b):
                return None
        elif b < a * (1 + TOLERANCE):
            return b
        elif self.at(a).jump == self.at(b).jump == 0:
            return self._crossing(a, b)
        middle = float(np.sqrt(a * b))
        if not self._is_good(middle):
            return self._end_of_bad(middle, b)
        later = self._end_of_bad(middle, b)
        return later if later is not None else self._end_of_bad(a, middle)

    def _surely_good(self, a: float, b: float) -> bool:
        """Whether nothing between two good exposures can be bad: no step, one far above, or a stretch too short."""
        ends = self.at(a), self.at(b)
        steps = {end.critical for end in ends}
        if len(steps) == 1 and None not in steps:
            return True
        lowest = min(end.smooth_z for end in ends) - JUMP_GROWTH * max(end.jump for end in ends)
        return lowest >= self.wanted_z or b < a * (1 + (SHORTEST_DIP if None in steps else TOLERANCE))

    def _crossing(self, a: float, b: float) -> float:
        """Where Z of a statistic without steps passes what is wanted."""

        def excess(ln_t: float) -> float:
            return self.at(float(np.exp(ln_t))).z - self.wanted_z

        self.known[float(np.exp(np.log(a)))], self.known[float(np.exp(np.log(b)))] = self.at(a), self.at(b)
        return float(np.exp(optimize.brentq(excess, np.log(a), np.log(b), xtol=TOLERANCE / 2)))


def find(population: Population, choice: Choice, weights: np.ndarray, aim: Aim, low_ty: float, high_ty: float):
    """The reach of one statistic, and the search that found it."""
    search = ExposureSearch(lambda t, roughly: read(population, choice, weights, t, aim, roughly), aim.z)
    return search.run(low_ty, high_ty), search


def pool_error(
    population: Population, choice: Choice, weights: np.ndarray, aim: Aim, search: ExposureSearch, reach: FoundExposure,
    groups: int,
) -> tuple[float, float] | None:  # fmt: skip
    """Jack-knife errors of the exposure in t y, and of Z there, from so many groups of the finite pool.

    Each replicate (`jackknife.replicates`) makes f0, thresholds and laws anew at the exposure found; its Z, across the
    steps (a jump from step to step has no derivative), moves the exposure by the slope of Z. None where the exposure is
    not within the range, Z does not rise, or is only a bound.
    """
    if reach.status != FOUND or (slope := search.slope(reach.exposure_ty)) <= 0:
        return None
    z = []
    for replicate in jackknife.replicates(population, choice, weights, reach.exposure_ty, groups):
        null, alternatives = replicate.laws(choice)
        z.append([reading(null, alternative, aim).smooth_z for alternative in alternatives])
        if max(z[-1]) >= z_one_sided(null.smallest_p):
            return None
    z_error = jackknife.error(z)
    return reach.exposure_ty * z_error / slope, z_error
