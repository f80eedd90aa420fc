"""A rate that does not depend on the energy: what a detector measured, or is expected to, without saying of what.

As a background it is taken as it stands, with `relative_uncertainty` of its rate; as a signal it is one for a strength
of 1 and grows linearly with the strength.
"""

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from engine.errors import BadInput
from engine.physics.spectra._options import Options as Base

LABEL = "flat"
UP_TO_KEV = 100.0  # keV, as for the betas, which are flat to 6 % up to there


class Options(Base):
    """The rate, of which kind of recoil, between which true energies, and how well it is known."""

    per_ty_keV: float = Field(gt=0, description="events / (t y keV)")
    kind: Literal["ER", "NR"] = Field("ER", description="kind of recoil")
    low_keV: float = Field(0.0, ge=0, description="true energy, keV, from which on")
    high_keV: float = Field(UP_TO_KEV, gt=0, description="true energy, keV, up to which")
    relative_uncertainty: float = Field(0.0, ge=0, description="1 sigma of the rate, as a fraction of it")

    @model_validator(mode="after")
    def _ascends(self) -> "Options":
        if not self.low_keV < self.high_keV:
            raise BadInput(f"low_keV = {self.low_keV:g} must be below high_keV = {self.high_keV:g}")
        return self


def describe(options: Options) -> tuple[str, float]:
    """Kind and relative uncertainty, as the user gave them."""
    return options.kind, options.relative_uncertainty


def rate(
    energy_keV: np.ndarray,
    *,
    per_ty_keV: float,
    kind: str = "ER",
    low_keV: float = 0.0,
    high_keV: float = UP_TO_KEV,
    relative_uncertainty: float = 0.0,
) -> np.ndarray:
    """Events / (t y keV) at true recoil energies; `kind` and `relative_uncertainty` do not enter."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy > 0) & (energy > low_keV) & (energy <= high_keV), per_ty_keV, 0.0)
