"""f0: the density of the anomaly score under background, each component by itself, then mixed by rate."""

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter1d

from engine.inference.pools import effective_size

N_BINS = 4096
PADDING = 4.0  # in bandwidths, beyond the outermost event
PEAK = 0.25  # share of the events whose shortest interval gives a component's location and scale
PEAK_TO_IQR = 2.117  # makes the scale of a Gaussian its interquartile range


@dataclass(frozen=True)
class ComponentDensity:
    """A smoothed histogram in u = asinh((TS - location) / scale), which tames a score that spans decades.

    Location and scale are those of the peak: R H_B puts most electron recoils within some hundred nat of each
    other and a few out to a million, so that median and interquartile range would smear the peak.
    """

    location: float
    scale: float
    first_u: float
    step_u: float
    height: np.ndarray

    def density(self, ts: np.ndarray) -> np.ndarray:
        """Density per unit of TS: the density in u times |du/dTS|."""
        x = (ts - self.location) / self.scale
        height = _between(np.arcsinh(np.ravel(x)), self.first_u, self.step_u, self.height)
        return height.reshape(np.shape(x)) / (self.scale * np.hypot(1, x))


@njit(cache=True)
def _between(u, first, step, height):
    """np.interp over first + step i, 0 outside, to the bit: where the places are even, none has to be searched for."""
    out, last = np.zeros(len(u)), len(height) - 1
    for k in range(len(u)):
        i = min(max(int((u[k] - first) / step), 0), last - 1)
        while i > 0 and u[k] < first + step * i:
            i -= 1
        while i < last - 1 and u[k] >= first + step * (i + 1):
            i += 1
        low, high = first + step * i, first + step * (i + 1)
        if u[k] == high and i == last - 1:
            out[k] = height[last]
        elif low <= u[k] < high:
            out[k] = (height[i + 1] - height[i]) / (high - low) * (u[k] - low) + height[i]
    return out


@dataclass(frozen=True)
class Density:
    """A mixture of components with shares that sum to one, and a floor below which it never falls."""

    shares: tuple[float, ...]
    components: tuple[ComponentDensity, ...]
    floor: float
    _known: list = field(default_factory=list, init=False, compare=False, repr=False)  # scores, f0 and ln f0

    def __reduce__(self) -> tuple:
        return Density, (self.shares, self.components, self.floor)

    def __call__(self, ts: np.ndarray) -> np.ndarray:
        """f0 per unit of TS."""
        return np.maximum(self._mixture(ts), self.floor)

    def of(self, ts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f0 per unit of TS, and ln f0; kept for two sets of scores, whose laws at other rates ask again."""
        for scores, *known in self._known:
            if scores is ts:
                return tuple(known)
        density = self(ts)
        self._known[:] = [*self._known[-1:], (ts, density, np.log(density))]
        return self._known[-1][1:]

    def ln(self, ts: np.ndarray) -> np.ndarray:
        """ln f0 per event, in nat per unit of TS."""
        return self.of(ts)[1]

    def on_floor(self, ts: np.ndarray) -> np.ndarray:
        """Which events lie where the pool says nothing, so that the floor speaks for them."""
        return self._mixture(ts) <= self.floor

    def _mixture(self, ts: np.ndarray) -> np.ndarray:
        pairs = zip(self.shares, self.components, strict=True)
        return sum(share * component.density(ts) for share, component in pairs)


def estimate(ts: np.ndarray, weights: np.ndarray, *, bandwidth: float, relative_floor: float) -> Density:
    """f0 from scores (n,) and weights (components, n); bandwidth is a factor on Silverman's rule.

    The floor is `relative_floor` times the highest density met at the events themselves.
    """
    totals = weights.sum(axis=1)
    kept = totals > 0
    order = np.argsort(ts, kind="stable")  # once for all components, whose order is that of some
    components = tuple(_component(ts, weights[i], order, bandwidth) for i in np.flatnonzero(kept))
    shares = tuple((totals[kept] / totals.sum()).tolist())
    peak = Density(shares, components, 0.0)._mixture(ts).max()
    return Density(shares, components, float(relative_floor * peak))


def _component(ts: np.ndarray, weights: np.ndarray, order: np.ndarray, bandwidth: float) -> ComponentDensity:
    """Of the events that carry weight; order (n,): of all scores."""
    used = weights > 0
    place = np.cumsum(used) - 1  # of an event among those
    ts, weights, order = ts[used], weights[used], place[order[used[order]]]
    low, high = shortest_interval(ts[order], weights[order], PEAK)
    location, scale = (low + high) / 2, max(PEAK_TO_IQR * (high - low), 1e-9 * max(1.0, abs(low)))
    u = np.arcsinh((ts - location) / scale)
    width = bandwidth * _silverman(u, weights, order)
    first, last = u.min() - PADDING * width, u.max() + PADDING * width
    height, edges = np.histogram(u, bins=N_BINS, range=(first, last), weights=weights, density=True)
    step = edges[1] - edges[0]
    smooth = gaussian_filter1d(height, width / step, mode="constant", truncate=PADDING)
    return ComponentDensity(float(location), float(scale), float(edges[0] + step / 2), float(step), smooth)


def shortest_interval(values: np.ndarray, weights: np.ndarray, share: float) -> tuple[float, float]:
    """The shortest interval between two of the values that holds this share of the weight."""
    order = np.argsort(values, kind="stable")
    ranked, cdf = values[order], np.cumsum(weights[order]) / weights.sum()
    before = cdf - weights[order] / weights.sum()
    last = np.searchsorted(cdf, before + share * (1 - 1e-12))
    first = np.flatnonzero(last < len(ranked))
    best = first[np.argmin(ranked[last[first]] - ranked[first])]
    return float(ranked[best]), float(ranked[last[best]])


def _silverman(u: np.ndarray, weights: np.ndarray, order: np.ndarray) -> float:
    """0.9 min(sd, IQR / 1.34) n^(-1/5), with the effective sample size (Silverman 1986, Eq. 3.31); order: of u."""
    low, high = weighted_quantiles(u[order], weights[order], (0.25, 0.75))
    mean = np.average(u, weights=weights)
    spread = np.sqrt(np.average((u - mean) ** 2, weights=weights))
    spread = min(spread, (high - low) / 1.34) or spread or 1.0
    return 0.9 * spread * effective_size(weights) ** -0.2


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, at: tuple[float, ...]) -> np.ndarray:
    """Quantiles of weighted values, interpolated between the middles of their steps."""
    order = np.argsort(values, kind="stable")
    steps = weights[order]
    middle = np.cumsum(steps) - steps / 2
    return np.interp(np.array(at) * steps.sum(), middle, values[order])
