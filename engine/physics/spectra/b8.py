"""Solar 8B neutrinos scattering coherently on xenon nuclei."""

from functools import lru_cache

import numpy as np
from pydantic import Field
from scipy.interpolate import PchipInterpolator

from engine.physics.spectra import _cevns
from engine.physics.spectra._options import Options as Base
from engine.physics.spectra._tables import shipped

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.04  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: solar CEvNS
LABEL = r"$^{8}$B $\nu$"

FLUX = 5.16e6  # neutrinos / (cm2 s), 2 %, O'Hare 2109.03116


class Options(Base):
    """The flux; SNO, Aharmim et al. 2013, measured 5.25e6 (4 %)."""

    flux_per_cm2_s: float = Field(FLUX, ge=FLUX / 100, le=100 * FLUX, description="neutrinos / (cm2 s)")


@lru_cache(maxsize=1)
def _table():
    neutrino_MeV, per_MeV = shipped("b8_flux")
    spectrum = PchipInterpolator(neutrino_MeV, per_MeV)
    return _cevns.tabulated_rate(lambda e: FLUX * spectrum(e), neutrino_MeV[-1])


def rate(energy_keV: np.ndarray, *, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 4.4 keV; 90 per t y above 1 keV.

    Good to 1 % at 3 keV. Above 4 keV, 1e-6 per t y, the table's last entries decide and are too coarse.
    """
    return flux_per_cm2_s / FLUX * _table()(energy_keV)
