"""Sums over bins for thousands of rates at once: what a bin adds is a polynomial in its Poisson mean.

Rates move the mean of a bin along one line, whatever moves them. The logarithm of a bin's transform is smooth in the
mean, so its values at a few Chebyshev points give it for every node of a quadrature over rates, and the sum over
bins is a product of matrices.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

N_POINTS = 11  # in the root of the mean: enough for means that rates move by a factor of ten
CHUNK = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class BinSums:
    """means (nodes, bins): Poisson means of each bin by node."""

    means: np.ndarray

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half width of the root of each bin's mean, (bins,)."""
        low, high = (np.sqrt(find(axis=0)) for find in (self.means.min, self.means.max))
        return (low + high) / 2, np.maximum((high - low) / 2, 1e-9 * (1 + high))

    @property
    def _places(self) -> np.ndarray:
        return np.cos(np.pi * (np.arange(N_POINTS) + 0.5) / N_POINTS)[::-1]

    @property
    def points(self) -> np.ndarray:
        """(bins, N_POINTS) means at which what a bin adds is asked for."""
        middle, half = self._range
        return np.maximum(middle[:, None] + half[:, None] * self._places, 1e-150) ** 2

    def sum(self, values: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """(nodes, k): sums over bins, from values (bins, N_POINTS, k) at the points, real or complex; of the
        nodes in these places alone, if `kept` is given."""
        n_bins, _, k = values.shape
        transform = np.linalg.inv(np.polynomial.chebyshev.chebvander(self._places, N_POINTS - 1))
        coefficients = (transform @ values).transpose(1, 0, 2).reshape(-1, k)  # (degree, bins) by k
        parts = coefficients.view(np.float64)  # a complex number is two columns of a product with a real basis
        middle, half = self._range
        means = self.means if kept is None else self.means[kept]
        out = np.empty((len(means), k), dtype=values.dtype)
        step = max(1, CHUNK // (n_bins * N_POINTS))
        for first in range(0, len(out), step):
            at = np.clip((np.sqrt(means[first : first + step]) - middle) / half, -1, 1)
            basis = np.concatenate(_chebyshev(at), axis=1)
            out[first : first + step] = (basis @ parts).view(values.dtype)
        return out


def _chebyshev(x: np.ndarray) -> list[np.ndarray]:
    """T_0 ... T_(N_POINTS - 1) at x."""
    terms = [np.ones_like(x), x]
    while len(terms) < N_POINTS:
        terms.append(2 * x * terms[-1] - terms[-2])
    return terms
