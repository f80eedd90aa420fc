"""Beta decay of tritium, or an excess of electron recoils that looks like it: allowed shape, Q = 18.6 keV.

Its rate is a user's: XENON1T's excess (arXiv:2006.09721) would have been 159 +- 51 such decays per t y.
"""

from functools import lru_cache

import numpy as np
from pydantic import Field
from scipy.constants import fine_structure, physical_constants

from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.3  # XENON1T, arXiv:2006.09721: 159 +- 51 per t y
LABEL = "tritium"

Q_KEV = 18.591  # keV, endpoint (Bodine et al. 2015 review, 18.5906)
Z_DAUGHTER = 2
ELECTRON_KEV = 1e3 * physical_constants["electron mass energy equivalent in MeV"][0]


class Options(Base):
    """The number of decays."""

    per_ty: float = Field(1.0, gt=0, description="decays / (t y), at all energies")


def rate(energy_keV: np.ndarray, *, per_ty: float = 1.0) -> np.ndarray:
    """Events / (t y keV) at true energies up to the endpoint; the mean energy is 5.7 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    inside = np.clip(energy, 1e-6, Q_KEV)
    return np.where((energy > 0) & (energy < Q_KEV), per_ty / _integral() * _shape(inside), 0.0)


def _shape(energy_keV: np.ndarray) -> np.ndarray:
    """F(Z, T) p E (Q - T)^2, with the non-relativistic Fermi function."""
    total = energy_keV + ELECTRON_KEV
    momentum = np.sqrt(energy_keV * (energy_keV + 2 * ELECTRON_KEV))
    x = 2 * np.pi * Z_DAUGHTER * fine_structure * total / momentum
    return x / -np.expm1(-x) * momentum * total * (Q_KEV - energy_keV) ** 2


@lru_cache(maxsize=1)
def _integral() -> float:
    energy = np.linspace(1e-6, Q_KEV, 20_001)
    return float(np.trapezoid(_shape(energy), energy))
