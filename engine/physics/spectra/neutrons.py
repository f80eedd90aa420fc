"""Radiogenic neutrons: single scatters in the fiducial volume, for DARWIN's goals of material purity.

Two exponentials fitted to the simulated spectrum in DanielBaur/sfsv2 (better PTFE, photosensors and
cryostat). With the purities achieved so far the terms are (1.368e-2, 2.305) and (1.1736e-3, 23.94), 2.9 times
the rate in 5-35 keV.
"""

import numpy as np

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.50  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: radiogenic neutrons
LABEL = "radiogenic neutrons"

TERMS = ((5.48e-3, 2.24), (4.475e-4, 20.58))  # (events / (t y keV), keV) of each exponential
FIT_RANGE_KEV = (1.5, 80.0)  # keV


def rate(energy_keV: np.ndarray) -> np.ndarray:
    """Events / (t y keV) at true recoil energies of the fit, 1.5-80 keV; 0.0069 per t y in 5-35 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    low, high = FIT_RANGE_KEV
    inside = np.clip(energy, low, high)
    return np.where(energy == inside, sum(a * np.exp(-inside / tau) for a, tau in TERMS), 0.0)
