"""A density in two dimensions from weighted events: each component by itself, then mixed by rate."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from engine.inference.pools import effective_size

N_BINS = 256  # along each axis
PADDING = 4.0  # in bandwidths, beyond the outermost event
NARROWEST = 1e-9  # share of the widest axis that a degenerate one is taken to have


@dataclass(frozen=True)
class SmoothedHistogram:
    """A smoothed histogram in coordinates without correlation and of unit spread.

    mean (2,), whiten (2, 2): the coordinates are whiten (x - mean); first, step (2,): centres of bins; height (bins,
    bins): density per unit of x.
    """

    mean: np.ndarray
    whiten: np.ndarray
    first: np.ndarray
    step: np.ndarray
    height: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(n,) density at x (2, n)."""
        bins = (self.whiten @ (x - self.mean[:, None]) - self.first[:, None]) / self.step[:, None]
        return map_coordinates(self.height, bins, order=1, mode="constant", cval=0.0)


def mixture(x: np.ndarray, weights: np.ndarray) -> list[tuple[float, SmoothedHistogram]]:
    """Components of x (2, n) with their totals, from weights (components, n); those without an event left out."""
    return [(float(row.sum()), component(x[:, row > 0], row[row > 0])) for row in weights if (row > 0).any()]


def density(parts: list[tuple[float, SmoothedHistogram]], x: np.ndarray) -> np.ndarray:
    """(n,) expected events per unit of x at x (2, n)."""
    return sum(total * one(x) for total, one in parts)


def component(x: np.ndarray, weights: np.ndarray) -> SmoothedHistogram:
    """One component of events x (2, n), smoothed by Silverman's rule (1986, Eq. 4.14 in two dimensions)."""
    mean = np.average(x, axis=1, weights=weights)
    covariance = np.atleast_2d(np.cov(x, aweights=weights, ddof=0)) if x.shape[1] > 1 else np.zeros((2, 2))
    covariance += NARROWEST * max(np.trace(covariance), 1e-12) * np.eye(2)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    u = whiten @ (x - mean[:, None])
    width = effective_size(weights) ** (-1 / 6)
    low, high = u.min(axis=1) - PADDING * width, u.max(axis=1) + PADDING * width
    height, *_ = np.histogram2d(*u, bins=N_BINS, range=np.stack([low, high], axis=1), weights=weights, density=True)
    step = (high - low) / N_BINS
    smooth = gaussian_filter(height, width / step, mode="constant", truncate=PADDING)
    return SmoothedHistogram(mean, whiten, low + step / 2, step, smooth * np.linalg.det(whiten))
