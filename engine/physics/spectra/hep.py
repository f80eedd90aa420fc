"""Solar hep neutrinos (3He + p) scattering coherently on xenon nuclei."""

from functools import lru_cache

import numpy as np
from pydantic import Field

from engine.physics.spectra import _cevns
from engine.physics.spectra._fusion import neutrino_spectrum
from engine.physics.spectra._options import Options as Base

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.04  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: solar CEvNS, of which hep is
LABEL = r"hep $\nu$"

FLUX = 7.98e3  # neutrinos / (cm2 s), 30 %, O'Hare 2109.03116
ENDPOINT_MEV = 18.784  # MeV, as in cajohare/NeutrinoFog


class Options(Base):
    """The flux, which solar models know to 30 %: `relative_uncertainty = 0.3` for that instead of the paper's 4 %."""

    flux_per_cm2_s: float = Field(FLUX, ge=FLUX / 100, le=100 * FLUX, description="neutrinos / (cm2 s)")


@lru_cache(maxsize=1)
def _table():
    spectrum = neutrino_spectrum(ENDPOINT_MEV)
    return _cevns.tabulated_rate(lambda e: FLUX * spectrum(e), ENDPOINT_MEV)


def rate(energy_keV: np.ndarray, *, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 6.1 keV; 0.85 per t y above 1 keV."""
    return flux_per_cm2_s / FLUX * _table()(energy_keV)
