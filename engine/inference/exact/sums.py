"""The exact law of q = c(N) + a sum v over the events of a prior-predictive experiment."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.inference.exact.atoms import Counted
from engine.inference.exact.event_sum import EventSum, merged, one_process
from engine.inference.exact.inversion import Inverted, WithSignal


class Sums:
    """Laws of one statistic at one exposure, with and without signal.

    values (n,): v of the pool events; weights (components, n): expected background events; relative_sd
    (components,): of each component's rate, a Gaussian cut at 0; penalty: c, from integers (k,) to (k,), None for none;
    factor: a.
    """

    def __init__(self, values, weights, relative_sd, penalty: Callable | None, factor: float):
        self._y = factor * np.asarray(values, dtype=np.float64)
        weights = np.asarray(weights, dtype=np.float64)
        present = weights.sum(axis=1) > 0
        weights, sd = weights[present], np.asarray(relative_sd, dtype=np.float64)[present]
        weights, sd = one_process(weights, sd)
        self._centre = centre = _centre(self._y, weights, sd)
        slope = centre if penalty is None else None
        self._events = EventSum(
            self._y - centre, weights, sd, lambda n: (penalty(n) if penalty else 0.0) + centre * n, slope
        )
        values, weights = merged(self._events.values, weights)
        self._law = replace(self._events, values=values, weights=weights)
        self._null = exact(self._law)

    def distribution(self, signal=None) -> Inverted | WithSignal | Counted:
        """The law under background alone, or with signal (n,) expected events."""
        if signal is None or not np.sum(signal) > 0:
            return self._null
        values, extra = merged(self._y - self._centre, np.asarray(signal, dtype=np.float64)[None])
        if isinstance(self._null, Counted):
            return exact(self._law.added(values, extra[0]))
        return WithSignal(self._null, values, extra[0])

    def tails_without(self, q: float, group: np.ndarray, groups: int) -> np.ndarray | None:
        """(groups,) P(Q >= q) under background of a pool without each of so many groups; group (n,): of each event.

        None where these need a law of their own (`Inverted.tails_without`).
        """
        null = self._null
        return None if isinstance(null, Counted) else null.tails_without(q, self._events, group, groups)


def _centre(y: np.ndarray, weights: np.ndarray, sd: np.ndarray) -> float:
    """cov(N, S) / var(N): with values measured from it, the sums S and N are uncorrelated."""
    b, first = weights.sum(axis=1), weights @ y
    return float((first.sum() + (sd**2 * b) @ first) / (b.sum() + (sd * b) @ (sd * b)))


def exact(law: EventSum) -> Inverted | Counted:
    """The law by inversion, or term by term where all events carry one value and N says everything."""
    return Inverted(law) if len(law.values) > 1 else Counted(law)
