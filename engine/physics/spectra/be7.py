"""Solar 7Be neutrinos (lines at 384 and 861 keV) scattering on electrons."""

import numpy as np
from pydantic import Field

from engine.physics.spectra import _neutrino_electron as scattering
from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.03  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: solar ER
LABEL = r"$^{7}$Be $\nu$"

FLUX = 4.93e9  # neutrinos / (cm2 s), both lines, 6 %, solar model B16-GS98, Vinyoles et al. 2017, ApJ 835, 202
LINES_MEV = {0.8613: 0.897, 0.3843: 0.103}  # MeV: branching ratio, Bahcall 1994, Phys. Rev. D 49, 3923
SURVIVAL = 0.52  # electron-neutrino survival probability at 7Be energies, a choice (0.52 to 0.54)


class Options(Base):
    """Atomic binding, and the flux; cajohare/NeutrinoFog has 4.50e9 and 4.93e8 for the two lines, 4.99e9."""

    atomic_binding: bool = Field(True, description="False: free electrons")
    flux_per_cm2_s: float = Field(FLUX, ge=FLUX / 100, le=100 * FLUX, description="neutrinos / (cm2 s), both lines")


def free_electron_rate(energy_keV):
    """Events / (t y keV) on free electrons at rest; 0 above the 664 keV endpoint of the upper line."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    per_electron = sum(
        branching
        * np.where(
            (energy > 0) & (energy <= scattering.endpoint_keV(line)),
            scattering.cross_section(energy, line, SURVIVAL),
            0.0,
        )
        for line, branching in LINES_MEV.items()
    )
    return scattering.ELECTRON_SECONDS * FLUX * per_electron


def rate(energy_keV: np.ndarray, *, atomic_binding: bool = True, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies; 1.6 per t y in 2-10 keV, and 1.98 on free electrons."""
    free = flux_per_cm2_s / FLUX * free_electron_rate(energy_keV)
    return scattering.binding_factor(energy_keV) * free if atomic_binding else free
