"""Templates: the density of each component in (cS1, cS2), from one half of the weighted pool, in a chosen unit."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from engine.errors import BadInput, unknown
from engine.inference.pools import effective_size

N_BINS = 128  # along each axis
PADDING = 4.0  # in bandwidths, beyond the outermost event
LN10 = float(np.log(10))

UNITS = ("pe_pe", "pe_log10pe", "pe_kpe")


def ln_jacobian(cs2_pe: np.ndarray, unit: str) -> np.ndarray:
    """ln of PE^2 per unit of area, (n,): what a unit of (cS1, cS2) adds to the ln density per PE^2.

    `pe_kpe` adds a constant, so that -2 ln L of N events moves by -2 N ln 1000; `pe_log10pe` adds a term of its own
    to every event, so that it changes even the order of the events.
    """
    if unit not in UNITS:
        raise unknown("unit of (cS1, cS2)", unit, UNITS)
    if unit == "pe_pe":
        return np.zeros(len(cs2_pe))
    return np.full(len(cs2_pe), np.log(1000.0)) if unit == "pe_kpe" else np.log(LN10 * cs2_pe)


@dataclass(frozen=True)
class Template:
    """One component's smoothed histogram in x = ln cS1 and y = log10(cS2 / cS1) - slope x.

    In these coordinates the bands are narrow, and `slope` takes out their trend, so that one bandwidth per axis
    serves. height (N_BINS, N_BINS): density per unit of x and y; first, step (2,): centres of the bins; `floor` is
    in the same unit as the heights, so that it moves with the Jacobian as they do.
    """

    slope: float
    first: np.ndarray
    step: np.ndarray
    height: np.ndarray
    floor: float

    def density(self, cs1_pe: np.ndarray, cs2_pe: np.ndarray) -> np.ndarray:
        """(n,) density per PE^2: that in (x, y) times |d(x, y) / d(cS1, cS2)| = 1 / (cS1 cS2 ln 10)."""
        return np.maximum(self._height(cs1_pe, cs2_pe), self.floor) / (cs1_pe * cs2_pe * LN10)

    def on_floor(self, cs1_pe: np.ndarray, cs2_pe: np.ndarray) -> np.ndarray:
        """(n,) which events lie where the pool says nothing about this component."""
        return self._height(cs1_pe, cs2_pe) <= self.floor

    def _height(self, cs1_pe, cs2_pe):
        bins = (_coordinates(cs1_pe, cs2_pe, self.slope) - self.first[:, None]) / self.step[:, None]
        return map_coordinates(self.height, bins, order=1, mode="constant", cval=0.0)


def estimate(
    cs1_pe: np.ndarray, cs2_pe: np.ndarray, weights: np.ndarray, *, bandwidth: float = 1.0, relative_floor: float = 1e-9
) -> tuple[Template, ...]:
    """One template per row of weights (components, n); give it one half of the pool, and toys the other.

    `bandwidth` is a factor on Silverman's rule in two dimensions, and the floor is `relative_floor` times the
    template's highest bin. Raises BadInput for signals that have no logarithm, and for a component without events.
    """
    if not (np.all(cs1_pe > 0) and np.all(cs2_pe > 0)):
        raise BadInput("templates need cs1_pe > 0 and cs2_pe > 0 for every event")
    if not np.all(weights.sum(axis=1) > 0):
        empty = np.flatnonzero(~(weights.sum(axis=1) > 0)).tolist()
        raise BadInput(f"no event of the pool has a weight for components {empty}; leave them out or widen the pool")
    return tuple(_template(cs1_pe, cs2_pe, w, bandwidth, relative_floor) for w in weights)


def densities(templates: tuple[Template, ...], cs1_pe, cs2_pe, unit: str = "pe_pe") -> np.ndarray:
    """(n, components) densities per unit of area, in the unit that is asked for."""
    per_pe2 = np.stack([template.density(cs1_pe, cs2_pe) for template in templates], axis=1)
    return per_pe2 * np.exp(ln_jacobian(cs2_pe, unit))[:, None]


def _coordinates(cs1_pe, cs2_pe, slope: float) -> np.ndarray:
    x = np.log(cs1_pe)
    return np.stack([x, np.log10(cs2_pe / cs1_pe) - slope * x])


def _template(cs1_pe, cs2_pe, weights, bandwidth, relative_floor) -> Template:
    used = weights > 0
    cs1_pe, cs2_pe, weights = cs1_pe[used], cs2_pe[used], weights[used]
    slope = _slope(*_coordinates(cs1_pe, cs2_pe, 0.0), weights)
    x = _coordinates(cs1_pe, cs2_pe, slope)
    width = bandwidth * _silverman(x, weights)
    low, high = x.min(axis=1) - PADDING * width, x.max(axis=1) + PADDING * width
    height, *edges = np.histogram2d(
        *x, bins=N_BINS, range=np.stack([low, high], axis=1), weights=weights, density=True
    )  # fmt: skip
    step = (high - low) / N_BINS
    smooth = gaussian_filter(height, width / step, mode="constant", truncate=PADDING)
    first = np.array([edge[0] for edge in edges]) + step / 2
    return Template(slope, first, step, smooth, float(relative_floor * smooth.max()))


def _slope(x, y, weights) -> float:
    """Of the weighted straight line through (x, y); 0 where all x are equal."""
    dx = x - np.average(x, weights=weights)
    square = np.average(dx**2, weights=weights)
    return float(np.average(dx * y, weights=weights) / square) if square > 0 else 0.0


def _silverman(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(2,) bandwidths sd n^(-1/6), with the effective sample size (Silverman 1986, Eq. 4.14 in two dimensions)."""
    mean = np.average(x, axis=1, weights=weights)
    sd = np.sqrt(np.average((x - mean[:, None]) ** 2, axis=1, weights=weights))
    return np.maximum(sd, 1e-6) * effective_size(weights) ** (-1 / 6)
