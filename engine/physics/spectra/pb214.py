"""Beta decay of 214Pb from 222Rn, to the ground state of 214Bi: flat at low energy.

0.1 uBq/kg, a branch of 11.0 % and the allowed shape with Q = 1018 keV give 0.54 events / (t y keV); a branch
of 12.7 % would give 0.62.
"""

import numpy as np

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.10  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: intrinsic ER
LABEL = r"$^{214}$Pb"

DENSITY = 0.535  # events / (t y keV) at 0.1 uBq/kg of 222Rn, DanielBaur/sfsv2 (0.53 to 0.54)
FLAT_UP_TO_KEV = 100.0  # keV; the allowed beta shape rises by 6 % from 2 keV to here


def rate(energy_keV: np.ndarray) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 100 keV; 4.28 per t y in 2-10 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy > 0) & (energy <= FLAT_UP_TO_KEV), DENSITY, 0.0)
