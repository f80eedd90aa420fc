"""Points between points: dyadic fractions of a decade, the same for every study, mass and exposure."""

import math
from collections.abc import Sequence
from itertools import count, pairwise

MARGIN = 0.29  # of a bracket, at either end: no decimal grid has a dyadic point just there, where rounding would choose
ROUNDING = 1e-9  # relative, of a width
COARSEST = -6  # powers of two of a decade, beyond all brackets: from there on, no two points are equally near


def width(low: float, high: float) -> float:
    """log10 of the ratio of two positive numbers."""
    return math.log10(high) - math.log10(low)


def is_wider(low: float, high: float, log10_most: float) -> bool:
    """Whether two points are further apart than `log10_most`, by more than their digits."""
    return width(low, high) > log10_most * (1 + ROUNDING)


def middle(low: float, high: float) -> float:
    """The number between two others whose log10 is a multiple of the largest 1 / 2^n that has one well inside.

    Between neighbours on the lattice that is the half-way point; rounded to 12 digits, as an axis of a grid is.
    """
    a, w = math.log10(low), width(low, high)
    first, last = a + MARGIN * w, a + (1 - MARGIN) * w
    for n in count(COARSEST):
        nearest = round((first + last) / 2 * 2**n) / 2**n
        if first < nearest < last:
            return float(f"{10**nearest:.12g}")


def halvings(points: Sequence[float], log10_most: float) -> int:
    """How often the widest bracket between neighbours of these points is halved; what is not positive is left out."""
    sizes = [size for size in points if size > 0]
    widest = max((width(a, b) for a, b in pairwise(sizes)), default=0.0)
    return math.ceil(math.log2(widest / log10_most) - ROUNDING) if widest > log10_most else 0
