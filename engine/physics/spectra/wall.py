"""Wall events: electron recoils that lost charge to the wall, and so fall from their band towards that of nuclear ones.

A flat spectrum whose events keep a share of their electrons, alike between two ends: choices, since what is lost
depends on the field at a detector's own wall. Light is all there. The rate is a user's.
"""

import numpy as np
from pydantic import Field, model_validator

from engine.errors import BadInput
from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.3  # choice
LABEL = "wall events"

LOW_KEV, HIGH_KEV = 1.0, 40.0  # keV
LEAST_KEPT, MOST_KEPT = 0.1, 0.9


class Options(Base):
    """Number and energies of the events, and between which shares of their electrons they keep."""

    per_ty: float = Field(1.0, gt=0, description="events / (t y), before the selection")
    low_keV: float = Field(LOW_KEV, gt=0.05, description="lowest true energy, keV")
    high_keV: float = Field(HIGH_KEV, le=300, description="highest true energy, keV")
    least_kept: float = Field(LEAST_KEPT, ge=0, le=1, description="smallest share of electrons kept")
    most_kept: float = Field(MOST_KEPT, ge=0, le=1, description="largest share of electrons kept")

    @model_validator(mode="after")
    def _ascends(self) -> "Options":
        for low, high in (("low_keV", "high_keV"), ("least_kept", "most_kept")):
            if not getattr(self, low) < getattr(self, high):
                raise BadInput(f"{low} = {getattr(self, low):g} must be below {high} = {getattr(self, high):g}")
        return self


def rate(
    energy_keV: np.ndarray,
    *,
    per_ty: float = 1.0,
    low_keV: float = LOW_KEV,
    high_keV: float = HIGH_KEV,
    least_kept: float = LEAST_KEPT,
    most_kept: float = MOST_KEPT,
) -> np.ndarray:
    """Events / (t y keV) at true energies; what is kept does not enter."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    return np.where((energy >= low_keV) & (energy <= high_keV), per_ty / (high_keV - low_keV), 0.0)


def throw(n: int, rng: np.random.Generator, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) true energies in keV, their density in 1 / keV, and charge yields over a beta's, which are a beta's."""
    energy_keV = rng.uniform(options.low_keV, options.high_keV, n)
    return energy_keV, np.full(n, 1 / (options.high_keV - options.low_keV)), np.ones(n)


def charge_kept(n: int, rng: np.random.Generator, options: Options) -> np.ndarray:
    """(n,) shares of their electrons that events keep."""
    return rng.uniform(options.least_kept, options.most_kept, n)
