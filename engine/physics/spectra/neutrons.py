"""Radiogenic neutrons: single scatters in the fiducial volume.

Two exponentials fitted to the simulated spectra in DanielBaur/sfsv2: for DARWIN's goals of material purity
(better PTFE, photosensors and cryostat), or with the purities achieved so far, 2.9 times the rate in 5-35 keV.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from engine.physics.spectra._options import Options as Base

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.50  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: radiogenic neutrons
LABEL = "radiogenic neutrons"

TERMS = {  # (events / (t y keV), keV) of each exponential
    "goal": ((5.48e-3, 2.24), (4.475e-4, 20.58)),
    "achieved": ((1.368e-2, 2.305), (1.1736e-3, 23.94)),
}
FIT_RANGE_KEV = (1.5, 80.0)  # keV


class Options(Base):
    """The purity of the materials, and how many neutrons more another detector has of the same spectrum."""

    level: Literal["goal", "achieved"] = Field("goal", description="material purity: DARWIN's goal, or achieved so far")
    times: float = Field(1.0, ge=0, description="factor on the rate")


def rate(energy_keV: np.ndarray, *, level: str = "goal", times: float = 1.0) -> np.ndarray:
    """Events / (t y keV) at true recoil energies of the fit, 1.5-80 keV.

    Goal: 0.0069 per t y in 5-35 keV; achieved: 0.0199.
    """
    energy = np.asarray(energy_keV, dtype=np.float64)
    low, high = FIT_RANGE_KEV
    inside = np.clip(energy, low, high)
    return np.where(energy == inside, times * sum(a * np.exp(-inside / tau) for a, tau in TERMS[level]), 0.0)
