"""Energies that events are thrown at, and the density they come from: weights turn it into any spectrum."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from engine.errors import BadInput

NEST_RANGE_KEV = (0.05, 300.0)  # keV, where NEST's yields rest on data for both kinds
FINENESS_KEV = 0.01  # of a density of one's own: a fifth of a line's width
NAMES = ("uniform", "log_uniform", "mixture")
SPECTRUM_BINS = 2000  # even in ln E: 0.3 % wide from 0.3 to 100 keV


def draw(name: str, low_keV: float, high_keV: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) energies between the bounds; a mixture takes each event from one of the two with equal chance."""
    u, coin = rng.random(n), rng.random(n)
    uniform, log_uniform = low_keV + (high_keV - low_keV) * u, low_keV * (high_keV / low_keV) ** u
    return np.where(coin < _share_of_uniform(name), uniform, log_uniform)


def density_per_keV(name: str, low_keV: float, high_keV: float, energy_keV: np.ndarray) -> np.ndarray:
    """(n,) density of `draw` at energies between the bounds, per keV."""
    share = _share_of_uniform(name)
    return share / (high_keV - low_keV) + (1 - share) / (energy_keV * np.log(high_keV / low_keV))


def _share_of_uniform(name: str) -> float:
    return {"uniform": 1.0, "log_uniform": 0.0, "mixture": 0.5}[name]


@dataclass(frozen=True)
class Histogram:
    """A density of energies that is constant in bins: edges_keV (bins + 1,), shares (bins,) that add up to 1."""

    edges_keV: np.ndarray
    shares: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n,) energies."""
        return np.interp(rng.random(n), np.append(0.0, np.cumsum(self.shares)), self.edges_keV)

    def density_per_keV(self, energy_keV: np.ndarray) -> np.ndarray:
        """(n,) density of `draw`, per keV."""
        place = np.searchsorted(self.edges_keV, energy_keV, side="right") - 1
        return (self.shares / np.diff(self.edges_keV))[np.clip(place, 0, len(self.shares) - 1)]


def of_spectra(rates: Iterable[Callable[[np.ndarray], np.ndarray]], low_keV: float, high_keV: float) -> Histogram:
    """Equally many events of each rate, in any unit at energies (n,) in keV; BadInput where one has none there."""
    edges = np.geomspace(low_keV, high_keV, SPECTRUM_BINS + 1)
    middle, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    events = np.array([rate(middle) * width for rate in rates])
    if not events.sum(axis=1).all():
        raise BadInput(f"spectrum {np.argmin(events.sum(axis=1))} has no rate from {low_keV:g} to {high_keV:g} keV")
    return Histogram(edges, (events / events.sum(axis=1, keepdims=True)).mean(axis=0))


def of_shape(shape: Callable[[np.ndarray], np.ndarray], low_keV: float, high_keV: float) -> Histogram | None:
    """In proportion to a shape at energies (n,) in keV, with narrow lines; None where that is nowhere above 0."""
    edges = np.linspace(low_keV, high_keV, 1 + int(np.ceil((high_keV - low_keV) / FINENESS_KEV)))
    heights = np.maximum(*(shape(edges)[some] for some in (np.s_[:-1], np.s_[1:])))
    return Histogram(edges, heights / heights.sum()) if heights.any() else None
