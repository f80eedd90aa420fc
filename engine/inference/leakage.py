"""Leakage: electron recoils that look like nuclear ones in (cS1, cS2), and how well their share is known.

The line is a plain cut of detector and study: at every cS1, what the share NR_ACCEPTANCE of nuclear recoils stay below
in cS2 / cS1. So it is one for all models, scores and statistics, and toys stay shared. What leaks is a share of
electron recoils that only a calibration tells; its error enters the null of every statistic as a factor on what leaks.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import special

NR_ACCEPTANCE = 0.3  # where the papers and DARWIN's studies quote the rejection of electron recoils
LAWS = 6  # of a null, that an average over the leakage takes, about
# between two of them: in sigma, in the factor's logarithm, in Poisson errors of what leaks
WIDEST_STEP, STEP_OF_LN, STEP_OF_POISSON = 2.0, 0.6, 1.5
EVENTS_PER_BIN, MOST_BINS = 200, 30  # of nuclear recoils, in cS1: the line's bins


@dataclass(frozen=True)
class LeakagePrior:
    """How well the leakage is known: to a log-normal factor, or from a calibration in which `leaked` events leaked.

    factor: one sigma of it, 1 where it is exactly known; leaked: expected number, whose Gamma posterior
    (a flat prior, as for the tail of a pool) is the factor's law. One of the two.
    """

    factor: float = 1.0
    leaked: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether nothing is left open."""
        return self.leaked is None and self.factor == 1

    @property
    def known_to(self) -> float:
        """The factor that is one sigma: of a Gamma posterior, by the standard deviation of its logarithm."""
        if self.leaked is None:
            return self.factor
        return float(np.exp(np.sqrt(special.polygamma(1, self.leaked + 1))))

    def at(self, z: np.ndarray) -> np.ndarray:
        """The factor on what leaks, at standard normal z of any shape."""
        z = np.asarray(z, dtype=np.float64)
        if self.leaked is None:
            return self.factor**z
        shape = self.leaked + 1
        upper = scipy.stats.gamma.isf(special.ndtr(-np.abs(z)), shape)
        lower = scipy.stats.gamma.ppf(special.ndtr(-np.abs(z)), shape)
        return np.where(z > 0, upper, lower) / self.leaked

    def step(self, n_leaking: float) -> float:
        """Between two z whose laws are made: two sigma at most, less where the factor grows by more than a half within
        that, or the Poisson error of so many expected events that leak is smaller, for a tail turns within it."""
        widest = min(STEP_OF_LN, STEP_OF_POISSON / np.sqrt(max(n_leaking, 1e-300)))
        return min(WIDEST_STEP, widest / np.log(self.known_to))


KNOWN = LeakagePrior()


def beyond(cs1_pe: np.ndarray, cs2_pe: np.ndarray, is_nr: np.ndarray, events: np.ndarray) -> np.ndarray:
    """(n,) whether an event lies below the line in cS2 / cS1 that nuclear recoils stay below with NR_ACCEPTANCE.

    cs1_pe, cs2_pe (n,): corrected charges; is_nr (n,): the nuclear recoils that draw the line, in bins of cS1 of as
    many events each, linear between their middles; events (n,): of which it is asked. Without a positive charge no
    event leaks.
    """
    seen = (cs1_pe > 0) & (cs2_pe > 0)
    x = np.log10(np.where(seen, cs1_pe, 1.0))
    y = np.log10(np.where(seen, cs2_pe, 1.0)) - x
    chosen = np.flatnonzero(is_nr & seen)
    if not len(chosen):
        return np.zeros(len(cs1_pe), dtype=bool)
    order = chosen[np.argsort(x[chosen], kind="stable")]
    bins = np.array_split(order, int(np.clip(len(order) // EVENTS_PER_BIN, 1, MOST_BINS)))
    middle = [float(np.median(x[one])) for one in bins]
    line = [float(np.quantile(y[one], NR_ACCEPTANCE)) for one in bins]
    return events & seen & (y < np.interp(x, middle, line))
