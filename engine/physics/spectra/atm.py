"""Atmospheric neutrinos scattering coherently on xenon nuclei."""

from functools import lru_cache

import numpy as np

from engine.physics.spectra import _cevns

KIND = "NR"
RELATIVE_UNCERTAINTY = 0.20  # semi-supervised search in DARWIN (Aalbers et al.), Table 3: atmospheric CEvNS
LABEL = r"atmospheric $\nu$"

FLUX = 10.7  # neutrinos / (cm2 s), all flavours, O'Hare 2109.03116
# MeV, and neutrinos per MeV of unit integral: cajohare/NeutrinoFog (MIT), from FLUKA
ENERGY_MEV = np.array([
    13.183, 17, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80,
    100, 120, 150, 200, 250, 300, 400, 600, 1e3, 2e3, 5e3, 1e4,
])  # fmt: skip
SPECTRUM = np.array([
    5.171e-3, 6.164e-3, 6.784e-3, 7.417e-3, 8.251e-3, 7.975e-3, 7.962e-3, 7.646e-3,
    6.863e-3, 5.438e-3, 4.855e-3, 4.356e-3, 3.555e-3, 2.858e-3, 2.127e-3, 1.374e-3,
    9.426e-4, 6.807e-4, 3.858e-4, 1.646e-4, 4.991e-5, 8.722e-6, 6.829e-7, 8.792e-8,
])  # fmt: skip


@lru_cache(maxsize=1)
def _table():
    spectrum = _cevns.log_log(ENERGY_MEV, SPECTRUM)
    return _cevns.tabulated_rate(lambda e: FLUX * spectrum(e), ENERGY_MEV[-1])


def rate(energy_keV: np.ndarray) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to 200 keV; 0.039 per t y in 5-35 keV."""
    return _table()(energy_keV)
