"""Draws from a discrete distribution: by inverting its cumulative sum, or, many at once, by an alias table."""

import numpy as np
from numba import njit

from engine.lineage import mix64


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


LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def alias_table(weights: np.ndarray) -> np.ndarray:
    """(n,) uint64 for `draw`: per event the share of its cell that is its own, in 2^-32, and whose the rest is.

    (Walker 1977, in the form of Vose 1991.)
    """
    total = weights.sum(dtype=np.float64)
    if not total > 0:
        raise ValueError("cannot draw from weights that sum to zero")
    table = np.empty(len(weights), dtype=np.uint64)
    _fill_alias(weights * (len(weights) / total), table)
    return table


@njit(cache=True)
def _fill_alias(height, table):
    """height (n,) of mean 1, used up: what a low cell lacks is given to it by a high one."""
    low, high = np.empty(len(height), np.int64), np.empty(len(height), np.int64)
    n_low, n_high = 0, 0
    for i in range(len(height)):
        table[i] = (LOW << HALF) | np.uint64(i)
        if height[i] < 1.0:
            low[n_low] = i
            n_low += 1
        else:
            high[n_high] = i
            n_high += 1
    while n_low > 0 and n_high > 0:
        n_low -= 1
        i, giver = low[n_low], high[n_high - 1]
        table[i] = (np.uint64(min(height[i] * 2.0**32, 2.0**32 - 1)) << HALF) | np.uint64(giver)
        height[giver] = (height[giver] + height[i]) - 1.0
        if height[giver] < 1.0:
            n_high -= 1
            low[n_low] = giver
            n_low += 1


@njit(cache=True)
def draw(key, n_draws, table, out):
    """out[:n_draws] becomes events by their weights: 64 bits of stream `key` give two of them.

    An event's probability is right to n / 2^32 of itself. One more place of `out` may be written to.
    """
    n = np.uint64(len(table))
    for k in range(0, n_draws, 2):
        bits = mix64(key, np.uint64(k))
        position = (bits >> HALF) * n
        cell = position >> HALF
        entry = table[cell]
        out[k] = np.int32(cell) if (position & LOW) < (entry >> HALF) else np.int32(entry & LOW)
        position = (bits & LOW) * n
        cell = position >> HALF
        entry = table[cell]
        out[k + 1] = np.int32(cell) if (position & LOW) < (entry >> HALF) else np.int32(entry & LOW)
