"""The smallest p over many choices, calibrated on toys that all of them share: what "we tried several" costs.

Each choice (a statistic, R, a network, a seed) ranks the same experiments; what is asked is the smallest of its p. An
experiment is put among the null toys: all ranks, its own and theirs, are those among the n + 1, and its global p is the
share of the n + 1 whose smallest rank is no larger than its own. Under background alone the n + 1 are exchangeable, so
that P(p <= a) <= a, however the choices depend on each other (Westfall & Young 1993; arXiv:2408.12296).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from engine.inference.significance import (
    Significance,
    clopper_pearson,
    jeffreys,
    joined,
    median_ranks,
    median_significance,
)


@dataclass(frozen=True)
class Calibration:
    """Null toys as all choices see them. q (toys, choices): large values speak against background only; -p will do."""

    q: np.ndarray

    @cached_property
    def ordered(self) -> np.ndarray:
        """The null toys of each choice, ascending."""
        return np.sort(self.q, axis=0)

    def _reached(self, q: np.ndarray, side: str = "left") -> np.ndarray:
        """(experiments, choices) how many null toys reach q; with "right", how many are beyond it."""
        below = [np.searchsorted(ordered, one, side) for ordered, one in zip(self.ordered.T, q.T, strict=True)]
        return len(self.q) - np.stack(below, axis=1)

    @cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranks of the null toys among themselves, from 1; an order by the smallest of each; these, in that order."""
        ranks = self._reached(self.q)
        smallest = ranks.min(axis=1)
        order = np.argsort(smallest, kind="stable")
        return ranks, order, smallest[order]

    def counts(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of experiments q (n, choices) how many null toys reach each in its best choice, and in any: (n,) both.

        A null toy that the experiment surpasses has its rank raised by one; where they tie, too.
        """
        ranks, order, smallest = self._ranked
        k_local = self._reached(q).min(axis=1)
        first, last = (np.searchsorted(smallest, k_local + 1, side) for side in ("left", "right"))
        return k_local, first + _as_rare(k_local + 1, first, last, order, ranks, self._reached(q, "right"))


@njit(cache=True)
def _as_rare(rank, first, last, order, ranks, beyond):
    """How many null toys have an experiment's rank in a choice in which it does not reach them; they are at places
    first to last of the order."""
    counts = np.zeros(len(rank), dtype=np.int64)
    for i in range(len(rank)):
        for toy in order[first[i] : last[i]]:
            for choice in range(ranks.shape[1]):
                if ranks[toy, choice] == rank[i] and beyond[i, choice] >= rank[i]:
                    counts[i] += 1
                    break
    return counts


def global_p(q_null: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) global p of experiments q (n, choices) under null toys (toys, choices), and its trial factor.

    That is global p over the smallest local one: 1 where all choices say the same, at most their number.
    """
    k_local, k = Calibration(q_null).counts(q)
    return (k + 1) / (len(q_null) + 1), (k + 1) / (k_local + 1)


@dataclass(frozen=True)
class CombinedP:
    """The median global p, an interval that holds it in 68.27 % of cases or more, its trial factor, how its tail was
    obtained; the place of the best single choice and what that says for itself, which only who knows the signal can
    tell."""

    p: float
    p_low: float
    p_high: float
    trial_factor: float
    tail: str
    best: int
    alone: Significance


def combined(calibration: Calibration, q_signal: np.ndarray) -> CombinedP:
    """Of toys with signal (toys, choices) the median global p; the upper one of an even number.

    Its interval joins the error of the median with that of the count, which is relatively that of the smaller, local
    one: of the other choices as many toys are taken as of the best. Beyond all null toys it is a bound.
    """
    alone = [median_significance(*sides) for sides in zip(calibration.ordered.T, q_signal.T, strict=True)]
    best = min(range(len(alone)), key=lambda choice: alone[choice].p)
    k_local, k = calibration.counts(q_signal)
    n, order = len(calibration.q), np.lexsort((k_local, k))
    middle, (low, high) = order[len(order) // 2], (order[rank] for rank in median_ranks(len(order)))
    factor = float((k[middle] + 1) / (k_local[middle] + 1))
    p_low, p_high, tail = 0.0, min(1.0, factor * clopper_pearson(int(k_local[high]), n)[1]), "bound"
    if k_local[middle]:
        p = k[middle] / n
        ends = [min(1.0, end * k[middle] / k_local[middle]) for end in jeffreys(int(k_local[middle]), n)]
        p_low, p_high = joined(p, tuple(ends), (k[low] / n, k[high] / n))
        tail = "counted"
    return CombinedP(float((k[middle] + 1) / (n + 1)), p_low, p_high, factor, tail, best, alone[best])
