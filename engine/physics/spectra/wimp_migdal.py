"""The Migdal effect of spin-independent WIMP scattering on xenon: an electron that the recoiling nucleus leaves.

The atom's electrons lag behind the nucleus, and now and then one of them is thrown out: what it and the filling of
its shell release, 0.06 keV and more, is an electronic recoil, seen where the nuclear recoil is far below threshold.
Probabilities are those of Ibe et al. 1707.07258 for isolated atoms, as tabulated in wimprates: shells with n = 3
and 4, because those with n = 5 are changed by the liquid and those with n = 1 and 2 give next to nothing. The
nuclear recoil beside the electron is left out, and so are the recoils without one, 1e5 times as many at 1 GeV and
1e3 at 10 GeV: meant for masses up to a few GeV, above which those are what a detector sees. The halo is the standard
one of Baxter et al. 2105.00599: see `Options`.

At a released energy E the rate is G(E) P(E): G the integral over recoil energies and speeds, P the sum of the
shells' probabilities. G is tabulated and P, with its steps at the shells' edges, is taken as it stands.
"""

from functools import lru_cache

import numericalunits as nu
import numpy as np

from engine.physics.spectra._folding import HIGHEST_RECOIL_KEV, LOWEST_RECOIL_KEV, tabulate
from engine.physics.spectra._halo import Halo, fixed_units, wimprates
from engine.physics.spectra._wimp import (
    RHO_GEV_CM3,
    TABLE_SIGMA_CM2,
    V0_KM_S,
    V_ESC_KM_S,
    HaloOptions,
    scale,
)
from engine.size import Size

KIND = "ER"
LABEL = "WIMP (Migdal)"
SIZE = Size(
    name="sigma_si_cm2",
    unit="cm2",
    meaning="spin-independent WIMP-nucleon cross-section",
    symbol=r"$\sigma_{\mathrm{SI}}$",
    reference=1e-38,
    benchmark=1e-39,  # at 1 GeV 8.6 events / (t y) above 1 keV, where XENON1T saw 76 / (t y keV): 2006.09721
    shown=1e-38,
    usual=(1e-45, 1e-30),
    usual_mass_GeV=(0.02, 20.0),
)
Options = HaloOptions

PRINCIPAL_NUMBERS = "34"  # n of the shells that count
QUADRATURE_NODES = 48  # Gauss-Legendre, over sqrt(recoil energy) and over speed; good to 1e-6


def _nodes(low, high):
    """Nodes and weights between two arrays of shape (...), shape (..., QUADRATURE_NODES)."""
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    low, width = np.asarray(low)[..., None], np.asarray(high - low)[..., None]
    return low + width * (nodes + 1) / 2, width * weights / 2


def _kicks(released, mass, halo):
    """G at one released energy: kicked atoms / (mass time), for an electron's (1 eV / c)^2 of momentum squared.

    Ibe et al. 1707.07258: rho / (m_chi m_N) int dE_R int dv v f(v) dsigma/dE_R q_e^2 / (2 pi), with the electron's
    momentum q_e = m_e sqrt(2 E_R / m_N) in eV / c, as the table of P has it, and speeds above
    v_min = sqrt(m_N E_R / 2) / mu + released / sqrt(2 m_N E_R).
    """
    nucleus = wimprates.mn()
    slope = np.sqrt(nucleus / 2) / wimprates.mu_nucleus(mass, "Xe")  # v_min = slope x + lift / x, x = sqrt(E_R)
    lift = released / np.sqrt(2 * nucleus)
    spread = np.sqrt(max(halo.v_max**2 - 4 * slope * lift, 0.0))
    root, root_weights = _nodes((halo.v_max - spread) / (2 * slope), (halo.v_max + spread) / (2 * slope))
    speed, speed_weights = _nodes(np.minimum(slope * root + lift / root, halo.v_max), halo.v_max)
    cross_section = wimprates.sigma_erec(root[:, None] ** 2, speed, mass, TABLE_SIGMA_CM2 * nu.cm**2)
    scattered = np.sum(speed_weights * speed * halo.velocity_dist(speed, None) * cross_section, axis=-1)
    momentum = nu.me * root * np.sqrt(2 / nucleus) / (nu.eV / nu.c0)
    per_root = scattered * momentum**2 / (2 * np.pi) * 2 * root
    return halo.rho_dm / mass / nucleus * np.sum(root_weights * per_root)


def _transitions(energy_keV):
    """P: electrons per keV and kicked atom whose energy and shell's binding energy add up to energy_keV."""
    table, binding_eV = wimprates.migdal.read_migdal_transitions()
    shells = [shell for shell in binding_eV if shell[0] in PRINCIPAL_NUMBERS]
    electron_eV = [energy_keV * 1e3 - binding_eV[shell] for shell in shells]
    tabulated_eV = table["E"].to_numpy()
    return 1e3 * sum(
        np.interp(energy_eV, tabulated_eV, table[shell].to_numpy(), left=0.0, right=0.0)
        for shell, energy_eV in zip(shells, electron_eV, strict=True)
    )


@lru_cache(maxsize=256)
def _table(m_chi_GeV, v0_km_s, v_esc_km_s):
    with fixed_units():
        halo, mass = Halo(v0_km_s, v_esc_km_s), m_chi_GeV * nu.GeV / nu.c0**2
        endpoint_keV = wimprates.mu_nucleus(mass, "Xe") * halo.v_max**2 / 2 / nu.keV
        if endpoint_keV <= LOWEST_RECOIL_KEV:
            return np.zeros_like
        per_ty = 1000 * nu.kg * nu.year
        return tabulate(
            lambda energy_keV: per_ty * np.array([_kicks(e * nu.keV, mass, halo) for e in energy_keV]),
            min(endpoint_keV, HIGHEST_RECOIL_KEV),
        )


def rate(
    energy_keV: np.ndarray,
    m_chi_GeV: float,
    sigma_si_cm2: float,
    *,
    rho_GeV_cm3: float = RHO_GEV_CM3,
    v0_km_s: float = V0_KM_S,
    v_esc_km_s: float = V_ESC_KM_S,
) -> np.ndarray:
    """Events / (t y keV) at energies released by electron and shell, from the 4d shell's 0.062 keV on.

    The endpoint is mu v_max^2 / 2, 3.5 keV at 1 GeV, and 71 keV at most. Linear in sigma and rho. Up to 0.9 of the
    endpoint within 5e-5 of wimprates, where that is asked for as much: by default it is good to 2e-3. The first call
    for a mass and a halo takes 0.5 s, later ones 30 ms for 1e5 energies.
    """
    energy = np.asarray(energy_keV, dtype=np.float64)
    kicks = _table(float(m_chi_GeV), float(v0_km_s), float(v_esc_km_s))(energy)
    return scale(sigma_si_cm2, rho_GeV_cm3) * kicks * _transitions(energy)
