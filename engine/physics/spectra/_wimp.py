"""WIMPs on xenon: wimprates with the standard halo of Baxter et al. 2105.00599, and what their spectra share.

The halo's density and speeds are options; a study of another convention sets them (wimprates before 0.5 and much
of the literature have v0 = 220 km/s). The Sun's and the Earth's own motions are those of wimprates.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import Field

from engine.physics.spectra._folding import HIGHEST_RECOIL_KEV, LOWEST_RECOIL_KEV, tabulate
from engine.physics.spectra._options import Options as Base

XENON_GEV = 122.3  # GeV / c2, a nucleus of 131.293 u
C_KM_S = 299_792.458  # km / s, speed of light
TABLE_SIGMA_CM2 = 1e-45  # cm2; small, so that wimprates' quadrature stops at one pass (good to 1e-4)

RHO_GEV_CM3 = 0.3  # GeV / (c2 cm3), local density of dark matter
V0_KM_S = 238.0  # km / s, speed of the local standard of rest
V_ESC_KM_S = 544.0  # km / s, escape speed from the galaxy; all three Baxter et al. 2105.00599


class HaloOptions(Base):
    """The standard halo model; the defaults are those of Baxter et al. 2105.00599.

    The bounds are wide, and there to catch a wrong unit.
    """

    rho_GeV_cm3: float = Field(RHO_GEV_CM3, ge=0.01, le=10, description="local dark matter density, GeV / (c2 cm3)")
    v0_km_s: float = Field(V0_KM_S, ge=10, le=1000, description="speed of the local standard of rest, km / s")
    v_esc_km_s: float = Field(V_ESC_KM_S, ge=10, le=3000, description="escape speed from the galaxy, km / s")


class SpinOptions(HaloOptions):
    """The halo, and where in the band of nuclear theory the spins of 129Xe and 131Xe lie.

    Klos et al. 1304.7684 give a band for what two-body currents add; "central" is its middle, as collaborations
    quote their limits.
    """

    structure: Literal["central", "up", "down"] = Field("central", description="structure function within its band")


def scale(sigma_cm2: float, rho_GeV_cm3: float) -> float:
    """What a table is multiplied by: tables are for TABLE_SIGMA_CM2 and the default density."""
    return rho_GeV_cm3 / RHO_GEV_CM3 * sigma_cm2 / TABLE_SIGMA_CM2


def elastic(
    interaction: str, energy_keV: np.ndarray, m_chi_GeV: float, sigma_cm2: float,
    rho_GeV_cm3: float, v0_km_s: float, v_esc_km_s: float,
) -> np.ndarray:  # fmt: skip
    """Nuclear recoils of one of wimprates' interactions: events / (t y keV) up to the endpoint, at most 200 keV."""
    table = elastic_table(interaction, float(m_chi_GeV), float(v0_km_s), float(v_esc_km_s))
    return scale(sigma_cm2, rho_GeV_cm3) * table(energy_keV)


def reaches_keV(m_chi_GeV: float, options: HaloOptions) -> float:
    """Up to where recoils certainly are: 2 mu^2 v^2 / m_N (Lewin & Smith 1996) for v the escape speed, to which the
    Earth's own adds."""
    reduced_GeV = m_chi_GeV * XENON_GEV / (m_chi_GeV + XENON_GEV)
    return min(2e6 * (reduced_GeV * options.v_esc_km_s / C_KM_S) ** 2 / XENON_GEV, HIGHEST_RECOIL_KEV)


@lru_cache(maxsize=256)
def elastic_table(interaction, m_chi_GeV, v0_km_s, v_esc_km_s):
    """The rate as a function of energy_keV, for TABLE_SIGMA_CM2 and the default density; made once."""
    from engine.physics.spectra._halo import Halo, fixed_units, nu, wimprates  # two seconds to import

    with fixed_units():
        halo, mass = Halo(v0_km_s, v_esc_km_s), m_chi_GeV * nu.GeV / nu.c0**2
        endpoint_keV = wimprates.e_max(mass, halo.v_max, wimprates.mn()) / nu.keV
        if endpoint_keV <= LOWEST_RECOIL_KEV:  # lighter than some 0.1 GeV
            return np.zeros_like
        return tabulate(
            lambda energy_keV: wimprates.rate_wimp_std(
                energy_keV, m_chi_GeV, TABLE_SIGMA_CM2, interaction=interaction, halo_model=halo
            ),
            min(endpoint_keV, HIGHEST_RECOIL_KEV),
        )
