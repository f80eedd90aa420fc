"""`deviance`: the binned Poisson likelihood ratio to the saturated model, with its exact law.

Given the rates, q is a sum over independent bins: its moment generating function is a product of sums over
counts, evaluated as they stand anywhere in the complex plane, averaged over rates, and inverted (`tilted`).
"""

from functools import cached_property
from math import lgamma

import numpy as np
from numba import njit
from scipy.special import xlogy

from engine.inference.exact import rates, tilted
from engine.inference.exact.bin_sums import N_POINTS, BinSums
from engine.inference.exact.tilted import BLOCK

DIVERGENCE = 0.5  # E[e^(s q)] of a Poisson count's deviance is finite below; of rates that move, below `_divergence`
LN_NEGLIGIBLE = -42.0  # counts less likely than e^-42 of the likeliest are left out
LARGEST_COUNT = 1e7  # a tilt whose likeliest count lies beyond is not used
ALIKE = 1e-3  # relative difference up to which bins share their averages: q moves by 1e-5 of its deviation
FEW_NODES = 2 * N_POINTS  # up to here each is taken by itself
FEW_BINS = 8  # of fewer, one transform can pass zero where the product matters, and has no logarithm there
SILENCE = 64  # blocks in which a transform that stays negligible has died out
SMOOTH_COUNT = 30.0  # expected in a bin: from here on it does not come back, to more than 1e-8 at single frequencies
NEGLIGIBLE = 1e-10  # of the transform at its peak: what frequencies below it add, p does not show to 1e-7
LEFT_OUT = 1e-7  # of the nodes' shares, in the smallest of them; of p at most a hundred times as much
CHUNK = 4_000_000  # numbers held at once
WIDEST = 1.5  # half the range of a root of a mean, up to which the phase of a transform is followed from point to point
CLOSE = 0.1  # in the root of the mean of q, about in its deviations, and in ln of its variance: nodes taken together
GRID = 0.25  # in the root of a mean, half a deviation of a count: between means at which a transform is tabulated
ALIKE_ROOT = 0.05  # in the root of what bins expect, up to which they share a table; the mean of q is each one's own
RUN = 64  # frequencies that a product is taken of at a time


def deviance(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """q = 2 sum_k [n_k ln(n_k / m_k) - (n_k - m_k)] per toy: counts (n_toys, bins), expected (bins,) m > 0.

    (Baker & Cousins 1984, the Poisson likelihood chi-square.)
    """
    counts = np.asarray(counts, dtype=np.float64)
    return 2 * (xlogy(counts, counts / expected) - (counts - expected)).sum(axis=1)


def excess(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The deviance of the bins that hold more than expected, per toy: counts (n_toys, bins), expected (bins,) m > 0.

    (The likelihood ratio to models in which no bin expects less than m: all that a signal can do.)
    """
    return deviance(np.maximum(counts, expected), expected)


class DevianceLaw:
    """The law of the deviance from `expected` (bins,) where counts are Poisson with the means of the nodes."""

    def __init__(self, expected: np.ndarray, nodes: rates.Nodes):
        self._weights, self._expected = nodes.weights, np.asarray(expected, dtype=np.float64)
        self._central = _distinct(nodes.means[int(np.argmax(nodes.weights))], self._expected)
        self._nodes = _by_size(np.maximum(nodes.means, 1e-300), self._expected)
        self._tail = tilted.SumTail(self._moments, self._spectrum, _divergence(nodes))
        self._smallest_p = nodes.smallest_p

    @cached_property
    def smallest_p(self) -> float:
        """Below it p is a bound."""
        return self._tail.smallest_p(max(self._smallest_p, tilted.SMALLEST_P))

    def sf(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for q of any shape."""
        return self._tail.sf(q)

    def median(self) -> float:
        """Where P(Q >= q) passes 1/2."""
        return self._tail.median()

    def _moments(self, tilt: float) -> tuple[float, float, float]:
        parts = self._nodes.moments(tilt)
        if not np.isfinite(parts).all():
            return np.inf, np.inf, np.inf
        shares, ln_mgf = self._shares(parts[:, 0])
        mean = shares @ parts[:, 1]
        return ln_mgf, float(mean), float(shares @ (parts[:, 2] + (parts[:, 1] - mean) ** 2))

    def _shares(self, ln_mgf: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights of the nodes under the tilt, and ln E[e^(tilt q)] of the mixture."""
        shares = self._weights * np.exp(ln_mgf - ln_mgf.max())
        return shares / shares.sum(), float(ln_mgf.max() + np.log(shares.sum()))

    def _spectrum(self, tilt: float, step: float, blocks: np.ndarray) -> np.ndarray:
        """The mixture's; blocks in which nothing is left for the central rates are left out for the others."""
        alive = self._alive(tilt, step, blocks)
        shares, _ = self._shares(self._nodes.moments(tilt)[:, 0])
        out = np.zeros((len(blocks), BLOCK), dtype=np.complex128)
        out[alive] = self._nodes.spectrum(tilt, step, alive, shares)
        return out

    def _alive(self, tilt: float, step: float, blocks: np.ndarray) -> np.ndarray:
        """The blocks that matter: all beyond the first long silence are left unseen where q is not discrete."""
        alive = [blocks[:0]]
        for some in np.array_split(blocks, 1 + len(blocks) // SILENCE):
            central = np.abs(_spectrum(*self._central, tilt, step, some)).max(axis=1)
            alive.append(some[central > NEGLIGIBLE])
            if self._expected.min() > SMOOTH_COUNT and central.max() < NEGLIGIBLE:
                break
        return np.concatenate(alive)


class _Apart:
    """Every node by itself: (nodes, bins) means."""

    def __init__(self, means: np.ndarray, expected: np.ndarray):
        self._bins = [_distinct(row, expected) for row in means]

    def moments(self, tilt: float) -> np.ndarray:
        """(nodes, 3): ln E[e^(tilt q)], mean and variance of the tilted q."""
        return np.array([_moments(*bins, tilt) for bins in self._bins])

    def spectrum(self, tilt: float, step: float, blocks: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(blocks, BLOCK): the tilted transform, averaged over the nodes by their shares."""
        out = np.zeros((len(blocks), BLOCK), dtype=np.complex128)
        for share, bins in zip(shares, self._bins, strict=True):
            if share > 1e-18:
                out += share * _spectrum(*bins, tilt, step, blocks)
        return out


class _Together:
    """All nodes at once, by what each bin is at a few means."""

    def __init__(self, means: np.ndarray, expected: np.ndarray):
        self._sums = BinSums(means)
        self._points = [(row, m) for row, m in zip(self._sums.points, expected, strict=True)]
        self._known = {}

    def moments(self, tilt: float) -> np.ndarray:
        """(nodes, 3): ln E[e^(tilt q)], mean and variance of the tilted q."""
        if tilt not in self._known:
            one = np.ones(1)
            at = [[_moments(np.array([p]), np.array([m]), one, tilt) for p in row] for row, m in self._points]
            self._known[tilt] = self._sums.sum(np.array(at)) if np.isfinite(at).all() else np.full((1, 3), np.inf)
        return self._known[tilt]

    def spectrum(self, tilt: float, step: float, blocks: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(blocks, BLOCK): the tilted transform, averaged over the nodes by their shares."""
        ln_phi = np.empty((len(self._points), N_POINTS, len(blocks) * BLOCK), dtype=np.complex128)
        for k, (row, m) in enumerate(self._points):
            phi = np.array([_spectrum(np.array([p]), np.array([m]), np.ones(1), tilt, step, blocks) for p in row])
            phi = phi.reshape(N_POINTS, -1)
            ln_phi[k] = np.log(np.maximum(abs(phi), 1e-30)) + 1j * np.unwrap(np.angle(phi), axis=0)
        kept = _heaviest(shares)
        some = np.array_split(kept, 1 + len(kept) * len(blocks) * BLOCK // CHUNK)
        return sum(shares[one] @ np.exp(self._sums.sum(ln_phi, one)) for one in some).reshape(len(blocks), BLOCK)


class _FarApart(_Together):
    """Nodes so far apart that no polynomial follows the phase of a bin: its transform, turned back by its mean, is read
    from a table close in the mean, and nodes whose q are alike in mean and variance are taken for one of them."""

    def __init__(self, means: np.ndarray, expected: np.ndarray):
        super().__init__(means, expected)
        self._roots, self._expected = np.sqrt(means), expected

    def spectrum(self, tilt: float, step: float, blocks: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(blocks, BLOCK): the tilted transform, averaged over the nodes by their shares."""
        kept = _heaviest(shares)
        node, weight, mean = _alike(shares[kept], *self.moments(tilt)[kept, 1:].T)
        roots, frequency = self._roots[kept[node]], (step * (BLOCK * blocks[:, None] + np.arange(BLOCK))).ravel()
        rows, first, place = [], 0, np.empty(roots.shape)
        kinds = np.round(np.sqrt(self._expected) / ALIKE_ROOT)
        for kind in np.unique(kinds):
            mine = np.flatnonzero(kinds == kind)
            low = roots[:, mine].min() - GRID
            grid = low + GRID * np.arange(4 + int(np.ptp(roots[:, mine]) / GRID))
            rows += [_turned_back(one**2, self._expected[mine].mean(), tilt, step, blocks) for one in grid]
            place[:, mine] = first + (roots[:, mine] - low) / GRID
            first += len(grid)
        return _products(np.array(rows), place, weight, mean, frequency).reshape(len(blocks), BLOCK)


def _alike(shares: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each group of nodes whose q are CLOSE in mean and variance: the place of the one in its middle, the sum of its
    shares, and its mean."""
    cells = np.floor(np.stack([np.sqrt(mean), np.log(variance)]) / CLOSE)
    _, cell = np.unique(cells, axis=1, return_inverse=True)
    weight = np.bincount(cell, shares)
    centre = np.bincount(cell, shares * mean) / weight
    order = np.lexsort([abs(mean - centre[cell]), cell])
    _, first = np.unique(cell[order], return_index=True)
    return order[first], weight, centre


def _turned_back(mean: float, expected: float, tilt: float, step: float, blocks: np.ndarray) -> np.ndarray:
    """The tilted transform of one bin's q about its mean, (blocks * BLOCK,)."""
    bins = np.array([max(mean, 1e-300)]), np.array([expected]), np.ones(1)
    frequency = (step * (BLOCK * blocks[:, None] + np.arange(BLOCK))).ravel()
    return _spectrum(*bins, tilt, step, blocks).ravel() * np.exp(-1j * _moments(*bins, tilt)[1] * frequency)


@njit(cache=True)
def _products(rows, place, weight, mean, frequency):
    """Weighted sum over nodes of the product over bins of transforms between these rows, each turned by its mean of q.

    place (nodes, bins): in the rows, with a fraction, between the second and the last but one of a bin's own. Behind
    RUN frequencies that are negligible nothing comes back that nodes near by would not cancel.
    """
    out = np.zeros(len(frequency), np.complex128)
    for node in range(len(place)):
        for start in range(0, len(frequency), RUN):
            end = min(start + RUN, len(frequency))
            product = weight[node] * np.exp(1j * mean[node] * frequency[start:end])
            for k in range(place.shape[1]):
                row = int(place[node, k])
                x = place[node, k] - row
                near = rows[row - 1 : row + 3]
                a, b = -x * (x - 1) * (x - 2) / 6, (x + 1) * (x - 1) * (x - 2) / 2  # Lagrange's, of four rows
                c, d = -(x + 1) * x * (x - 2) / 2, (x + 1) * x * (x - 1) / 6
                for i in range(start, end):
                    product[i - start] *= a * near[0, i] + b * near[1, i] + c * near[2, i] + d * near[3, i]
            out[start:end] += product
            if np.abs(product).max() < NEGLIGIBLE * weight[node]:
                break
    return out


def _divergence(nodes: rates.Nodes) -> float:
    """Where E[e^(s q)] ends for rates that are Gaussian in standard deviations S of the counts' own: q falls as
    e^(-q / 2 (1 + S^2)) in the direction of the largest. Beyond, the transform is of the outermost nodes."""
    mean = nodes.weights @ nodes.means
    moves = (nodes.means - mean) / np.sqrt(np.maximum(mean, 1e-300))
    return DIVERGENCE / (1 + np.linalg.eigvalsh((moves * nodes.weights[:, None]).T @ moves)[-1])


def _by_size(means: np.ndarray, expected: np.ndarray) -> "_Apart | _Together":
    """What sums over (nodes, bins) means."""
    if len(means) <= FEW_NODES or len(expected) < FEW_BINS:
        return _Apart(means, expected)
    half = np.ptp(np.sqrt(means), axis=0) / 2
    return (_Together if half.max() <= WIDEST else _FarApart)(means, expected)


def _heaviest(shares: np.ndarray) -> np.ndarray:
    """Places of the nodes without those that matter least."""
    rising = np.argsort(shares, kind="stable")
    return np.sort(rising[np.cumsum(shares[rising]) > LEFT_OUT])


def _distinct(means: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, expected and number of the bins that are alike in both, to second order in ALIKE."""
    means = np.maximum(means, 1e-300)
    kinds = np.round(np.log(np.stack([means / expected, expected])) / ALIKE)
    _, group, repeats = np.unique(kinds, axis=1, return_inverse=True, return_counts=True)
    averages = [np.bincount(group, weights=values) / repeats for values in (means, expected)]
    return averages[0], averages[1], repeats


@njit(cache=True)
def _ln_weight(n, mean, expected, tilt):
    """ln of P(n) e^(tilt q_n), concave in n."""
    return n * np.log(mean) - mean - lgamma(n + 1.0) + tilt * _q(n, expected)


@njit(cache=True)
def _q(n, expected):
    ratio = n * np.log(n / expected) if n > 0 else 0.0
    return 2 * (ratio - n + expected)


@njit(cache=True)
def _tilted_bin(mean, expected, tilt):
    """Probabilities and q of one bin's counts under the tilt, and ln E[e^(tilt q_n)] (inf beyond LARGEST_COUNT).

    The likeliest count solves (1 - 2 tilt) ln n = ln mean - 2 tilt ln expected.
    """
    ln_peak = (np.log(mean) - 2 * tilt * np.log(expected)) / (1 - 2 * tilt)
    if ln_peak > np.log(LARGEST_COUNT):
        return np.zeros(1), np.zeros(1), np.inf
    peak = int(np.exp(ln_peak))
    largest = _ln_weight(peak, mean, expected, tilt)
    first = last = peak
    while first > 0 and _ln_weight(first, mean, expected, tilt) > largest + LN_NEGLIGIBLE:
        first -= 1
    while _ln_weight(last, mean, expected, tilt) > largest + LN_NEGLIGIBLE:
        last += 1
    weight, q = np.empty(last - first + 1), np.empty(last - first + 1)
    for i in range(len(weight)):
        weight[i] = np.exp(_ln_weight(first + i, mean, expected, tilt) - largest)
        q[i] = _q(first + i, expected)
    total = weight.sum()
    return weight / total, q, largest + np.log(total)


@njit(cache=True)
def _moments(means, expected, repeats, tilt):
    """ln E[e^(tilt q)], and mean and variance of the tilted q, of bins that occur `repeats` times each."""
    ln_mgf, centre, variance = 0.0, 0.0, 0.0
    for k in range(len(means)):
        weight, q, ln_total = _tilted_bin(means[k], expected[k], tilt)
        first = (weight * q).sum()
        ln_mgf += repeats[k] * ln_total
        centre += repeats[k] * first
        variance += repeats[k] * (weight * (q - first) ** 2).sum()
    return ln_mgf, centre, variance


@njit(cache=True)
def _spectrum(means, expected, repeats, tilt, step, blocks):
    """E[e^((tilt + i j step) q)] / E[e^(tilt q)] at the frequencies j of every block (blocks, BLOCK)."""
    out = np.ones((len(blocks), BLOCK), np.complex128)
    alive = np.ones(len(blocks), np.bool_)
    for k in range(len(means)):
        weight, q, _ = _tilted_bin(means[k], expected[k], tilt)
        turn = np.exp(1j * step * q)
        for row in range(len(blocks)):
            if alive[row]:
                phase = weight * np.exp(1j * (step * BLOCK * blocks[row]) * q)
                largest = 0.0
                for column in range(BLOCK):
                    out[row, column] *= phase.sum() ** repeats[k]
                    largest = max(largest, abs(out[row, column]))
                    phase *= turn
                alive[row] = largest > NEGLIGIBLE
    return out
