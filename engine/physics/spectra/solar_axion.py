"""The shape of solar axions absorbed by xenon's electrons: a bump at 1 to 3 keV.

The Primakoff flux in the Sun, E^2.481 exp(-E / 1.205 keV) (CAST, hep-ex/0702006, Eq. 4), times the axio-electric cross
section, E^2 times the photoelectric one (Redondo 1310.0823), which falls about as E^-3; the steps at xenon's L edges
and the lines of the ABC flux are left out. Shape alone: the rate is a user's.
"""

import numpy as np
from pydantic import Field
from scipy.special import gamma

from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.3  # choice
LABEL = "solar axions"

POWER, SCALE_KEV = 2.481 + 2 - 3, 1.205  # of E, and of its exponential


class Options(Base):
    """The number of events."""

    per_ty: float = Field(1.0, gt=0, description="events / (t y), at all energies")


def rate(energy_keV: np.ndarray, *, per_ty: float = 1.0) -> np.ndarray:
    """Events / (t y keV) at true energies; highest at 1.8 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    x = np.maximum(energy, 0.0) / SCALE_KEV
    return per_ty / (gamma(POWER + 1) * SCALE_KEV) * x**POWER * np.exp(-x)
