"""Diffuse supernova neutrinos (DSNB) scattering coherently on xenon nuclei."""

from functools import lru_cache

import numpy as np
from pydantic import Field

from engine.physics.spectra import _cevns
from engine.physics.spectra._options import Options as Base
from engine.physics.spectra._tables import shipped

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.50  # of the flux, O'Hare 2109.03116 and Baxter et al. 2105.00599; not in the papers' Table 3
LABEL = r"DSNB $\nu$"

FLUX = 85.7  # neutrinos / (cm2 s), all flavours, O'Hare 2109.03116


class Options(Base):
    """The flux; 86 (50 %) is quoted after Baxter et al. 2105.00599, a number not checked there."""

    flux_per_cm2_s: float = Field(FLUX, ge=FLUX / 100, le=100 * FLUX, description="neutrinos / (cm2 s), all flavours")


@lru_cache(maxsize=1)
def _table():
    neutrino_MeV, per_MeV = shipped("dsnb_flux")
    spectrum = _cevns.log_log(neutrino_MeV, per_MeV)
    return _cevns.tabulated_rate(lambda e: FLUX * spectrum(e), neutrino_MeV[-1])


def rate(energy_keV: np.ndarray, *, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 143 keV; 0.0020 per t y in 5-35 keV."""
    return flux_per_cm2_s / FLUX * _table()(energy_keV)
