"""Elastic scattering of solar neutrinos on the electrons of xenon."""

import numpy as np

from engine.physics.spectra._tables import shipped
from engine.physics.units import (
    ATOMS_PER_TONNE,
    ELECTRON_MASS_MEV,
    FERMI_PER_MEV2,
    HBARC_MEV_CM,
    KEV_PER_MEV,
    SECONDS_PER_YEAR,
    SIN2_THETA_W,
    XENON_ELECTRONS,
)

ELECTRON_SECONDS = ATOMS_PER_TONNE * XENON_ELECTRONS * SECONDS_PER_YEAR  # electrons s / (t y)


def binding_factor(energy_keV):
    """Suppression by atomic binding, linear between the table's energies and constant beyond its ends."""
    return np.interp(energy_keV, *shipped("binding_factor"))


def endpoint_keV(neutrino_MeV):
    """Largest recoil energy of an electron at rest: 2 E^2 / (m_e + 2 E)."""
    return 2 * neutrino_MeV**2 / (ELECTRON_MASS_MEV + 2 * neutrino_MeV) * KEV_PER_MEV


def threshold_MeV(energy_keV):
    """Smallest neutrino energy that gives this recoil, the inverse of `endpoint_keV`."""
    recoil = np.asarray(energy_keV) / KEV_PER_MEV
    return (recoil + np.sqrt(recoil**2 + 2 * ELECTRON_MASS_MEV * recoil)) / 2


def _flavour_cross_section(energy_keV, neutrino_MeV, left):
    recoil, right = energy_keV / KEV_PER_MEV, SIN2_THETA_W
    prefactor = 2 * FERMI_PER_MEV2**2 * ELECTRON_MASS_MEV / np.pi * HBARC_MEV_CM**2 / KEV_PER_MEV
    interference = left * right * ELECTRON_MASS_MEV * recoil / neutrino_MeV**2
    return prefactor * (left**2 + right**2 * (1 - recoil / neutrino_MeV) ** 2 - interference)


def cross_section(energy_keV, neutrino_MeV, survival):
    """cm2 / keV per free electron, for a nu_e that arrives as nu_e with probability `survival`.

    Tree level, 't Hooft 1971: g_L = sin2 + 1/2 for nu_e, sin2 - 1/2 for nu_mu and nu_tau; g_R = sin2.
    Holds up to `endpoint_keV`, where the caller cuts.
    """
    electron = _flavour_cross_section(energy_keV, neutrino_MeV, SIN2_THETA_W + 0.5)
    other = _flavour_cross_section(energy_keV, neutrino_MeV, SIN2_THETA_W - 0.5)
    return survival * electron + (1 - survival) * other
