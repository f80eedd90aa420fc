"""Accidental pairs: a lone S1 that is taken together with another recoil's S2.

Lone pulses are of recoils whose other pulse was lost; here both are of electron recoils with energies alike in their
logarithm between two ends, a choice: each S1 meets the S2 of the recoil behind it, and the pair lies where that S2 is.
The rate is a user's; LUX-ZEPLIN expects 2.8 +- 0.6 in 3.3 t y (arXiv:2410.17036).
"""

import numpy as np
from pydantic import Field, model_validator

from engine.errors import BadInput
from engine.physics import proposals
from engine.physics.spectra._options import Options as Base

KIND = "ER"
RELATIVE_UNCERTAINTY = 0.2  # LUX-ZEPLIN, arXiv:2410.17036: 2.8 +- 0.6 in 3.3 t y
LABEL = "accidental pairs"
PAIRED = True

LOW_KEV, HIGH_KEV = 0.5, 20.0  # keV, choices: S1s of a few photons, S2s from a hundred electrons on


class Options(Base):
    """Energies of the recoils that lone pulses are of, and the number of pairs."""

    per_ty: float = Field(1.0, gt=0, description="pairs / (t y), before the selection")
    low_keV: float = Field(LOW_KEV, gt=0.05, description="lowest energy of the recoils that give S1 and S2, keV")
    high_keV: float = Field(HIGH_KEV, le=300, description="highest of them, keV")

    @model_validator(mode="after")
    def _ascends(self) -> "Options":
        if not self.low_keV < self.high_keV:
            raise BadInput(f"low_keV = {self.low_keV:g} must be below high_keV = {self.high_keV:g}")
        return self


def rate(
    energy_keV: np.ndarray, *, per_ty: float = 1.0, low_keV: float = LOW_KEV, high_keV: float = HIGH_KEV
) -> np.ndarray:
    """Pairs / (t y keV) at the true energy of the S2's recoil."""
    energy = np.asarray(energy_keV, dtype=np.float64)
    inside = np.clip(energy, low_keV, high_keV)
    density = proposals.density_per_keV("log_uniform", low_keV, high_keV, inside)
    return np.where(energy == inside, per_ty * density, 0.0)


def throw(n: int, rng: np.random.Generator, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) true energies in keV, their density in 1 / keV, and charge yields over a beta's, which are a beta's."""
    energy_keV = proposals.draw("log_uniform", options.low_keV, options.high_keV, n, rng)
    density = proposals.density_per_keV("log_uniform", options.low_keV, options.high_keV, energy_keV)
    return energy_keV, density, np.ones(n)
