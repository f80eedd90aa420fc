"""Two-neutrino double electron capture of 124Xe on the L and M shells: lines at 10.00 (LL) and 5.98 keV (LM).

Captures that take a K electron give more than 30 keV and are left out, unless a window reaches so far and a study asks
for them: `lines = ["KK", "KL", "LL", "LM"]`. They are 74 % KK and 24 % KL to KO by the theory of Nitescu et al.
2402.13784, which leaves what the two fractions below, read in diamx, add up to; KM to KO, near 33 keV, are not here.

Two vacancies relax at one place with several short tracks, which recombine more than one beta does: the charge
yield is below a beta's of the same energy, so these events spread from the ER band towards the NR band. They are
thrown for this component alone (`throw`), on its lines, and each has a ratio of its own from the stated uncertainty:
toys mix the events of all shards, so that a draw per shard would give them the same mean with more noise.
"""

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from engine.errors import BadInput
from engine.physics.spectra._cevns import ISOTOPES
from engine.physics.spectra._options import Options as Base
from engine.physics.units import ATOMS_PER_TONNE

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.20  # LUX-ZEPLIN 2410.17036, Table I, as read in diamx: 19.4 +- 3.9 expected events
LABEL = r"$^{124}$Xe DEC"

HALF_LIFE_Y = 1.1e22  # y; LUX-ZEPLIN 2408.17391: 1.09e22 +- 0.14e22 (stat) +- 0.05e22 (sys)
DECAYS_PER_TY = np.log(2) / HALF_LIFE_Y * ISOTOPES[124] * ATOMS_PER_TONNE  # 275 / (t y)
LINES = {  # keV, and fraction of all captures
    "LL": (10.00, 0.014), "LM": (5.98, 0.008),  # diamx, for LUX-ZEPLIN
    # as remembered of XENON1T 2205.04158, which was not read again; 2402.13784 has 74 % for KK
    "KK": (64.3, 0.724), "KL": (36.7, 0.200),
}  # fmt: skip
BELOW_K = ("LL", "LM")
WIDTH_KEV = 0.2  # keV
LL_RATIO, LM_RATIO = 0.70, 0.88  # electrons over a beta's; LUX-ZEPLIN 2410.17036, as read in diamx
RATIO_SD = 0.04  # 1 sigma of LL's, absolute; taken for LM as well. diamx: 0.69 +- 0.03, allowed 0.65 to 0.87
K_RATIO = 1.0  # choice: most of a K vacancy's energy is one X-ray's, whose track is apart; no measurement was found
MOVES_EVENTS = tuple(f"charge_yield_ratio_{line}" for line in LINES)  # which `rate` does not know


def _of_k(description: str) -> float:
    """A study without K captures says nothing of them, nor does its digest."""
    return Field(K_RATIO, gt=0, le=1, exclude_if=lambda ratio: ratio == K_RATIO, description=description)


class Options(Base):
    """Width of the lines, and their charge yields over a beta's.

    The width is a device for what is thrown uniformly in energy, as for a physics report, and has no event on a
    line itself: effectively 3.5 width / range of its events carry a line. Added to DARWIN's resolution, 0.92 keV at
    10.00 and 0.67 keV at 5.98 keV, 0.2 keV widens the peaks by 2 and 4 %. A ratio of 1 with no spread is a beta's.
    """

    width_keV: float = Field(WIDTH_KEV, gt=0, le=1, description="standard deviation of each line, keV")
    charge_yield_ratio_LL: float = Field(LL_RATIO, gt=0, le=1, description="electrons over those of a beta, LL")
    charge_yield_ratio_LM: float = Field(LM_RATIO, gt=0, le=1, description="electrons over those of a beta, LM")
    charge_yield_sd: float = Field(RATIO_SD, ge=0, le=0.3, description="1 sigma of all ratios, absolute")
    charge_yield_ratio_KK: float = _of_k("electrons over those of a beta, KK")
    charge_yield_ratio_KL: float = _of_k("electrons over those of a beta, KL")
    lines: tuple[Literal[tuple(LINES)], ...] = Field(
        BELOW_K, min_length=1, exclude_if=lambda lines: lines == BELOW_K, description="captures that are there"
    )

    @field_validator("lines")
    @classmethod
    def _once(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(lines)) < len(lines):
            raise BadInput(f"lines = {list(lines)} names one twice")
        return tuple(line for line in LINES if line in lines)


def rate(
    energy_keV: np.ndarray,
    *,
    width_keV: float = WIDTH_KEV,
    charge_yield_ratio_LL: float = LL_RATIO,
    charge_yield_ratio_LM: float = LM_RATIO,
    charge_yield_sd: float = RATIO_SD,
    charge_yield_ratio_KK: float = K_RATIO,
    charge_yield_ratio_KL: float = K_RATIO,
    lines: tuple[str, ...] = BELOW_K,
) -> np.ndarray:
    """Events / (t y keV) at true energies: 3.85 per t y in the LL line at 10.00 keV, 2.20 in LM at 5.98 keV.

    The charge yields do not enter.
    """
    energy = np.asarray(energy_keV, dtype=np.float64)
    height = DECAYS_PER_TY / (np.sqrt(2 * np.pi) * width_keV)
    of_lines = (LINES[line] for line in lines)
    shape = sum(f * np.exp(-(((energy - at_keV) / width_keV) ** 2) / 2) for at_keV, f in of_lines)
    return np.where(energy > 0, height * shape, 0.0)


def throw(n: int, rng: np.random.Generator, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) true energies in keV from `rate`, their density in 1 / keV, and charge yields over a beta's.

    A ratio is Gaussian about its line's, kept within 0 and 1: the other tail would be fewer photons than a beta's.
    """
    at_keV, fractions = np.array([LINES[line] for line in options.lines]).T
    line = rng.choice(len(fractions), n, p=fractions / fractions.sum())
    # the lowest line is at least six widths above 0: what is cut there is 2e-9 of its events
    energy_keV = np.maximum(at_keV[line] + options.width_keV * rng.standard_normal(n), 0.05)
    centre = np.array([getattr(options, f"charge_yield_ratio_{name}") for name in options.lines])[line]
    density_per_keV = rate(energy_keV, width_keV=options.width_keV, lines=options.lines)
    density_per_keV /= DECAYS_PER_TY * fractions.sum()
    return energy_keV, density_per_keV, np.clip(centre + options.charge_yield_sd * rng.standard_normal(n), 0.0, 1.0)
