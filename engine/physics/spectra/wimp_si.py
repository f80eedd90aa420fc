"""Spin-independent elastic WIMP scattering: wimprates with the standard halo of Baxter et al. 2105.00599."""

import warnings
from contextlib import contextmanager
from functools import lru_cache

import numericalunits as nu
import numpy as np

from engine.physics.spectra._folding import HIGHEST_RECOIL_KEV, tabulate

with warnings.catch_warnings():  # it announces at import that its defaults are now those we want
    warnings.filterwarnings("ignore", message="Default WIMP parameters are changed", category=UserWarning)
    import wimprates

KIND = "NR"
LABEL = "WIMP (SI)"

TABLE_SIGMA_CM2 = 1e-45  # cm2; small, so that wimprates' quadrature stops at one pass (good to 1e-4)


@contextmanager
def _fixed_units():
    """SI units in the block: numericalunits are random per process, and so would be a rate's last bits."""
    random_units = dict(vars(nu))
    nu.reset_units("SI")
    try:
        yield
    finally:
        vars(nu).update(random_units)


@lru_cache(maxsize=256)
def _table(m_chi_GeV):
    with _fixed_units():
        mass = m_chi_GeV * nu.GeV / nu.c0**2
        endpoint_keV = wimprates.e_max(mass, wimprates.v_max(), wimprates.mn()) / nu.keV
        return tabulate(
            lambda energy_keV: wimprates.rate_wimp_std(energy_keV, m_chi_GeV, TABLE_SIGMA_CM2),
            min(endpoint_keV, HIGHEST_RECOIL_KEV),
        )


def rate(energy_keV: np.ndarray, m_chi_GeV: float, sigma_si_cm2: float) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to the kinematic endpoint, at most 200 keV.

    Linear in sigma. The first call for a mass takes 0.15 s, later ones milliseconds for 1e5 energies.
    """
    return sigma_si_cm2 / TABLE_SIGMA_CM2 * _table(float(m_chi_GeV))(energy_keV)
