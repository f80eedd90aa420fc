"""An electron-recoil line at an energy of one's own: what a light boson's absorption, or an unexpected source, gives.

No source is behind its rate: as a signal it is multiplied by a strength.
"""

import numpy as np
from pydantic import Field

from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.2  # choice: that of 124Xe's lines
LABEL = "ER line"

AT_KEV = 41.5  # keV: 83mKr, both transitions at once
WIDTH_KEV = 0.05  # keV: below any detector's resolution


class Options(Base):
    """Energy, width and rate of the line."""

    at_keV: float = Field(AT_KEV, gt=0, le=300, description="true energy, keV")
    width_keV: float = Field(WIDTH_KEV, gt=0, le=10, description="standard deviation, keV")
    per_ty: float = Field(1.0, gt=0, description="events / (t y) in the whole line")


def rate(
    energy_keV: np.ndarray, *, at_keV: float = AT_KEV, width_keV: float = WIDTH_KEV, per_ty: float = 1.0
) -> np.ndarray:
    """Events / (t y keV) at true recoil energies: a Gaussian, cut at 0."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    shape = np.exp(-(((energy - at_keV) / width_keV) ** 2) / 2) / (np.sqrt(2 * np.pi) * width_keV)
    return np.where(energy > 0, per_ty * shape, 0.0)
