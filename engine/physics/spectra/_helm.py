"""Nuclear form factor."""

import numpy as np
from scipy.special import spherical_jn

from engine.physics.units import ATOMIC_MASS_MEV, HBARC_MEV_FM, KEV_PER_MEV

SKIN_FM = 0.9  # fm, s of Lewin & Smith 1996, Astropart. Phys. 6, 87
DIFFUSENESS_FM = 0.52  # fm, a, same source


def form_factor(energy_keV, mass_number):
    """Helm's F(q) at recoil energies > 0, Lewin & Smith 1996 eqs. 4.7 and 4.11."""
    c = 1.23 * mass_number ** (1 / 3) - 0.60
    radius_fm = np.sqrt(c**2 + 7 / 3 * np.pi**2 * DIFFUSENESS_FM**2 - 5 * SKIN_FM**2)
    q = np.sqrt(2 * mass_number * ATOMIC_MASS_MEV * energy_keV / KEV_PER_MEV) / HBARC_MEV_FM
    x = q * radius_fm
    return 3 * spherical_jn(1, x) / x * np.exp(-((q * SKIN_FM) ** 2) / 2)
