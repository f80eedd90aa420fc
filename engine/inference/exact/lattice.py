"""The law of `bins.excess` in a few bins, whose values are too discrete for integrals that expect them to be smooth.

The values of each bin are put on a lattice that is fine beside q, their probabilities under an exponential tilt
multiplied as transforms over the bins and averaged over the rates. The tilt that is right for a tail gives it relative
accuracy, as in `tilted`; the lattice moves q by half a cell per bin at most, and ties are counted within as much.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from engine.inference.exact import rates
from engine.inference.exact.bins import excess

CELL = 1.0 / 128  # of q
LENGTH = 1 << 15  # cells: q up to 256
TILTS = (0.0, 0.1, 0.2, 0.3)  # of q, whose tail falls as e^(-q / 2): what is beyond the lattice stays below e^-50
SMALLEST_P = 1e-28
LN_LEFT_OUT = -130.0  # of counts' probabilities


@dataclass(frozen=True)
class LatticeLaw:
    """The law of `excess` from `expected` (bins,) where counts are Poisson with the means of the nodes."""

    expected: np.ndarray
    nodes: rates.Nodes

    @property
    def smallest_p(self) -> float:
        """Below it p is a bound."""
        return max(SMALLEST_P, self.nodes.smallest_p)

    @cached_property
    def _tilted(self) -> tuple[np.ndarray, np.ndarray]:
        """(tilts, LENGTH) P(Q >= cell) and (tilts,) E[e^(tilt Q)]."""
        q = CELL * np.arange(LENGTH)
        tails, mgf = [], []
        for tilt in TILTS:
            tilted = np.fft.irfft(self._transform(tilt), LENGTH)
            mgf.append(tilted.sum())
            tails.append(np.cumsum((tilted * np.exp(-tilt * q))[::-1])[::-1])
        return np.array(tails), np.array(mgf)

    def _transform(self, tilt: float) -> np.ndarray:
        """The mean over nodes of the product over bins of the tilted values' transforms."""
        product = np.ones((len(self.nodes.weights), LENGTH // 2 + 1), dtype=np.complex128)
        for means, expected in zip(self.nodes.means.T, self.expected, strict=True):
            n = np.arange(_last(max(means.max(), expected)))
            q = excess(n[:, None], np.array([expected]))
            kept = q < CELL * (LENGTH - 1)
            cell, q = np.rint(q[kept] / CELL).astype(np.int64), q[kept]
            weights = scipy.stats.poisson.pmf(n[kept], np.maximum(means, 1e-300)[:, None]) * np.exp(tilt * CELL * cell)
            on_lattice = np.array([np.bincount(cell, row, minlength=LENGTH) for row in weights])
            product *= np.fft.rfft(on_lattice, axis=1)
        return self.nodes.weights @ product

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape; beyond the lattice, the value at its end."""
        q = np.asarray(q, dtype=np.float64)
        cell = np.clip(np.ceil(q / CELL - 0.5 * len(self.expected) - 1e-9), 0, LENGTH // 2).astype(np.int64)
        tails, mgf = self._tilted
        best = np.argmin(np.log(mgf)[:, None] - np.multiply.outer(TILTS, cell.ravel() * CELL), axis=0)
        p = tails[best, cell.ravel()].reshape(q.shape)
        return np.where(cell == 0, 1.0, np.clip(p, SMALLEST_P, 1.0))

    def median(self) -> float:
        """The smallest cell with P(Q <= cell) >= 1/2."""
        at_least = self._tilted[0][0]
        return float(CELL * np.argmax(at_least[1:] <= 0.5 + 1e-12))


def _last(mean: float) -> int:
    """A count that a Poisson mean never reaches."""
    last = int(mean) + 16
    while scipy.stats.poisson.logsf(last, mean) > LN_LEFT_OUT:
        last += 8 + last // 4
    return last
