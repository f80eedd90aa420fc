"""Draws from a discrete distribution: inverse of its cumulative sum, found through a guide table."""

import numpy as np
from numba import njit

GUIDE_CELLS = 4


def table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative distribution, of the length of `weights`, and guide table for `search`.

    GUIDE_CELLS cells per weight leave the search a single comparison nearly always.
    """
    cdf = np.cumsum(weights, dtype=np.float64)
    if not cdf[-1] > 0:
        raise ValueError("cannot draw from weights that sum to zero")
    cdf /= cdf[-1]
    guide = np.empty(GUIDE_CELLS * len(cdf), dtype=np.int32)
    fill_guide(cdf, guide)
    return cdf, guide


@njit(cache=True)
def fill_guide(cdf, guide):
    """guide[c] becomes the first i with cdf[i] > c / len(guide): where the search for that u may start."""
    i = 0
    for cell in range(len(guide)):
        while i < len(cdf) - 1 and cdf[i] <= cell / len(guide):
            i += 1
        guide[cell] = i


@njit(cache=True, inline="always")
def search(cdf, guide, u):
    """The first i with cdf[i] > u: weighted by the cdf's steps, monotone in u (0 <= u < 1)."""
    i = guide[int(u * len(guide))]
    while cdf[i] <= u and i < len(cdf) - 1:
        i += 1
    return i
