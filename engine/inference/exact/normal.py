"""The normal law that a sum of many terms tends to: what `binned_poisson` has by its mean and its variance."""

from dataclasses import dataclass

import numpy as np
import scipy


@dataclass(frozen=True)
class NormalLaw:
    """A normal distribution; none of no width."""

    mean: float
    sd: float
    smallest_p = 1e-300

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        return np.maximum(scipy.stats.norm.sf(q, self.mean, self.sd), self.smallest_p)

    def median(self) -> float:
        """The mean."""
        return self.mean


def ln_poisson_moments(expected: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of -2 ln Poisson(n; expected) for n ~ Poisson(means), both (bins,), means of any size."""
    n = np.arange(int(np.max(means, initial=0.0) + 12 * np.sqrt(np.max(means, initial=0.0)) + 25))
    value = -2 * scipy.stats.poisson.logpmf(n, expected[:, None])
    share = scipy.stats.poisson.pmf(n, means[:, None])
    mean = (share * value).sum(axis=1)
    return mean, (share * np.square(value - mean[:, None])).sum(axis=1)
