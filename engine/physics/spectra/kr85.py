"""Beta decay of 85Kr: flat at low energy."""

import numpy as np
from pydantic import Field

from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.10  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: intrinsic ER
LABEL = r"$^{85}$Kr"

DENSITY_PER_PPT = 14.4  # events / (t y keV) per ppt (mol/mol) of natural krypton, FlamTeam/flamedisx
KRYPTON_PPT = 0.03  # ppt mol/mol, DARWIN goal; DENSITY_PER_PPT takes 85Kr / natKr = 2e-11
FLAT_UP_TO_KEV = 100.0  # keV; the allowed beta shape, Q = 687 keV, rises by 5 % from 2 keV to here


class Options(Base):
    """The concentration of natural krypton; DARWIN's goal unless said."""

    ppt: float = Field(KRYPTON_PPT, ge=0, le=1e4, description="natural krypton in xenon, ppt (mol/mol)")


def rate(energy_keV: np.ndarray, *, ppt: float = KRYPTON_PPT) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 100 keV; 3.46 per t y in 2-10 keV at 0.03 ppt."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy > 0) & (energy <= FLAT_UP_TO_KEV), DENSITY_PER_PPT * ppt, 0.0)
