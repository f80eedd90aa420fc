"""Neutrinos of the solar reactions p + p -> d + e + nu and 3He + p -> 4He + e + nu."""

import numpy as np

from engine.physics.units import ELECTRON_MASS_MEV

NORMALISATION_POINTS = 4001  # of the trapezoid rule from 0 to the endpoint


def _phase_space(neutrino_MeV, endpoint_MeV):
    energy = np.clip(neutrino_MeV, 0.0, endpoint_MeV)
    positron = endpoint_MeV - energy + ELECTRON_MASS_MEV
    return energy**2 * positron * np.sqrt(positron**2 - ELECTRON_MASS_MEV**2)


def neutrino_spectrum(endpoint_MeV):
    """The function phi(neutrino_MeV), per MeV and of unit integral: E^2 W sqrt(W^2 - m_e^2), W = Q + m_e - E.

    Allowed shape without Coulomb correction; 0 outside (0, Q).
    """
    grid = np.linspace(0.0, endpoint_MeV, NORMALISATION_POINTS)
    norm = np.trapezoid(_phase_space(grid, endpoint_MeV), grid)
    return lambda neutrino_MeV: _phase_space(neutrino_MeV, endpoint_MeV) / norm
