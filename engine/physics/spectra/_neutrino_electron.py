"""Elastic scattering of solar neutrinos on the electrons of xenon."""

import numpy as np

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

# Recoil energies in keV, and rates of bound over free electrons: the 7Be recoil spectrum (861 keV line)
# tabulated in DanielBaur/sfsv2 over the free-electron one.
BINDING_ENERGY_KEV = np.array([
    1.1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 40, 60, 100,
])  # fmt: skip
BINDING_FACTOR = np.array([
    0.476, 0.514, 0.588, 0.669, 0.733, 0.775, 0.794, 0.805, 0.805, 0.814,
    0.847, 0.894, 0.927, 0.950, 0.952, 0.951, 0.954, 0.966, 0.991, 0.992,
])  # fmt: skip


def binding_factor(energy_keV):
    """Suppression by atomic binding, linear between the table's energies and constant beyond its ends."""
    return np.interp(energy_keV, BINDING_ENERGY_KEV, BINDING_FACTOR)


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
