"""Beta decay of 214Pb from 222Rn, to the ground state of 214Bi: flat at low energy.

0.1 uBq/kg, a branch of 11.0 % and the allowed shape with Q = 1018 keV give 0.54 events / (t y keV); a branch
of 12.7 % would give 0.62.
"""

import numpy as np
from pydantic import Field

from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.10  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: intrinsic ER
LABEL = r"$^{214}$Pb"

ACTIVITY_UBQ_KG = 0.1  # uBq/kg of 222Rn, DARWIN goal
DENSITY = 0.535  # events / (t y keV) at 0.1 uBq/kg of 222Rn, DanielBaur/sfsv2 (0.53 to 0.54)
FLAT_UP_TO_KEV = 100.0  # keV; the allowed beta shape rises by 6 % from 2 keV to here


class Options(Base):
    """The activity of the xenon, where 214Pb is in equilibrium with its radon; DARWIN's goal unless said."""

    uBq_kg: float = Field(ACTIVITY_UBQ_KG, ge=0, le=1e4, description="activity of 214Pb in xenon, uBq/kg")


def rate(energy_keV: np.ndarray, *, uBq_kg: float = ACTIVITY_UBQ_KG) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 100 keV; 4.28 per t y in 2-10 keV at 0.1 uBq/kg."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy > 0) & (energy <= FLAT_UP_TO_KEV), DENSITY * (uBq_kg / ACTIVITY_UBQ_KG), 0.0)
