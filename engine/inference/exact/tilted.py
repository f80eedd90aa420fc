"""Upper tails from a moment generating function, by integrals along Re s = tilt through the saddle point.

P(Q >= q) = 1 / (2 pi i) int exp(K(s) - s q) / s ds, with K = ln E[e^(s Q)] and any tilt > 0 (Daniels 1954). The
trapezoidal rule with frequencies `step` apart repeats the law with a period 2 pi / step (Abate & Whitt 1992),
which is chosen so long that the copies stay below the p-value: a sum of some tens of terms keeps its relative
accuracy however small p is. Needs no lattice, which would widen the law of q.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SMALLEST_P = 1e-290
N_TILTS = 40
CLOSEST = 1e-2  # what the last tilt leaves of the way from zero to the divergence
RESOLUTION = 1e-3  # in standard deviations of q: below this distance values are not told apart
ACCURACY = 36.0  # e-folds from p down to the copies
BLOCK = 16  # frequencies per block


@dataclass(frozen=True)
class TiltedLine:
    """The generating function along one tilt: terms[j] at frequency[j], over its value at the tilt itself.

    frequency (n,) in 1 / q, without those whose term vanishes; mean and variance of q under the tilt.
    """

    tilt: float
    ln_mgf: float
    step: float
    frequency: np.ndarray
    terms: np.ndarray

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q), q (n,)."""
        s = self.tilt + 1j * self.frequency
        half = np.where(self.frequency == 0, 0.5, 1.0)
        turned = np.exp(-1j * np.multiply.outer(q, self.frequency)) @ (half * self.terms / s)
        return self.step / np.pi * np.exp(self.ln_mgf - self.tilt * q) * turned.real


class SumTail:
    """The law of a sum of independent terms, or of a mixture of such sums.

    moments(tilt) -> ln E[e^(tilt Q)], mean and variance of the tilted Q; spectrum(tilt, step, blocks) ->
    E[e^((tilt + i j step) Q)] / E[e^(tilt Q)] at the BLOCK frequencies j of every block, (blocks, BLOCK);
    divergence: the tilt below which the generating function is finite.

    Where Q is so discrete that its spectrum does not die out, values within ten times RESOLUTION count as
    equal, and p errs upwards.
    """

    def __init__(self, moments: Callable, spectrum: Callable, divergence: float):
        _, self.mean, variance = moments(0.0)
        self.sd = float(np.sqrt(variance))
        self._moments, self._spectrum = moments, spectrum
        first = min(1 / self.sd, 0.4 * divergence)
        left = np.geomspace(divergence - first, CLOSEST * divergence, N_TILTS)
        self._tilts, self._at, self._lines = divergence - left, [], {}
        self._ties = 0.0
        if self._is_discrete():
            self._ties = 10 * RESOLUTION * self.sd

    def smallest_p(self, enough: float = SMALLEST_P) -> float:
        """About P(Q >= q) where the last tilt has its mean: below it the copies are in the way.

        `enough`: what the caller trusts at best, so that no tilt beyond it is looked at.
        """
        p = 1.0
        for index in range(N_TILTS):
            if index == len(self._at):
                self._at.append(self._moments(self._tilts[index]))
            ln_mgf, mean, _ = self._at[index]
            if not np.isfinite(ln_mgf):
                return p
            p = float(np.exp(ln_mgf - self._tilts[index] * mean))
            if p <= enough:
                return enough
        return p

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        q = np.asarray(q, dtype=np.float64) - self._ties
        indices = np.array([self._index(value) for value in q.ravel()], dtype=np.int64).reshape(q.shape)
        p = np.empty(q.shape)
        for index in np.unique(indices):
            p[indices == index] = self._line(int(index)).sf(q[indices == index])
        return np.clip(p, SMALLEST_P, 1.0)

    def median(self) -> float:
        """Where P(Q >= q) passes 1/2, to a tenth of RESOLUTION."""
        low, high = self.mean - 2 * self.sd, self.mean + 2 * self.sd  # |median - mean| <= sd, for any law
        line = self._line(0)
        while high - low > RESOLUTION * self.sd / 10:
            grid = np.linspace(low, high, 33)
            above = max(int((line.sf(grid) > 0.5).sum()) - 1, 0)
            low, high = grid[above], grid[min(above + 1, 32)]
        return float((low + high) / 2)

    def _index(self, q: float) -> int:
        """The first tilt under which Q has a mean of at least q."""
        for index in range(N_TILTS):
            if index == len(self._at):
                self._at.append(self._moments(self._tilts[index]))
            if self._at[index][1] >= q or not np.isfinite(self._at[index][0]):
                return index if np.isfinite(self._at[index][0]) else index - 1
        return N_TILTS - 1

    def _line(self, index: int) -> TiltedLine:
        if index not in self._lines:
            if index >= len(self._at):
                self._index(-np.inf)
            self._lines[index] = self._make(self._tilts[index], *self._at[index])
        return self._lines[index]

    def _make(self, tilt: float, ln_mgf: float, mean: float, variance: float) -> TiltedLine:
        sd, ln_p = float(np.sqrt(variance)), min(ln_mgf - tilt * mean, 0.0)
        step = 2 * np.pi / max(16 * sd, (ACCURACY - ln_p) / tilt)
        # a Gaussian smear of the tilted law, to which only a discrete one is sensitive, ends the sum at e^-21
        smear = RESOLUTION * (self.sd if self._ties else sd)
        n_blocks = 1 + int(6.5 / smear / step / BLOCK)
        terms = self._spectrum(tilt, step, np.arange(n_blocks)).ravel()
        frequency = step * np.arange(len(terms))
        kept = np.abs(terms) > 1e-18
        frequency, terms = frequency[kept], terms[kept]
        return TiltedLine(tilt, ln_mgf, step, frequency, terms * np.exp(-((smear * frequency) ** 2) / 2))

    def _is_discrete(self) -> bool:
        line = self._line(0)
        return bool((np.abs(line.terms[line.frequency > 100 / self.sd]) > 1e-2).any())
