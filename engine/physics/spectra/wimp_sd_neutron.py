"""Spin-dependent elastic WIMP scattering on xenon, the WIMP coupled to neutrons alone at first order (wimprates).

Only 129Xe and 131Xe have spin, that of their odd neutron: natural xenon has 26.4 and 21.2 % of them. Structure
functions are those of Klos et al. 1304.7684, with currents of two nucleons, which take a fifth from the rate. The
halo is the standard one of Baxter et al. 2105.00599, and the structure function a choice: see `Options`.
"""

from typing import Literal

import numpy as np

from engine.physics.spectra._wimp import RHO_GEV_CM3, V0_KM_S, V_ESC_KM_S, SpinOptions, elastic, reaches_keV
from engine.size import Size

__all__ = ["KIND", "LABEL", "SIZE", "Options", "rate", "reaches_keV"]

KIND = "NR"
LABEL = "WIMP (SD, neutron)"
SIZE = Size(
    name="sigma_sd_neutron_cm2",
    unit="cm2",
    meaning="spin-dependent WIMP-neutron cross-section",
    symbol=r"$\sigma_{\mathrm{SD},n}$",
    reference=1e-40,
    benchmark=1e-42,  # 1/6 of XENON1T's limit at 30 GeV, 1902.03234; 2.2 events / (t y) at 50 GeV
    shown=1e-41,
    usual=(1e-46, 1e-34),
    usual_mass_GeV=(1.0, 10_000.0),
)
Options = SpinOptions


def rate(
    energy_keV: np.ndarray,
    m_chi_GeV: float,
    sigma_sd_neutron_cm2: float,
    *,
    rho_GeV_cm3: float = RHO_GEV_CM3,
    v0_km_s: float = V0_KM_S,
    v_esc_km_s: float = V_ESC_KM_S,
    structure: Literal["central", "up", "down"] = "central",
) -> np.ndarray:
    """Events / (t y keV) at true recoil energies up to the kinematic endpoint, at most 200 keV.

    Linear in sigma and rho; 14 % higher with the structure function "up" and as much lower with "down". Above 200 keV
    lie 4 % of the events of 1 TeV. The first call for a mass, a halo and a structure takes 0.3 s.
    """
    interaction = f"SD_n_{structure}"
    return elastic(interaction, energy_keV, m_chi_GeV, sigma_sd_neutron_cm2, rho_GeV_cm3, v0_km_s, v_esc_km_s)
