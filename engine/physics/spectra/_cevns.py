"""Coherent elastic neutrino-nucleus scattering (CEvNS) on natural xenon."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from engine.physics.spectra._folding import HIGHEST_RECOIL_KEV, fold, tabulate
from engine.physics.spectra._helm import form_factor
from engine.physics.units import (
    ATOMIC_MASS_MEV,
    ATOMS_PER_TONNE,
    FERMI_PER_MEV2,
    HBARC_MEV_CM,
    KEV_PER_MEV,
    SECONDS_PER_YEAR,
    SIN2_THETA_W,
    XENON_ELECTRONS,
)

ISOTOPES = {  # mass number: atom fraction of natural xenon, IUPAC
    124: 0.000952,
    126: 0.00089,
    128: 0.019102,
    129: 0.264006,
    130: 0.040710,
    131: 0.212324,
    132: 0.269086,
    134: 0.104357,
    136: 0.088573,
}


def _per_isotope(energy_keV, mass_number, flux, neutrino_max_MeV):
    mass, recoil = mass_number * ATOMIC_MASS_MEV, energy_keV / KEV_PER_MEV
    weak_charge = (mass_number - XENON_ELECTRONS) - (1 - 4 * SIN2_THETA_W) * XENON_ELECTRONS
    coupling = FERMI_PER_MEV2**2 / (4 * np.pi) * weak_charge**2 * mass * HBARC_MEV_CM**2 / KEV_PER_MEV
    threshold = np.sqrt(mass * recoil / 2)
    column = threshold[:, None]
    kinematics = fold(lambda e: flux(e) * (1 - (column / e) ** 2), threshold, neutrino_max_MeV)
    return coupling * form_factor(energy_keV, mass_number) ** 2 * kinematics


def recoil_rate(energy_keV, flux, neutrino_max_MeV):
    """Events / (t y keV) at recoil energies > 0, shape (n,).

    `flux(neutrino_MeV)` in neutrinos / (cm2 s MeV), summed over flavours, up to `neutrino_max_MeV`.
    Tree-level cross section of Freedman 1974: G_F^2 / (4 pi) Q_W^2 m_N (1 - m_N E_r / (2 E^2)) F^2(E_r).
    """
    per_atom = sum(f * _per_isotope(energy_keV, a, flux, neutrino_max_MeV) for a, f in ISOTOPES.items())
    return ATOMS_PER_TONNE * SECONDS_PER_YEAR * per_atom


def tabulated_rate(flux, neutrino_max_MeV):
    """`recoil_rate` as a fast function of energy_keV, up to the lightest isotope's endpoint or 200 keV."""
    endpoint_keV = 2 * neutrino_max_MeV**2 / (min(ISOTOPES) * ATOMIC_MASS_MEV) * KEV_PER_MEV
    return tabulate(lambda e: recoil_rate(e, flux, neutrino_max_MeV), min(endpoint_keV, HIGHEST_RECOIL_KEV))


def log_log(neutrino_MeV, spectrum):
    """PCHIP through a positive table in log(energy) and log(spectrum); 0 outside the table's range."""
    spline = PchipInterpolator(np.log(neutrino_MeV), np.log(spectrum))
    low, high = neutrino_MeV[0], neutrino_MeV[-1]
    return lambda e: np.where((e >= low) & (e <= high), np.exp(spline(np.log(np.clip(e, low, high)))), 0.0)
