"""Solar pep neutrinos (a line at 1.44 MeV) scattering on electrons."""

import numpy as np
from pydantic import Field

from engine.physics.spectra import _neutrino_electron as scattering
from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.03  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: solar ER
LABEL = r"pep $\nu$"

FLUX = 1.44e8  # neutrinos / (cm2 s), 1 %, O'Hare 2109.03116
LINE_MEV = 1.442  # MeV: p + e + p -> d + nu, 1.022 MeV above the endpoint of pp
SURVIVAL = 0.50  # electron-neutrino survival probability, a choice (matter effect: below that of 7Be)


class Options(Base):
    """Atomic binding, and the flux."""

    atomic_binding: bool = Field(True, description="False: free electrons")
    flux_per_cm2_s: float = Field(FLUX, gt=0, description="neutrinos / (cm2 s)")


def rate(energy_keV: np.ndarray, *, atomic_binding: bool = True, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 1225 keV; 0.046 per t y in 2-10 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    inside = (energy > 0) & (energy <= scattering.endpoint_keV(LINE_MEV))
    per_electron = np.where(inside, scattering.cross_section(energy, LINE_MEV, SURVIVAL), 0.0)
    free = scattering.ELECTRON_SECONDS * flux_per_cm2_s * per_electron
    return scattering.binding_factor(energy) * free if atomic_binding else free
