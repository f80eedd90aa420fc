"""`pearson`: the companion paper's test, which is a formula on expected histograms and not a law of data.

arXiv:2110.12248, Eq. 12, compares the score's histogram under background alone with that of background plus
signal, both scaled to the exposure (Asimov data: nothing fluctuates); Eq. 13 reads the p-value from a
chi-square distribution with one degree of freedom. It reproduces the paper's Figs. 7 to 9. No experiment's
false-alarm rate is behind this p: of a histogram that does fluctuate, with K bins of many events, Eq. 12 has
a mean of about K / 2, whatever the truth.
"""

import numpy as np
import scipy


def pearson(background: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """q = sum_k (b_k - n_k)^2 / (b_k + n_k) over the last axis; bins that are empty in both add nothing (Eq. 12)."""
    background, observed = np.asarray(background, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    total = background + observed
    return (np.square(background - observed) / np.where(total > 0, total, 1.0)).sum(axis=-1)


class ChiSquareLaw:
    """What the paper takes for the law of q under background: chi-square with one degree of freedom (Eq. 13)."""

    smallest_p = 1e-300

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        return np.maximum(scipy.stats.chi2.sf(q, 1), self.smallest_p)

    def median(self) -> float:
        """The median of the chi-square distribution."""
        return float(scipy.stats.chi2.median(1))


class AsimovLaw:
    """All of q at its value for the expected histograms background and background + signal (bins,)."""

    smallest_p = 1e-300

    def __init__(self, background: np.ndarray, signal: np.ndarray):
        self._q = float(pearson(background, np.add(background, signal)))

    def sf(self, q: np.ndarray) -> np.ndarray:
        """1 up to the value, then the smallest p."""
        return np.where(np.asarray(q) <= self._q, 1.0, self.smallest_p)

    def median(self) -> float:
        """The value."""
        return self._q
