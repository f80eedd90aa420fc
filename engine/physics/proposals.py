"""Energies that events are thrown at, and the density they come from: weights turn it into any spectrum."""

import numpy as np

NEST_RANGE_KEV = (0.05, 300.0)  # keV, where NEST's yields rest on data for both kinds
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
