"""Energies that events are thrown at, and the density they come from: weights turn it into any spectrum."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NEST_RANGE_KEV = (0.05, 300.0)  # keV, where NEST's yields rest on data for both kinds
FINENESS_KEV = 0.01  # of a density of one's own: a fifth of a line's width
NAMES = ("uniform", "log_uniform", "mixture")


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
class Tabulated:
    """A density of one's own: constant between edges (k + 1,), which holds masses (k,) that sum to 1."""

    edges_keV: np.ndarray
    mass: np.ndarray

    @classmethod
    def of(cls, shape: Callable[[np.ndarray], np.ndarray], low_keV: float, high_keV: float) -> "Tabulated | None":
        """In proportion to a shape between two energies; None where that is nowhere above 0."""
        edges = np.linspace(low_keV, high_keV, 1 + int(np.ceil((high_keV - low_keV) / FINENESS_KEV)))
        heights = np.maximum(*(shape(edges)[some] for some in (np.s_[:-1], np.s_[1:])))
        return cls(edges, heights / heights.sum()) if heights.any() else None

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(n,) energies and their density in 1 / keV."""
        cell = rng.choice(len(self.mass), n, p=self.mass)
        width = np.diff(self.edges_keV)[cell]
        return self.edges_keV[cell] + width * rng.random(n), self.mass[cell] / width
