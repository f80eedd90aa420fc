"""Diffuse supernova neutrinos (DSNB) scattering coherently on xenon nuclei."""

from functools import lru_cache

import numpy as np

from engine.physics.spectra import _cevns

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.50  # of the flux, O'Hare 2109.03116
LABEL = r"DSNB $\nu$"

FLUX = 85.7  # neutrinos / (cm2 s), all flavours, O'Hare 2109.03116
# MeV, and neutrinos per MeV of unit integral: cajohare/NeutrinoFog (MIT)
ENERGY_MEV = np.array([
    0.5, 1, 2, 3, 5, 7, 10, 13, 16, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 91,
])  # fmt: skip
SPECTRUM = np.array([
    2.800e-2, 7.420e-2, 1.278e-1, 1.328e-1, 9.916e-2, 6.548e-2, 3.448e-2, 1.889e-2, 1.076e-2, 5.415e-3,
    2.395e-3, 1.129e-3, 5.613e-4, 2.758e-4, 1.453e-4, 7.673e-5, 2.199e-5, 6.244e-6, 1.986e-6, 4.863e-7,
])  # fmt: skip


@lru_cache(maxsize=1)
def _table():
    spectrum = _cevns.log_log(ENERGY_MEV, SPECTRUM)
    return _cevns.tabulated_rate(lambda e: FLUX * spectrum(e), ENERGY_MEV[-1])


def rate(energy_keV: np.ndarray) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 143 keV; 0.0020 per t y in 5-35 keV."""
    return _table()(energy_keV)
