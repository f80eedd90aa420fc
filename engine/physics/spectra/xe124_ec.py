"""Two-neutrino double electron capture of 124Xe on the L and M shells: lines at 10.00 (LL) and 5.98 keV (LM).

Captures that take a K electron give more than 30 keV and are left out: 74 % KK and 24 % KL to KO by the theory of
Nitescu et al. 2402.13784, which leaves what the two fractions below, read in diamx, add up to.

Two vacancies relax at one place with several short tracks, which recombine more than one beta does: the charge
yield is below a beta's of the same energy, so these events spread from the ER band towards the NR band. They are
thrown for this component alone (`throw`), on its lines, and each has a ratio of its own from the stated uncertainty:
toys mix the events of all shards, so that a draw per shard would give them the same mean with more noise.
"""

import numpy as np
from pydantic import Field

from engine.physics.spectra._cevns import ISOTOPES
from engine.physics.spectra._options import Options as Base
from engine.physics.units import ATOMS_PER_TONNE

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.20  # LUX-ZEPLIN 2410.17036, Table I, as read in diamx: 19.4 +- 3.9 expected events
LABEL = r"$^{124}$Xe DEC"

HALF_LIFE_Y = 1.1e22  # y; LUX-ZEPLIN 2408.17391: 1.09e22 +- 0.14e22 (stat) +- 0.05e22 (sys)
DECAYS_PER_TY = np.log(2) / HALF_LIFE_Y * ISOTOPES[124] * ATOMS_PER_TONNE  # 275 / (t y)
LINES_KEV = {10.00: 0.014, 5.98: 0.008}  # keV: fraction of all captures, LL and LM; diamx, for LUX-ZEPLIN
WIDTH_KEV = 0.2  # keV
LL_RATIO, LM_RATIO = 0.70, 0.88  # electrons over a beta's; LUX-ZEPLIN 2410.17036, as read in diamx
RATIO_SD = 0.04  # 1 sigma of LL's, absolute; taken for LM as well. diamx: 0.69 +- 0.03, allowed 0.65 to 0.87
MOVES_EVENTS = ("charge_yield_ratio_LL", "charge_yield_ratio_LM")  # which `rate` does not know


class Options(Base):
    """Width of the lines, and their charge yields over a beta's.

    The width is a device for what is thrown uniformly in energy, as for a physics report, and has no event on a
    line itself: effectively 3.5 width / range of its events carry a line. Added to DARWIN's resolution, 0.92 keV at
    10.00 and 0.67 keV at 5.98 keV, 0.2 keV widens the peaks by 2 and 4 %. A ratio of 1 with no spread is a beta's.
    """

    width_keV: float = Field(WIDTH_KEV, gt=0, le=1, description="standard deviation of each line, keV")
    charge_yield_ratio_LL: float = Field(LL_RATIO, gt=0, le=1, description="electrons over those of a beta, LL")
    charge_yield_ratio_LM: float = Field(LM_RATIO, gt=0, le=1, description="electrons over those of a beta, LM")
    charge_yield_sd: float = Field(RATIO_SD, ge=0, le=0.3, description="1 sigma of both ratios, absolute")


def rate(
    energy_keV: np.ndarray,
    *,
    width_keV: float = WIDTH_KEV,
    charge_yield_ratio_LL: float = LL_RATIO,
    charge_yield_ratio_LM: float = LM_RATIO,
    charge_yield_sd: float = RATIO_SD,
) -> np.ndarray:
    """Events / (t y keV) at true energies: 3.85 per t y in the LL line at 10.00 keV, 2.20 in LM at 5.98 keV.

    The charge yields do not enter.
    """
    energy = np.asarray(energy_keV, dtype=np.float64)
    height = DECAYS_PER_TY / (np.sqrt(2 * np.pi) * width_keV)
    lines = sum(f * np.exp(-(((energy - line) / width_keV) ** 2) / 2) for line, f in LINES_KEV.items())
    return np.where(energy > 0, height * lines, 0.0)


def throw(n: int, rng: np.random.Generator, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) true energies in keV from `rate`, their density in 1 / keV, and charge yields over a beta's.

    A ratio is Gaussian about its line's, kept within 0 and 1: the other tail would be fewer photons than a beta's.
    """
    fractions = np.array(list(LINES_KEV.values()))
    line = rng.choice(len(fractions), n, p=fractions / fractions.sum())
    # the lower line is at least six widths above 0: what is cut there is 2e-9 of its events
    energy_keV = np.maximum(np.array(list(LINES_KEV))[line] + options.width_keV * rng.standard_normal(n), 0.05)
    centre = np.array([options.charge_yield_ratio_LL, options.charge_yield_ratio_LM])[line]
    density_per_keV = rate(energy_keV, width_keV=options.width_keV) / (DECAYS_PER_TY * fractions.sum())
    return energy_keV, density_per_keV, np.clip(centre + options.charge_yield_sd * rng.standard_normal(n), 0.0, 1.0)
