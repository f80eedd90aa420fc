"""Solar neutrinos of the CNO cycle (beta decays of 13N, 15O and 17F) scattering on electrons."""

from functools import lru_cache

import numpy as np
from pydantic import Field

from engine.physics.spectra import _neutrino_electron as scattering
from engine.physics.spectra._folding import fold, tabulate
from engine.physics.spectra._fusion import neutrino_spectrum
from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.16  # of 13N and 15O, solar model B16-GS98, Vinyoles et al. 2017, ApJ 835, 202: 15 and 17 %
LABEL = r"CNO $\nu$"

DECAYS = {  # endpoint in MeV: share of the flux
    1.198: 0.570,  # 13N, 2.78e8 / (cm2 s), O'Hare 2109.03116
    1.732: 0.420,  # 15O, 2.05e8
    1.736: 0.010,  # 17F, 5.3e6, B16-GS98
}
FLUX = 4.88e8  # neutrinos / (cm2 s), all three
SURVIVAL = 0.51  # electron-neutrino survival probability, a choice (between those of 7Be and pep)


class Options(Base):
    """Atomic binding, and the flux; a Sun of low metallicity (B16-AGSS09met) has 3.5e8."""

    atomic_binding: bool = Field(True, description="False: free electrons")
    flux_per_cm2_s: float = Field(FLUX, gt=0, description="neutrinos / (cm2 s), all three decays")


def free_electron_rate(energy_keV):
    """Events / (t y keV) at recoil energies > 0, shape (n,), on free electrons at rest."""
    recoil, threshold = np.asarray(energy_keV)[:, None], scattering.threshold_MeV(energy_keV)
    folded = 0.0
    for endpoint, share in DECAYS.items():
        spectrum = neutrino_spectrum(endpoint)
        each = fold(lambda e, of=spectrum: of(e) * scattering.cross_section(recoil, e, SURVIVAL), threshold, endpoint)
        folded = folded + share * each
    return scattering.ELECTRON_SECONDS * FLUX * folded


@lru_cache(maxsize=1)
def _table():
    return tabulate(free_electron_rate, scattering.endpoint_keV(max(DECAYS)))


def rate(energy_keV: np.ndarray, *, atomic_binding: bool = True, flux_per_cm2_s: float = FLUX) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 1514 keV; 0.16 per t y in 2-10 keV."""
    free = flux_per_cm2_s / FLUX * _table()(energy_keV)
    return scattering.binding_factor(energy_keV) * free if atomic_binding else free
