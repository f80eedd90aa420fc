"""Beta decay of 85Kr: flat at low energy."""

import numpy as np

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.10  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: intrinsic ER
LABEL = r"$^{85}$Kr"

DENSITY_PER_PPT = 14.4  # events / (t y keV) per ppt (mol/mol) of natural krypton, FlamTeam/flamedisx
KRYPTON_PPT = 0.03  # ppt mol/mol, DARWIN goal; DENSITY_PER_PPT takes 85Kr / natKr = 2e-11
FLAT_UP_TO_KEV = 100.0  # keV; the allowed beta shape, Q = 687 keV, rises by 5 % from 2 keV to here


def rate(energy_keV: np.ndarray) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 100 keV; 3.46 per t y in 2-10 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy > 0) & (energy <= FLAT_UP_TO_KEV), DENSITY_PER_PPT * KRYPTON_PPT, 0.0)
