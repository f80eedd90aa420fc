"""Spin-independent elastic WIMP scattering on xenon nuclei, with Helm's form factor (wimprates).

The halo is the standard one of Baxter et al. 2105.00599: see `Options`.
"""

import numpy as np

from engine.physics.spectra._wimp import RHO_GEV_CM3, V0_KM_S, V_ESC_KM_S, HaloOptions, elastic, reaches_keV
from engine.size import Size

__all__ = ["KIND", "LABEL", "SIZE", "Options", "rate", "reaches_keV"]

KIND = "NR"
LABEL = "WIMP (SI)"
SIZE = Size(
    name="sigma_si_cm2",
    unit="cm2",
    meaning="spin-independent WIMP-nucleon cross-section",
    symbol=r"$\sigma_{\mathrm{SI}}$",
    reference=1e-45,
    benchmark=6.5e-48,  # semi-supervised search in DARWIN (Aalbers et al.), section 4
    shown=1e-46,
    usual=(1e-50, 1e-40),  # in pb or zb no number of a scan is in it
    usual_mass_GeV=(1.0, 10_000.0),
)
Options = HaloOptions


def rate(
    energy_keV: np.ndarray,
    m_chi_GeV: float,
    sigma_si_cm2: float,
    *,
    rho_GeV_cm3: float = RHO_GEV_CM3,
    v0_km_s: float = V0_KM_S,
    v_esc_km_s: float = V_ESC_KM_S,
) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to the kinematic endpoint, at most 200 keV.

    Linear in sigma and rho. The first call for a mass and a halo takes 0.15 s, later ones milliseconds for 1e5
    energies.
    """
    return elastic("SI", energy_keV, m_chi_GeV, sigma_si_cm2, rho_GeV_cm3, v0_km_s, v_esc_km_s)
