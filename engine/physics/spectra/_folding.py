"""Folding of neutrino spectra with cross sections, and tables of what is costly to compute."""

import numpy as np
from scipy.interpolate import PchipInterpolator

LOWEST_RECOIL_KEV = 1e-3  # keV, first node of a table; below it a table is constant
HIGHEST_RECOIL_KEV = 200.0  # keV, last node; the nuclear form factor leaves 1e-3 of a rate above it
TABLE_NODES = 256  # equal steps in sqrt(energy), that is in momentum transfer
QUADRATURE_NODES = 96  # Gauss-Legendre nodes in log(neutrino energy)


def fold(integrand, low_MeV, high_MeV):
    """Integral over neutrino energy from `low_MeV`, shape (n,), to the scalar `high_MeV`; 0 if low >= high.

    `integrand` takes neutrino energies of shape (n, QUADRATURE_NODES) and returns the same shape, per MeV.
    """
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    half_width = np.log(np.maximum(high_MeV / low_MeV, 1.0))[:, None] / 2
    energy_MeV = low_MeV[:, None] * np.exp(half_width * (nodes + 1))
    return np.sum(integrand(energy_MeV) * energy_MeV * half_width * weights, axis=-1)


def tabulate(rate, endpoint_keV):
    """A fast stand-in for `rate(energy_keV)`, which is called once, on TABLE_NODES energies.

    Monotone cubic (PCHIP) in sqrt(energy), hence never negative; 0 outside (0, endpoint_keV].
    """
    nodes = np.linspace(np.sqrt(LOWEST_RECOIL_KEV), np.sqrt(endpoint_keV), TABLE_NODES)
    spline = PchipInterpolator(nodes, rate(nodes**2))

    def interpolated(energy_keV):
        energy = np.asarray(energy_keV, dtype=np.float64)
        inside = (energy > 0) & (energy <= endpoint_keV)
        return np.where(inside, spline(np.sqrt(np.clip(energy, LOWEST_RECOIL_KEV, endpoint_keV))), 0.0)

    return interpolated
