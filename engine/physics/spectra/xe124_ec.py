"""Two-neutrino double electron capture of 124Xe on the L and M shells: lines at 10.00 (LL) and 5.98 keV (LM).

Captures that take a K electron give more than 30 keV and are left out: 74 % KK and 24 % KL to KO by the theory of
Nitescu et al. 2402.13784, which leaves what the two fractions below, read in diamx, add up to.

**Not simulated yet:** the charge yield of these decays is below a beta's of the same energy, by a factor of 0.70
+- 0.04 for LL and 0.88 for LM (LUX-ZEPLIN 2410.17036, as read in diamx), so they spread from the ER band towards
the NR band. Here every event is an ordinary electron recoil. A study that claims something about that corner needs
the ratio in its event simulation, as a nuisance parameter; the component therefore belongs to no default list.
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


class Options(Base):
    """Width of the lines, which is a device: a pool thrown uniformly in energy has no event on a line itself.

    Effectively 3.5 width / range of the pool's events carry a line: for 0.2 keV and 13 keV 5 %, 1100 of 20 000.
    Added to DARWIN's resolution, 0.92 keV at 10.00 and 0.67 keV at 5.98 keV, it widens the peaks by 2 and 4 %. Half
    the width would cost half the events to make that 1 %.
    """

    width_keV: float = Field(WIDTH_KEV, gt=0, le=1, description="standard deviation of each line, keV")


def rate(energy_keV: np.ndarray, *, width_keV: float = WIDTH_KEV) -> np.ndarray:
    """Events / (t y keV) at true energies: 3.85 per t y in the LL line at 10.00 keV, 2.20 in LM at 5.98 keV."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    height = DECAYS_PER_TY / (np.sqrt(2 * np.pi) * width_keV)
    lines = sum(f * np.exp(-(((energy - line) / width_keV) ** 2) / 2) for line, f in LINES_KEV.items())
    return np.where(energy > 0, height * lines, 0.0)
